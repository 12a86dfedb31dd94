#include "server/events.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/queue_event.h"
#include "common/queue_view.h"
#include "server/video.h"
#include "server/videos.h"

enum { PENDING_MAX = 1024 * 1024 };

/* One open stream. Owner: the thread of its exchange, between parks. */
struct feed {
    struct server *server;
    struct hub_watcher watcher;
    char job[QUEUE_ID_MAX];
    char tenant[QUEUE_NAME_MAX];
    char last[QUEUE_EVENT_ID_MAX]; /* id of the newest event that was written */
    struct buf pending;
    size_t n_sent; /* of pending */
    bool is_over;
    int64_t comment_ms; /* monotonic: when the next comment is due */
};

static void free_feed(void *ctx) {
    struct feed *feed = ctx;
    hub_unwatch(feed->server->hub, &feed->watcher);
    buf_free(&feed->pending);
    mem_free(feed);
}

/* ---- writing events ---- */

static const char *const status_events[JOB_STATE_COUNT] = {
    [JOB_STATE_QUEUED] = "video.queued",       [JOB_STATE_SCHEDULED] = "video.queued",
    [JOB_STATE_RUNNING] = "video.in_progress", [JOB_STATE_SUCCEEDED] = "video.completed",
    [JOB_STATE_FAILED] = "video.failed",       [JOB_STATE_CANCELED] = "video.failed",
    [JOB_STATE_EXPIRED] = "video.failed",
};

static enum err open_event(struct feed *feed, const char *id, const char *type, struct fail *f) {
    return buf_addf(&feed->pending, f, "id: %s\nevent: %s\ndata: ", id, type);
}

/* A snapshot carries the whole Video. */
static enum err add_snapshot(struct feed *feed, const struct queue_job *job, const char *id,
                             struct fail *f) {
    enum err rc = ERR_OK;
    struct doc_out o;
    const char *type = status_events[job->state] ? status_events[job->state] : "video.queued";
    TRY(open_event(feed, id, type, f));
    doc_out_make(&o, &feed->pending);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "type", type);
    doc_put_text(&o, "video_id", job->id);
    TRY(video_put(&o, "video", job, NULL, f));
    doc_close_object(&o);
    TRY(doc_done(&o, f));
    TRY(buf_add_str(&feed->pending, "\n\n", f));
    (void)str_copy(feed->last, sizeof(feed->last), str_of(id));
    if (job_state_is_ended(job->state)) feed->is_over = true;
out:
    return rc;
}

static const char *event_type(const struct queue_event *e) {
    switch (e->what) {
    case QUEUE_HAPPENING_CREATED:
    case QUEUE_HAPPENING_REQUEUED: return "video.queued";
    case QUEUE_HAPPENING_STARTED: return "video.in_progress";
    case QUEUE_HAPPENING_PROGRESS: return "video.progress";
    case QUEUE_HAPPENING_CANCELING: return "video.cancelling";
    default: return NULL;
    }
}

static enum err add_step(struct feed *feed, const struct queue_event *e, struct fail *f) {
    enum err rc = ERR_OK;
    struct doc_out o;
    const char *type = event_type(e);
    if (!type) return ERR_OK;
    TRY(open_event(feed, e->id, type, f));
    doc_out_make(&o, &feed->pending);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "type", type);
    doc_put_text(&o, "video_id", e->job);
    doc_put_text(&o, "status", job_state_status(e->state));
    doc_put_int(&o, "progress", e->progress > 99 ? 99 : e->progress);
    doc_put_text(&o, "phase", e->phase[0] ? e->phase : "queued");
    if (e->n_steps > 0) {
        doc_put_int(&o, "step", e->step);
        doc_put_int(&o, "total_steps", e->n_steps);
    }
    if (e->eta_ms >= 0) doc_put_real(&o, "eta_seconds", (double)e->eta_ms / 1000.0);
    doc_close_object(&o);
    TRY(doc_done(&o, f));
    TRY(buf_add_str(&feed->pending, "\n\n", f));
    (void)str_copy(feed->last, sizeof(feed->last), str_of(e->id));
out:
    return rc;
}

/* The last event shows the job as it is: ended jobs never change. */
static enum err add_end(struct feed *feed, struct redis *r, const char *id, struct fail *f) {
    struct queue_view view = {0};
    enum err rc = queue_view_get(r, &view, feed->job, feed->tenant, f);
    if (rc == ERR_OK) rc = add_snapshot(feed, &view.job, id, f);
    if (rc == ERR_NOT_FOUND) { /* deleted meanwhile */
        feed->is_over = true;
        rc = ERR_OK;
    }
    queue_view_free(&view);
    return rc;
}

static enum err add_events(struct feed *feed, struct redis *r, const struct queue_events *events,
                           struct fail *f) {
    enum err rc = ERR_OK;
    if (events->is_cut) {
        struct queue_view view = {0};
        TRY(queue_view_get(r, &view, feed->job, feed->tenant, f));
        rc = add_snapshot(feed, &view.job, view.job.last_event, f);
        queue_view_free(&view);
        return rc;
    }
    for (int i = 0; i < events->n_events && !feed->is_over; i++) {
        const struct queue_event *e = &events->event[i];
        if (e->what == QUEUE_HAPPENING_DELETED) feed->is_over = true;
        if (e->what == QUEUE_HAPPENING_ENDED)
            TRY(add_end(feed, r, e->id, f));
        else
            TRY(add_step(feed, e, f));
    }
out:
    return rc;
}

/* ---- reading ---- */

/* Fills `pending` with what is new; the stream ends when that cannot be known. */
static void refill(struct feed *feed) {
    struct redis *r = NULL;
    struct fail f = {0};
    struct queue_events *events = mem_take(1, sizeof(*events));
    buf_clear(&feed->pending);
    feed->n_sent = 0;
    enum err rc = events ? server_lend(feed->server, feed->watcher.req, &r, &f) : ERR_NOMEM;
    if (rc == ERR_OK) rc = queue_event_read(r, events, feed->job, feed->last, &f);
    if (rc == ERR_OK) rc = add_events(feed, r, events, &f);
    server_give(feed->server, feed->watcher.req, r);
    mem_free(events);
    if (rc == ERR_OK) return;
    feed->is_over = true; /* the client comes back with Last-Event-ID */
    log_line(rc == ERR_UNAVAILABLE ? LOG_DEBUG : LOG_WARN, "events.cut", "job=%s code=%s why=%s",
             feed->job, err_name(rc), f.text); /* hub.away tells of an outage once */
}

static ssize_t take_pending(struct feed *feed, char *out, size_t max) {
    size_t n = feed->pending.len - feed->n_sent;
    if (n > max) n = max;
    memcpy(out, feed->pending.data + feed->n_sent, n);
    feed->n_sent += n;
    feed->comment_ms = now_mono_ms() + EVENTS_COMMENT_MS;
    return (ssize_t)n;
}

static ssize_t read_feed(void *ctx, char *out, size_t max) {
    struct feed *feed = ctx;
    for (;;) {
        if (feed->n_sent < feed->pending.len) return take_pending(feed, out, max);
        if (feed->is_over || feed->watcher.req->is_gone || hub_is_draining(feed->server->hub))
            return -1;
        refill(feed);
        if (feed->pending.len) continue;
        if (feed->is_over) return -1;
        if (now_mono_ms() >= feed->comment_ms &&
            buf_add_str(&feed->pending, ": keep-alive\n\n", NULL) == ERR_OK)
            continue;
        if (hub_sleep(feed->server->hub, &feed->watcher, feed->comment_ms)) return 0;
    }
}

/* ---- opening ---- */

static bool is_event_id(struct str s) {
    struct str seq = s, ms;
    int64_t n;
    return s.n < QUEUE_EVENT_ID_MAX && str_split(&seq, '-', &ms) && seq.p &&
           str_parse_i64(ms, 0, INT64_MAX, &n) && str_parse_i64(seq, 0, INT64_MAX, &n);
}

/* True when a is at or before b. */
static bool is_not_after(struct str a, const char *b) {
    struct str a_seq = a, b_seq = str_of(b), a_ms, b_ms;
    int64_t am, as, bm, bs;
    if (!str_split(&a_seq, '-', &a_ms) || !str_split(&b_seq, '-', &b_ms)) return false;
    if (!str_parse_i64(a_ms, 0, INT64_MAX, &am) || !str_parse_i64(b_ms, 0, INT64_MAX, &bm) ||
        !str_parse_i64(a_seq, 0, INT64_MAX, &as) || !str_parse_i64(b_seq, 0, INT64_MAX, &bs))
        return false;
    return am < bm || (am == bm && as <= bs);
}

/* Goes on behind Last-Event-ID when that can be; else begins with a snapshot. */
static enum err begin_feed(struct feed *feed, const struct request *req,
                           const struct queue_job *job, struct fail *f) {
    struct str last = request_header(req, "last-event-id");
    enum err rc = buf_addf(&feed->pending, f, "retry: 3000\n\n");
    if (rc != ERR_OK) return rc;
    if (!last.n || !is_event_id(last) || !is_not_after(last, job->last_event))
        return add_snapshot(feed, job, job->last_event, f);
    (void)str_copy(feed->last, sizeof(feed->last), last);
    feed->is_over = job_state_is_ended(job->state) && str_eq(last, job->last_event);
    return ERR_OK;
}

static struct feed *make_feed(struct server *s, struct request *req, const char *id) {
    struct feed *feed = mem_take(1, sizeof(*feed));
    if (!feed) {
        request_reply_error(req, PROBLEM_UNAVAILABLE, "", "the server is out of memory now");
        return NULL;
    }
    feed->server = s;
    feed->watcher.kind = HUB_STREAM;
    buf_make(&feed->pending, PENDING_MAX);
    feed->comment_ms = now_mono_ms() + EVENTS_COMMENT_MS;
    (void)str_copy(feed->job, sizeof(feed->job), str_of(id));
    (void)str_copy(feed->tenant, sizeof(feed->tenant), str_of(req->tenant));
    req->state = feed;
    req->state_free = free_feed;
    enum err rc = hub_watch(s->hub, &feed->watcher, req, id, LIMIT_SSE_PER_KEY);
    /* Draining: a snapshot and the end. A browser comes back to another server after that, but not
     * after a 503. */
    if (rc == ERR_OK || hub_is_draining(s->hub)) return feed;
    if (rc == ERR_BUSY)
        request_reply_error(req, PROBLEM_UNAVAILABLE, "",
                            "this server has all the event streams it can hold; poll instead");
    else
        request_reply_error(req, PROBLEM_RATE_LIMIT_EXCEEDED, "",
                            "this key has %d event streams open; close one", LIMIT_SSE_PER_KEY);
    return NULL;
}

void events_get(struct server *s, struct request *req) {
    struct redis *r = NULL;
    struct queue_view view = {0};
    struct fail f = {0};
    const char *id = videos_id(req);
    if (!id) return;
    struct feed *feed = make_feed(s, req, id);
    if (!feed || server_borrow(s, req, &r) != ERR_OK) return;
    enum err rc = videos_find(req, r, &view);
    server_give(s, req, r);
    if (rc == ERR_OK && begin_feed(feed, req, &view.job, &f) != ERR_OK) server_reply_fail(req, &f);
    queue_view_free(&view);
    if (rc != ERR_OK || req->reply.status) return;
    req->reply.status = 200;
    req->reply.stream = (struct reply_stream){read_feed, NULL, feed};
    request_reply_header(req, "Content-Type", "text/event-stream");
    request_reply_header(req, "Cache-Control", "no-cache");
    request_reply_header(req, "X-Accel-Buffering", "no");
}
