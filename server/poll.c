#include "server/poll.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/queue_view.h"
#include "server/videos.h"

enum { POLLS_PER_TENANT = 500 };

static void free_poll(void *state) {
    struct poll *p = state;
    hub_unwatch(p->server->hub, &p->watcher);
    mem_free(p);
}

struct poll *poll_find(struct request *req) {
    return req->state_free == free_poll ? req->state : NULL;
}

/* Prefer: a, wait=30; b - numbers out of range are brought into it, nonsense is ignored, as RFC
 * 7240 asks. */
static int prefer_wait(const struct request *req) {
    for (int i = 0; i < req->n_headers; i++) {
        struct str rest = req->headers[i].value, part, key;
        if (!str_eq_nocase(req->headers[i].name, "prefer")) continue;
        while (str_split(&rest, ',', &part)) {
            struct str value = str_trim(part);
            int64_t n = 0;
            if (!str_split(&value, '=', &key) || !value.p || !str_eq_nocase(str_trim(key), "wait"))
                continue;
            if (!str_parse_i64(str_trim(value), INT32_MIN, INT64_MAX, &n)) continue;
            return n < 0 ? 0 : n > LIMIT_WAIT_SECONDS ? LIMIT_WAIT_SECONDS : (int)n;
        }
    }
    return 0;
}

static bool read_number(struct request *req, const char *name, int64_t max, int64_t *out) {
    struct str s = {0};
    int found = request_query(req, name, &s);
    if (found == 0) return true;
    if (found == 1 && str_parse_i64(s, 0, max, out)) return true;
    request_reply_error(req, PROBLEM_INVALID_VALUE, name,
                        "%s must be a whole number from 0 to %lld", name, (long long)max);
    return false;
}

int poll_seconds(struct request *req, int64_t *after_progress) {
    int64_t wait = -1;
    *after_progress = -1;
    if (!read_number(req, "wait", LIMIT_WAIT_SECONDS, &wait) ||
        !read_number(req, "after_progress", 100, after_progress))
        return -1;
    if (wait >= 0) return (int)wait;
    wait = prefer_wait(req);
    if (wait > 0) request_reply_header(req, "Preference-Applied", "wait=%d", (int)wait);
    return (int)wait;
}

static bool is_news(const struct poll *p, const struct queue_job *job) {
    if (job_state_is_ended(job->state)) return true;
    return p->after_progress >= 0 && job->progress > p->after_progress;
}

/* True when the reply is set; false: nothing new. */
static bool look(struct server *s, struct request *req, struct poll *p) {
    struct redis *r = NULL;
    struct fail f = {0};
    struct queue_view view = {0};
    bool is_over = now_mono_ms() >= p->deadline_ms || !p->watcher.is_listed || req->is_gone ||
                   hub_is_draining(s->hub);
    if (server_borrow(s, req, &r) != ERR_OK) return true;
    enum err rc = queue_view_get(r, &view, p->id, req->tenant, &f);
    server_give(s, req, r);
    if (rc == ERR_OK && !is_over && !is_news(p, &view.job)) {
        queue_view_free(&view);
        return false;
    }
    if (rc == ERR_OK)
        videos_reply(s, req, &view.job, &p->extra);
    else
        server_reply_fail(req, &f);
    queue_view_free(&view);
    return true;
}

void poll_continue(struct server *s, struct request *req) {
    struct poll *p = poll_find(req);
    ASSERT(p);
    while (!look(s, req, p))
        if (hub_sleep(s->hub, &p->watcher, p->deadline_ms)) return;
}

void poll_start(struct server *s, struct request *req, const char *id, int seconds,
                int64_t after_progress, const struct video_extra *extra) {
    struct poll *p = mem_take(1, sizeof(*p));
    if (!p) {
        request_reply_error(req, PROBLEM_UNAVAILABLE, "", "the server is out of memory now");
        return;
    }
    p->server = s;
    p->deadline_ms = now_mono_ms() + seconds * 1000;
    p->after_progress = after_progress;
    if (extra) p->extra = *extra;
    (void)str_copy(p->id, sizeof(p->id), str_of(id));
    if (req->state_free) req->state_free(req->state);
    req->state = p;
    req->state_free = free_poll;
    /* Without a place among the watchers the first look answers. */
    (void)!hub_watch(s->hub, &p->watcher, req, id, POLLS_PER_TENANT);
    poll_continue(s, req);
}
