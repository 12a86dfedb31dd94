#include "worker/kid.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/log.h"
#include "worker/child.h"

enum { RESTART_MIN_MS = 250, RESTART_MAX_MS = 5000, SHIFT_MAX = 5 };

extern char **environ;

static void on_socket(void *ctx);
static void on_restart(void *ctx);

/* Signals that we hold blocked or ignored must not be inherited: the child settles its own. */
static int spawn_child(pid_t *pid, int fd) {
    char parent[16], name[] = "misora-worker", flag[] = "--child";
    char *argv[] = {name, flag, parent, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    snprintf(parent, sizeof(parent), "%d", (int)getpid());
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, CHILD_FD);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int e = posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv, environ);
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return e;
}

static enum err say_hello(struct kid *k, struct fail *f) {
    struct buf b;
    buf_make(&b, WIRE_BODY_MAX);
    enum err rc = wire_write_hello(&b, &k->hello, f);
    if (rc == ERR_OK) rc = wire_send(k->fd, WIRE_HELLO, (struct str){b.data, b.len}, f);
    buf_free(&b);
    return rc;
}

static enum err start(struct kid *k, struct fail *f) {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return FAIL(f, ERR_IO, "kid: no socket pair: %s", strerror(errno));
    int e = spawn_child(&k->pid, fds[1]);
    close(fds[1]);
    k->fd = fds[0];
    k->is_ready = k->is_busy = false;
    wire_reader_make(&k->reader);
    if (e != 0) {
        k->pid = 0;
        close(k->fd);
        return FAIL(f, ERR_IO, "kid: cannot start: %s", strerror(e));
    }
    log_line(LOG_INFO, "child.started", "pid=%d", (int)k->pid);
    enum err rc = loop_watch_open(k->loop, &k->watch, k->fd, on_socket, k, f);
    if (rc == ERR_OK) rc = say_hello(k, f);
    if (rc != ERR_OK) kid_kill(k);
    return rc;
}

enum err kid_open(struct kid *k, struct loop *loop, const struct wire_hello *hello,
                  const struct kid_events *on, struct fail *f) {
    *k = (struct kid){.loop = loop, .on = *on, .hello = *hello, .fd = -1};
    enum err rc = loop_timer_open(loop, &k->restart, on_restart, k, f);
    return rc == ERR_OK ? start(k, f) : rc;
}

static void on_restart(void *ctx) {
    struct kid *k = ctx;
    struct fail f = {0};
    if (k->is_stopping || k->pid > 0) return;
    if (start(k, &f) != ERR_OK) {
        log_fail(LOG_ERROR, "child.start", &f);
        if (k->pid == 0) loop_timer_set(k->restart, RESTART_MAX_MS);
    }
}

void kid_kill(struct kid *k) {
    if (k->pid > 0) kill(k->pid, SIGKILL);
}

static void hang_up(struct kid *k) {
    loop_watch_close(k->watch);
    k->watch = NULL;
    if (k->fd >= 0) close(k->fd);
    k->fd = -1;
    wire_reader_free(&k->reader);
}

/* A child that never became ready is started more and more slowly. */
static int64_t restart_delay_ms(struct kid *k) {
    if (k->is_ready) {
        k->n_early_deaths = 0;
        return 0;
    }
    int shift = k->n_early_deaths < SHIFT_MAX ? k->n_early_deaths : SHIFT_MAX;
    int64_t ms = (int64_t)RESTART_MIN_MS << shift;
    k->n_early_deaths++;
    return ms < RESTART_MAX_MS ? ms : RESTART_MAX_MS;
}

void kid_reap(struct kid *k) {
    int status = 0;
    if (k->pid == 0 || waitpid(k->pid, &status, WNOHANG) != k->pid) return;
    log_line(LOG_WARN, "child.gone", "pid=%d exit=%d signal=%d", (int)k->pid,
             WIFEXITED(status) ? WEXITSTATUS(status) : -1,
             WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    k->pid = 0;   /* the number may be anybody's from now on */
    on_socket(k); /* its last words, when it had any */
    hang_up(k);
    int64_t delay_ms = restart_delay_ms(k);
    k->is_ready = k->is_busy = false;
    if (k->is_stopping) return;
    loop_timer_set(k->restart, delay_ms);
    k->on.gone(k->on.ctx, status);
}

void kid_stop(struct kid *k) {
    k->is_stopping = true;
    if (k->restart) loop_timer_stop(k->restart);
    if (k->pid == 0) return;
    kid_kill(k);
    while (waitpid(k->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    k->pid = 0;
    hang_up(k);
}

void kid_job(struct kid *k, const struct wire_job *job) {
    struct buf b;
    struct fail f = {0};
    ASSERT(k->is_ready && !k->is_busy);
    k->is_busy = true;
    buf_make(&b, WIRE_BODY_MAX);
    enum err rc = wire_write_job(&b, job, &f);
    if (rc == ERR_OK) rc = wire_send(k->fd, WIRE_JOB, (struct str){b.data, b.len}, &f);
    buf_free(&b);
    if (rc == ERR_OK) return;
    log_fail(LOG_ERROR, "child.send", &f);
    kid_kill(k);
}

void kid_cancel(struct kid *k) {
    struct fail f = {0};
    if (!k->is_busy || wire_send(k->fd, WIRE_CANCEL, (struct str){"", 0}, &f) == ERR_OK) return;
    log_fail(LOG_ERROR, "child.send", &f);
    kid_kill(k);
}

/* ---- what it says ---- */

static enum err hear_ready(struct kid *k, struct str body, struct fail *f) {
    (void)body;
    if (k->is_ready) return FAIL(f, ERR_CORRUPT, "kid: ready twice");
    k->is_ready = true;
    k->on.ready(k->on.ctx);
    return ERR_OK;
}

static enum err hear_progress(struct kid *k, struct str body, struct fail *f) {
    struct wire_progress p;
    enum err rc = wire_read_progress(&p, body, f);
    if (rc == ERR_OK && k->is_busy) k->on.progress(k->on.ctx, &p);
    return rc;
}

static enum err hear_done(struct kid *k, struct str body, struct fail *f) {
    struct receipt receipt;
    enum err rc = receipt_parse(&receipt, body.p, body.n, f);
    if (rc != ERR_OK || !k->is_busy) return ERR_CORRUPT;
    k->is_busy = false;
    k->on.done(k->on.ctx, &receipt);
    return ERR_OK;
}

static enum err hear_err(struct kid *k, struct str body, struct fail *f) {
    struct fail why;
    enum err rc = wire_read_err(&why, body, f);
    if (rc != ERR_OK) return rc;
    bool is_refusal = !k->is_ready;
    if (!is_refusal && !k->is_busy) return FAIL(f, ERR_CORRUPT, "kid: an answer without a job");
    k->is_busy = false;
    (is_refusal ? k->on.refused : k->on.failed)(k->on.ctx, &why);
    return ERR_OK;
}

static enum err (*const hear[WIRE_TYPE_COUNT])(struct kid *, struct str, struct fail *) = {
    [WIRE_READY] = hear_ready,
    [WIRE_PROGRESS] = hear_progress,
    [WIRE_DONE] = hear_done,
    [WIRE_ERR] = hear_err,
};

/* Reads what is there. Its callbacks may kill or stop the child, so nothing is kept across them. */
static void on_socket(void *ctx) {
    struct kid *k = ctx;
    struct wire_frame frame;
    struct fail f = {0};
    enum err rc = ERR_OK;
    if (k->fd < 0) return;
    rc = wire_fill(&k->reader, k->fd, &f);
    bool is_closed = rc == ERR_IO;
    if (rc != ERR_OK && rc != ERR_TIMEOUT && !is_closed) goto bad;
    while (k->fd >= 0 && (rc = wire_next(&k->reader, &frame, &f)) == ERR_OK) {
        rc = hear[frame.type] ? hear[frame.type](k, frame.body, &f)
                              : FAIL(&f, ERR_CORRUPT, "kid: a frame that only we may send");
        if (rc != ERR_OK) goto bad;
        if (k->fd >= 0) wire_drop(&k->reader, &frame);
    }
    if (k->fd >= 0 && rc == ERR_CORRUPT) goto bad;
    if (is_closed && k->watch) { /* SIGCHLD tells the rest; without this the loop would spin */
        loop_watch_close(k->watch);
        k->watch = NULL;
        kid_kill(k);
    }
    return;
bad:
    log_fail(LOG_ERROR, "child.nonsense", &f);
    kid_kill(k);
    loop_watch_close(k->watch);
    k->watch = NULL;
}
