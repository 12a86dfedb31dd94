/* main.c - misora-server: options, start, signals, drain.
 *
 * The main thread only waits for signals. SIGTERM or SIGINT: /readyz says no and every reply closes
 * its connection, so a proxy lets go of this server; after drain_notice the port closes, what waits
 * is answered, what runs may end within `drain`, then the process ends with 0. Nobody is refused
 * before `drain` is over. A second signal ends the process at once. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/log.h"
#include "common/base/now.h"
#include "common/fetch.h"
#include "common/queue.h"
#include "server/app.h"
#include "server/routes.h"
#include "server/server.h"

enum { METRICS_THREADS = 2, METRICS_CONNECTIONS = 32, TICK_MS = 50, QUIET_MS = 300 };

struct doors {
    struct http *api, *metrics;
};

static enum err open_doors(struct doors *d, struct server *s, struct fail *f) {
    const struct options *o = &s->opts;
    const struct http_app api = app_api(s), metrics = app_metrics(s);
    const struct http_opts api_opts = {.address = o->bind,
                                       .port = (int)o->port,
                                       .n_threads = (int)o->threads,
                                       .max_connections = (int)o->max_connections,
                                       .idle_timeout_s = (int)(o->idle_timeout_ms / 1000)};
    const struct http_opts metrics_opts = {.address = o->metrics_bind,
                                           .port = (int)o->metrics_port,
                                           .n_threads = METRICS_THREADS,
                                           .max_connections = METRICS_CONNECTIONS,
                                           .idle_timeout_s = 30};
    enum err rc = http_start(&d->metrics, &metrics, &metrics_opts, f);
    return rc == ERR_OK ? http_start(&d->api, &api, &api_opts, f) : rc;
}

/* Waits up to `ms` for another signal; true when one came. */
static bool wait_signal(const sigset_t *set, int64_t ms) {
    const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    return sigtimedwait(set, NULL, &t) > 0;
}

static void must_leave_at_once(const sigset_t *set, int64_t ms) {
    if (!wait_signal(set, ms)) return;
    log_line(LOG_WARN, "server.killed", "why=second_signal");
    _exit(EXIT_CODE_RETRY);
}

/* Until nothing runs and for a moment nothing came: a proxy may just have sent a request on a
 * connection that it kept. */
static void wait_quiet(struct doors *d, const sigset_t *set, int64_t until) {
    int64_t busy = now_mono_ms();
    while (now_mono_ms() < until && now_mono_ms() - busy < QUIET_MS) {
        if (http_count_active(d->api) > 0) busy = now_mono_ms();
        must_leave_at_once(set, TICK_MS);
    }
}

static void drain(struct server *s, struct doors *d, const sigset_t *set) {
    atomic_store(&s->is_leaving, true);
    log_line(LOG_INFO, "server.leaving", "active=%d", http_count_active(d->api));
    must_leave_at_once(set, s->opts.drain_notice_ms);
    http_quiesce(d->api);
    hub_drain(s->hub);
    wait_quiet(d, set, now_mono_ms() + s->opts.drain_ms);
    atomic_store(&s->is_closed, true);
    log_line(LOG_INFO, "server.down", "cut=%d", http_count_active(d->api));
}

/* Redis may come later than we do; a Redis that is not ours is an error at once. */
static enum err check_queue(struct server *s, struct fail *f) {
    struct redis *r = NULL;
    enum err rc = redis_pool_borrow(s->pool, &r, f);
    if (rc == ERR_OK) rc = queue_check(r, f);
    redis_pool_give(s->pool, r);
    if (rc != ERR_UNAVAILABLE || redis_pool_is_refused(s->pool)) return rc;
    log_fail(LOG_WARN, "server.no_redis", f);
    return ERR_OK;
}

static enum err run(struct server *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct doors d = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before threads: they inherit it */
    TRY(fetch_start(f));
    TRY(server_open(s, f));
    TRY(check_queue(s, f));
    TRY(open_doors(&d, s, f));
    log_line(LOG_INFO, "server.up", "port=%d metrics_port=%d pid=%d", http_port(d.api),
             http_port(d.metrics), (int)getpid());
    while (sigwaitinfo(&set, NULL) < 0)
        continue;
    drain(s, &d, &set);
out:
    http_stop(d.api);
    http_stop(d.metrics);
    server_close(s);
    fetch_stop();
    return rc;
}

static bool has_flag(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0) return true;
    return false;
}

/* Rules over several options hold for --check-config as for a start. */
static enum err check_options(const struct options *o, struct fail *f) {
    enum log_level level;
    enum err rc = options_check(o, f);
    if (rc == ERR_OK && log_parse_level(o->log_level, &level)) log_set_level(level);
    return rc;
}

int main(int argc, char **argv) {
    static struct server server;
    struct fail f = {0};
    enum config_verdict verdict = CONFIG_RUN;
    int exit_code = EXIT_CODE_CONFIG;
    if (has_flag(argc, argv, "--routes")) {
        routes_print(stdout);
        return 0;
    }
    if (has_flag(argc, argv, "--problems")) {
        problem_print(stdout);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    enum err rc = config_read(&options_table, &server.opts, argc, argv, &verdict, &exit_code, &f);
    if (rc == ERR_OK && (verdict == CONFIG_RUN || has_flag(argc, argv, "--check-config"))) {
        rc = check_options(&server.opts, &f);
        exit_code = EXIT_CODE_CONFIG;
        if (rc == ERR_OK && verdict == CONFIG_RUN) rc = run(&server, &f);
        if (rc == ERR_UNAVAILABLE) exit_code = EXIT_CODE_UNAVAILABLE;
    }
    if (rc == ERR_OK) return 0;
    fprintf(stderr, "misora-server: %s\n", f.text);
    return exit_code;
}
