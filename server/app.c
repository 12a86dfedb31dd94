#include "server/app.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/queue.h"
#include "server/auth.h"
#include "server/health.h"
#include "server/validate.h"

enum { IGNORED_BODY_MAX = 64 * 1024, LARGE_BODY = 256 * 1024 };

/* The body that is being read; the state of a request until its handler takes it. */
struct intake {
    struct server *server;
    struct body body;
    bool is_large; /* counted in n_large_bodies */
};

/* ---- CORS ---- */

#define EXPOSED                                                                        \
    "x-request-id, retry-after, retry-after-ms, openai-poll-after-ms, ratelimit, "     \
    "ratelimit-policy, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "   \
    "x-ratelimit-reset-requests, etag, content-range, content-disposition, location, " \
    "idempotency-replayed, preference-applied, server-timing"
#define ALLOWED                                                                                 \
    "authorization, content-type, idempotency-key, prefer, traceparent, last-event-id, range, " \
    "x-client-request-id, openai-organization, openai-project"

static bool is_header_list(struct str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool is_ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == ',' || c == ' ';
        if (!is_ok) return false;
    }
    return s.n < 600;
}

/* Keys travel in a header, never in cookies, so any origin may call. */
static void add_cors(struct request *req) {
    if (!request_header(req, "origin").p) return;
    request_reply_header(req, "Access-Control-Allow-Origin", "*");
    request_reply_header(req, "Access-Control-Expose-Headers", EXPOSED);
}

/* A star does not cover Authorization, so the names are listed; those that were asked for come
 * back too, since the SDKs send a family of x-stainless-*. */
static void reply_options(struct request *req, const char *allow) {
    struct str asked = request_header(req, "access-control-request-headers");
    req->reply.status = 204;
    request_reply_header(req, "Allow", "%s", allow);
    if (!request_header(req, "origin").p) return;
    bool has_more = asked.n && is_header_list(asked);
    request_reply_header(req, "Access-Control-Allow-Methods", "%s", allow);
    request_reply_header(req, "Access-Control-Allow-Headers", ALLOWED "%s%.*s",
                         has_more ? ", " : "", has_more ? (int)asked.n : 0,
                         has_more ? asked.p : "");
    request_reply_header(req, "Access-Control-Max-Age", "7200");
}

/* ---- begin ---- */

static void free_intake(void *state) {
    struct intake *in = state;
    if (in->is_large) atomic_fetch_sub(&in->server->n_large_bodies, 1);
    body_free(&in->body);
    mem_free(in);
}

static bool find_route(struct server *s, struct request *req) {
    char allow[ROUTE_ALLOW_MAX];
    switch (route_find(s->routes, req, allow)) {
    case ROUTE_FOUND: return true;
    case ROUTE_OPTIONS: reply_options(req, allow); return false;
    case ROUTE_NO_METHOD:
        request_reply_header(req, "Allow", "%s", allow);
        request_reply_error(req, PROBLEM_METHOD_NOT_ALLOWED, "", "this path answers to %s only",
                            allow);
        return false;
    case ROUTE_NO_PATH:
        request_reply_error(req, PROBLEM_NOT_FOUND, "", "there is nothing at this path");
        return false;
    }
    return false;
}

static int64_t body_cap(const struct server *s, const struct request *req) {
    switch (req->route->body) {
    case ROUTE_BODY_NONE: return IGNORED_BODY_MAX;
    case ROUTE_BODY_JSON: return LIMIT_JSON_BODY_BYTES;
    case ROUTE_BODY_FORM:
    case ROUTE_BODY_DRAIN: return s->opts.max_upload_bytes;
    case ROUTE_BODY_CLIP: return s->opts.max_video_bytes;
    }
    return 0;
}

static bool check_large(struct intake *in, int64_t n_bytes, struct problem *p) {
    struct server *s = in->server;
    if (in->is_large || n_bytes <= LARGE_BODY) return true;
    in->is_large = true;
    if (atomic_fetch_add(&s->n_large_bodies, 1) < s->opts.max_large_bodies) return true;
    (void)problem_set(p, PROBLEM_UNAVAILABLE, "", "too many uploads at once; try again");
    return false;
}

static void too_large(struct request *req, int64_t max) {
    request_reply_error(req, PROBLEM_PAYLOAD_TOO_LARGE, "",
                        "the body is larger than this route takes: at most %lld bytes",
                        (long long)max);
}

static void open_body(struct server *s, struct request *req) {
    struct problem p;
    struct str coding = request_header(req, "content-encoding");
    bool takes_form = req->route->body == ROUTE_BODY_FORM || req->route->body == ROUTE_BODY_CLIP;
    struct intake *in = mem_take(1, sizeof(*in));
    if (!in) {
        request_reply_error(req, PROBLEM_UNAVAILABLE, "", "the server is out of memory now");
        return;
    }
    in->server = s;
    req->state = in;
    req->state_free = free_intake;
    enum err rc = ERR_OK;
    if (coding.n && !str_eq_nocase(coding, "identity"))
        rc = problem_set(&p, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "",
                         "Content-Encoding is not supported; send the body as it is");
    if (rc == ERR_OK)
        rc = body_open(&in->body, &validate_schema, takes_form ? &s->store : NULL,
                       request_header(req, "content-type"), body_cap(s, req), &p);
    in->body.min_free_bytes = s->opts.min_free_bytes;
    if (rc == ERR_OK && !check_large(in, req->n_body, &p)) rc = ERR_INPUT;
    if (rc != ERR_OK) request_reply_problem(req, &p);
}

static void log_client_id(const struct request *req) {
    struct str theirs = request_header(req, "x-client-request-id");
    char text[128];
    if (!theirs.n || !str_copy(text, sizeof(text), theirs)) return;
    char value[300];
    log_line(LOG_DEBUG, "request.client", "id=%s theirs=%s", req->id,
             log_value(value, sizeof(value), text));
}

static void begin(void *ctx, struct request *req) {
    struct server *s = ctx;
    atomic_fetch_add(&s->n_active, 1);
    if (req->reply.status) return; /* the head was refused */
    add_cors(req);
    if (atomic_load(&s->is_closed)) {
        req->reply.must_close = true;
        request_reply_error(req, PROBLEM_DRAINING, "", "this server is going down; try again");
        return;
    }
    if (atomic_load(&s->is_leaving)) request_reply_header(req, "Connection", "close");
    if (!find_route(s, req)) return;
    log_client_id(req);
    if (req->route->auth == ROUTE_KEY) auth_check(s, req);
    if (req->reply.status) return;
    if (req->n_body > body_cap(s, req)) {
        too_large(req, body_cap(s, req));
        return;
    }
    if (req->route->body != ROUTE_BODY_NONE && req->route->body != ROUTE_BODY_DRAIN)
        open_body(s, req);
}

/* ---- body and finish ---- */

static void feed(void *ctx, struct request *req, const char *bytes, size_t n) {
    struct intake *in = req->state;
    struct problem p;
    if (!in) { /* a route that takes no body throws it away, but not without end */
        if (req->n_read > body_cap(ctx, req)) too_large(req, body_cap(ctx, req));
        return;
    }
    bool is_ok =
        body_feed(&in->body, bytes, n, &p) == ERR_OK && check_large(in, in->body.n_bytes, &p);
    if (!is_ok) request_reply_problem(req, &p);
}

static void finish(void *ctx, struct request *req) {
    struct server *s = ctx;
    struct problem p;
    struct intake *in = req->state_free == free_intake ? req->state : NULL;
    if (in && body_close(&in->body, &p) != ERR_OK) {
        request_reply_problem(req, &p);
        return;
    }
    req->route->handler(s, req);
}

struct body *app_body(struct request *req) {
    ASSERT(req->state_free == free_intake);
    return &((struct intake *)req->state)->body;
}

/* The reply of this create may not have reached its client, whose SDK will then try again. */
static void note_undelivered(struct server *s, struct request *req) {
    struct redis *r = NULL;
    if (server_lend(s, req, &r, NULL) != ERR_OK) return;
    (void)!queue_undelivered_add(r, req->tenant, req->born_fingerprint, req->born_id, NULL);
    server_give(s, req, r);
}

/* Probes that go well are noise; what failed is seen at the level of warnings. */
static enum log_level level_of(const struct request *req) {
    if (req->reply.status >= 500) return LOG_WARN;
    bool is_probe = req->route && req->route->auth == ROUTE_OPEN;
    return is_probe && req->reply.status < 400 ? LOG_DEBUG : LOG_INFO;
}

static void done(void *ctx, struct request *req, bool is_sent) {
    struct server *s = ctx;
    atomic_fetch_sub(&s->n_active, 1);
    bool is_known = is_sent && req->reply.status < 500; /* the client has the job's id */
    if (!is_known && req->born_id && req->born_fingerprint) note_undelivered(s, req);
    int64_t took_us = now_mono_us() - req->started_us;
    char path[200], shown[400];
    (void)str_copy(path, sizeof(path), req->path);
    meter_request(s->meter, req->route, req->reply.status, took_us);
    log_line(level_of(req), "http.done",
             "id=%s method=%.*s path=%s status=%d ms=%.1f kid=%s sent=%s", req->id,
             (int)(req->method.n < 16 ? req->method.n : 16), req->method.p,
             log_value(shown, sizeof(shown), path), req->reply.status, (double)took_us / 1000,
             req->kid[0] ? req->kid : "-", is_sent ? "yes" : "no");
}

struct http_app app_api(struct server *s) {
    return (struct http_app){s, begin, feed, finish, done};
}

/* ---- /metrics ---- */

static void begin_metrics(void *ctx, struct request *req) {
    struct server *s = ctx;
    struct fail f = {0};
    if (req->reply.status) return;
    if (!str_eq(req->path, "/metrics") || !(str_eq(req->method, "GET") || req->is_head)) {
        request_reply_error(req, PROBLEM_NOT_FOUND, "", "this socket has GET /metrics only");
        return;
    }
    health_measure(s, req);
    if (meter_write(s->meter, &req->reply.body, &f) != ERR_OK) {
        server_reply_fail(req, &f);
        return;
    }
    req->reply.status = 200;
    request_reply_header(req, "Content-Type", "text/plain; version=0.0.4");
}

static void feed_nothing(void *ctx, struct request *req, const char *bytes, size_t n) {
    (void)ctx, (void)req, (void)bytes, (void)n;
}

static void finish_nothing(void *ctx, struct request *req) {
    (void)ctx, (void)req;
    ASSERT(req->reply.status);
}

static void done_nothing(void *ctx, struct request *req, bool is_sent) {
    (void)ctx, (void)req, (void)is_sent;
}

struct http_app app_metrics(struct server *s) {
    return (struct http_app){s, begin_metrics, feed_nothing, finish_nothing, done_nothing};
}
