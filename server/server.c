#include "server/server.h"

#include "common/base/log.h"
#include "common/base/now.h"
#include "common/queue.h"
#include "server/auth.h"
#include "server/routes.h"

enum err server_open(struct server *s, struct fail *f) {
    const struct options *o = &s->opts;
    enum err rc = ERR_OK;
    const struct redis_opts redis = {
        .url = o->redis_url,
        .password = o->redis_password && o->redis_password[0] ? o->redis_password : NULL,
        .ns = o->namespace,
        .timeout_ms = REDIS_CALL_MS,
        .max_conns = (int)o->threads + 8};
    s->routes = &routes_api;
    breaker_make(&s->breaker);
    pulse_make(&s->pulse);
    s->store.root_fd = s->store.tmp_fd = s->store.obj_fd = -1;
    s->hooks = (struct guard_rules){.allow_http = o->webhook_http,
                                    .allow_private = o->webhook_private,
                                    .allow_high_ports = true};
    TRY(models_load(&s->models, o->models_dir, o->model_aliases, f));
    TRY(store_open_backed(&s->store, o->store_dir, &s->s3, &o->s3, f));
    TRY(redis_pool_open(&s->pool, &redis, f));
    TRY(meter_make(&s->meter, s->routes, f));
    TRY(auth_make(&s->auth, f));
    TRY(hub_start(&s->hub, s->pool, (int)o->max_parked, f));
out:
    return rc;
}

void server_close(struct server *s) {
    hub_stop(s->hub);
    auth_free(s->auth);
    meter_free(s->meter);
    redis_pool_close(s->pool);
    breaker_free(&s->breaker);
    pulse_free(&s->pulse);
    if (s->store.root_fd >= 0) store_close(&s->store);
    config_free(&options_table, &s->opts);
}

void server_note_fail(const struct request *req, const struct fail *f, struct problem *p) {
    char why[sizeof(f->text) + 8];
    problem_from(p, f);
    if (problem_row(p->kind)->status < 500) return;
    log_line(LOG_ERROR, "request.failed", "id=%s code=%s at=%s why=%s", req->id, err_name(f->code),
             f->where ? f->where : "-", log_value(why, sizeof(why), f->text));
}

void server_reply_fail(struct request *req, const struct fail *f) {
    struct problem p;
    server_note_fail(req, f, &p);
    request_reply_problem(req, &p);
}

enum err server_lend(struct server *s, struct request *req, struct redis **out, struct fail *f) {
    req->borrowed_ms = now_mono_ms();
    *out = NULL;
    if (!breaker_may_pass(&s->breaker, req->borrowed_ms))
        return FAIL(f, ERR_UNAVAILABLE, "Redis was too slow a moment ago");
    enum err rc = redis_pool_borrow(s->pool, out, f);
    if (rc != ERR_OK) breaker_note(&s->breaker, req->borrowed_ms, now_mono_ms());
    return rc;
}

enum err server_borrow(struct server *s, struct request *req, struct redis **out) {
    struct fail f = {0};
    enum err rc = server_lend(s, req, out, &f);
    if (rc != ERR_OK) server_reply_fail(req, &f);
    return rc;
}

void server_give(struct server *s, struct request *req, struct redis *r) {
    if (!r) return;
    breaker_note(&s->breaker, req->borrowed_ms, now_mono_ms());
    redis_pool_give(s->pool, r);
}
