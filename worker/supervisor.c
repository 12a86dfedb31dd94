#include "worker/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/now.h"
#include "common/decode.h"
#include "common/fetch.h"
#include "worker/chores.h"
#include "worker/duty.h"
#include "worker/tally.h"

enum { CONNS_MAX = 16, DRAIN_LOOK_MS = 20 };

struct supervisor {
    const struct conf *conf;
    char worker[QUEUE_NAME_MAX];
    struct loop *loop;
    struct loop_timer *drain_look;
    struct redis_pool *pool;
    struct store store;
    struct s3 s3;
    struct spool spool;
    struct metrics *metrics;
    struct kid kid;
    struct duty duty;
    struct chores chores;
    bool is_leaving;
    int64_t leave_by_ms;
    int exit_code;
    struct fail why;
};

static void name_worker(struct supervisor *s) {
    char host[48] = "host";
    if (s->conf->worker_id[0]) {
        snprintf(s->worker, sizeof(s->worker), "%s", s->conf->worker_id);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    snprintf(s->worker, sizeof(s->worker), "%s-%s", host, s->spool.name);
}

/* ---- leaving ---- */

static void must_leave_now(struct supervisor *s) {
    log_line(LOG_WARN, "worker.killed", "state=%d", (int)s->duty.state);
    kid_stop(&s->kid);
    _exit(s->exit_code ? s->exit_code : EXIT_CODE_RETRY);
}

static void on_drain_look(void *ctx) {
    struct supervisor *s = ctx;
    if (duty_is_free(&s->duty) && loop_n_working(s->loop) == 0) {
        loop_stop(s->loop);
        return;
    }
    if (now_mono_ms() > s->leave_by_ms) must_leave_now(s);
    loop_timer_set(s->drain_look, DRAIN_LOOK_MS);
}

static void leave(struct supervisor *s, int exit_code) {
    if (s->is_leaving) return;
    s->is_leaving = true;
    s->exit_code = exit_code;
    s->leave_by_ms = now_mono_ms() + s->conf->drain_ms;
    log_line(LOG_INFO, "worker.leaving", "exit=%d", exit_code);
    chores_stop(&s->chores);
    duty_drain(&s->duty);
    loop_timer_set(s->drain_look, 0);
}

static void on_term(void *ctx) {
    struct supervisor *s = ctx;
    if (s->is_leaving) must_leave_now(s);
    leave(s, 0);
}

static void on_quit(void *ctx, int exit_code, const struct fail *why) {
    struct supervisor *s = ctx;
    log_fail(LOG_ERROR, "worker.quit", why);
    if (!s->is_leaving) s->why = *why;
    leave(s, exit_code);
}

static void on_hup(void *ctx) {
    (void)ctx; /* nothing to read again; a terminal that closes must not end a job */
}

/* ---- the child ---- */

static void on_child_signal(void *ctx) {
    kid_reap(&((struct supervisor *)ctx)->kid);
}

static void on_ready(void *ctx) {
    struct supervisor *s = ctx;
    log_line(LOG_INFO, "worker.ready", "worker=%s model=%s", s->worker, s->conf->model_dir);
    duty_on_ready(&s->duty);
}

static void on_refused(void *ctx, const struct fail *why) {
    on_quit(ctx, why->code == ERR_NOMEM ? EXIT_CODE_RETRY : EXIT_CODE_DATA, why);
}

static void on_progress(void *ctx, const struct wire_progress *p) {
    duty_on_progress(&((struct supervisor *)ctx)->duty, p);
}

static void on_done(void *ctx, const struct receipt *receipt) {
    duty_on_done(&((struct supervisor *)ctx)->duty, receipt);
}

static void on_failed(void *ctx, const struct fail *why) {
    duty_on_failed(&((struct supervisor *)ctx)->duty, why);
}

static void on_gone(void *ctx, int wait_status) {
    duty_on_gone(&((struct supervisor *)ctx)->duty, wait_status);
}

static void tell_s3(struct wire_hello *hello, const struct s3_conf *s3) {
    struct wire_s3 *out = &hello->s3;
    snprintf(out->endpoint, sizeof(out->endpoint), "%s", s3->endpoint);
    snprintf(out->bucket, sizeof(out->bucket), "%s", s3->bucket);
    snprintf(out->prefix, sizeof(out->prefix), "%s", s3->prefix);
    snprintf(out->region, sizeof(out->region), "%s", s3->region);
    snprintf(out->access_key, sizeof(out->access_key), "%s", s3->access_key);
    snprintf(out->secret_key, sizeof(out->secret_key), "%s", s3->secret_key);
}

static enum err start_child(struct supervisor *s, struct fail *f) {
    struct wire_hello hello = {.n_threads = (int)s->conf->threads};
    struct kid_events on = {s, on_ready, on_refused, on_progress, on_done, on_failed, on_gone};
    snprintf(hello.model_dir, sizeof(hello.model_dir), "%s", s->conf->model_dir);
    snprintf(hello.store_dir, sizeof(hello.store_dir), "%s", s->conf->store_dir);
    snprintf(hello.device, sizeof(hello.device), "%s", s->conf->device);
    snprintf(hello.precision, sizeof(hello.precision), "%s", s->conf->precision);
    snprintf(hello.cache_dir, sizeof(hello.cache_dir), "%s", s->conf->cache_dir);
    snprintf(hello.loras, sizeof(hello.loras), "%s", s->conf->loras);
    snprintf(hello.loras_late, sizeof(hello.loras_late), "%s", s->conf->loras_late);
    tell_s3(&hello, &s->conf->s3);
    hello.url_rules = (struct guard_rules){.allow_http = s->conf->webhook_http,
                                           .allow_private = s->conf->webhook_private,
                                           .allow_high_ports = true};
    decode_find_program(hello.decode_program, sizeof(hello.decode_program));
    return kid_open(&s->kid, s->loop, &hello, &on, f);
}

/* ---- start and end ---- */

static enum err write_metrics(void *ctx, struct buf *out, struct fail *f) {
    return metrics_write(((struct supervisor *)ctx)->metrics, out, f);
}

static enum err open_stores(struct supervisor *s, struct fail *f) {
    struct redis_opts redis = {.url = s->conf->redis_url,
                               .ns = s->conf->namespace,
                               .password =
                                   s->conf->redis_password[0] ? s->conf->redis_password : NULL,
                               .max_conns = CONNS_MAX};
    enum err rc = ERR_OK;
    TRY(fetch_start(f));
    TRY(store_open_backed(&s->store, s->conf->store_dir, &s->s3, &s->conf->s3, f));
    TRY(spool_open(&s->spool, s->conf->spool_dir, f));
    TRY(redis_pool_open(&s->pool, &redis, f));
    TRY(metrics_make(&s->metrics, tally_rows, TALLY_COUNT, f));
out:
    return rc == ERR_NOMEM || rc == ERR_OK ? rc : ERR_CONFIG;
}

static enum err open_loop(struct supervisor *s, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(loop_open(&s->loop, f));
    TRY(loop_timer_open(s->loop, &s->drain_look, on_drain_look, s, f));
    TRY(loop_signal(s->loop, SIGTERM, on_term, s, f));
    TRY(loop_signal(s->loop, SIGINT, on_term, s, f));
    TRY(loop_signal(s->loop, SIGHUP, on_hup, s, f));
    TRY(loop_signal(s->loop, SIGCHLD, on_child_signal, s, f));
    if (s->conf->metrics_port > 0)
        TRY(loop_serve(s->loop, (int)s->conf->metrics_port, write_metrics, s, f));
out:
    return rc;
}

static enum err open_work(struct supervisor *s, struct fail *f) {
    struct duty_opts duty = {.loop = s->loop,
                             .kid = &s->kid,
                             .conf = s->conf,
                             .worker = s->worker,
                             .deliver = {.pool = s->pool, .store = &s->store, .spool = &s->spool},
                             .metrics = s->metrics,
                             .ctx = s,
                             .quit = on_quit};
    struct chores_opts chores = {.loop = s->loop,
                                 .pool = s->pool,
                                 .store = &s->store,
                                 .conf = s->conf,
                                 .worker = s->worker,
                                 .metrics = s->metrics};
    enum err rc = ERR_OK;
    TRY(duty_open(&s->duty, &duty, f));
    TRY(chores_start(&s->chores, &chores, f));
    TRY(start_child(s, f));
    duty_recover(&s->duty);
out:
    return rc;
}

static void close_all(struct supervisor *s) {
    kid_stop(&s->kid);
    loop_close(s->loop);
    redis_pool_close(s->pool);
    spool_close(&s->spool);
    store_close(&s->store);
    metrics_free(s->metrics);
    fetch_stop();
}

enum err supervisor_run(const struct conf *conf, int *exit_code, struct fail *f) {
    static struct supervisor s; /* large; one per process */
    enum err rc = ERR_OK;
    s = (struct supervisor){.conf = conf, .spool = {.dir_fd = -1, .lock_fd = -1}};
    s.store = (struct store){.root_fd = -1, .tmp_fd = -1, .obj_fd = -1};
    signal(SIGPIPE, SIG_IGN);

    TRY(open_stores(&s, f));
    name_worker(&s);
    TRY(open_loop(&s, f));
    TRY(open_work(&s, f));
    log_line(LOG_INFO, "worker.up", "worker=%s pid=%d", s.worker, (int)getpid());
    loop_run(s.loop);
    *exit_code = s.exit_code;
    if (s.exit_code != 0) rc = FAIL(f, s.why.code, "%s", s.why.text);
out:
    close_all(&s);
    return rc;
}
