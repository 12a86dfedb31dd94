#include "server/videos.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "server/poll.h"

enum { LIST_LIMIT = 20, PAGES_MAX = 20 };

static void not_found(struct request *req) {
    request_reply_error(req, PROBLEM_VIDEO_NOT_FOUND, "id", "there is no video with this id");
}

const char *videos_id(struct request *req) {
    if (!id_is_valid(req->path_id, "video_")) {
        not_found(req);
        return NULL;
    }
    const char *id = arena_copy(&req->mem, req->path_id.p, req->path_id.n);
    if (!id) request_reply_error(req, PROBLEM_UNAVAILABLE, "", "the server is out of memory now");
    return id;
}

enum err videos_find(struct request *req, struct redis *r, struct queue_view *out) {
    struct fail f = {0};
    const char *id = videos_id(req);
    if (!id) return ERR_NOT_FOUND;
    enum err rc = queue_view_get(r, out, id, req->tenant, &f);
    if (rc == ERR_NOT_FOUND)
        not_found(req);
    else if (rc != ERR_OK)
        server_reply_fail(req, &f);
    return rc;
}

void videos_reply(struct server *s, struct request *req, const struct queue_job *job,
                  const struct video_extra *extra) {
    struct doc_out o;
    struct fail f = {0};
    doc_out_make(&o, &req->reply.body);
    enum err rc = video_put(&o, NULL, job, extra, &f);
    if (rc == ERR_OK) rc = doc_done(&o, &f);
    if (rc != ERR_OK) {
        buf_clear(&req->reply.body);
        server_reply_fail(req, &f);
        return;
    }
    if (job_state_is_ended(job->state) && job->started_ms && job->done_ms >= job->started_ms)
        request_reply_header(req, "Server-Timing", "queue;dur=%lld, compute;dur=%lld",
                             (long long)(job->started_ms - job->created_ms),
                             (long long)(job->done_ms - job->started_ms));
    /* The SDKs' helpers keep the first value for the whole loop: never an ETA. */
    if (!job_state_is_ended(job->state))
        request_reply_header(req, "openai-poll-after-ms", "%lld", (long long)s->opts.poll_after_ms);
    request_reply_json(req, 200);
}

void videos_get(struct server *s, struct request *req) {
    struct redis *r = NULL;
    struct queue_view view = {0};
    int64_t after = -1;
    if (poll_find(req)) {
        poll_continue(s, req);
        return;
    }
    int wait_s = poll_seconds(req, &after);
    if (wait_s < 0) return;
    const char *id = videos_id(req);
    if (!id) return;
    if (wait_s > 0) {
        poll_start(s, req, id, wait_s, after, NULL);
        return;
    }
    if (server_borrow(s, req, &r) != ERR_OK) return;
    enum err rc = videos_find(req, r, &view);
    server_give(s, req, r);
    if (rc == ERR_OK) videos_reply(s, req, &view.job, NULL);
    queue_view_free(&view);
}

/* ---- list ---- */

static bool read_sort(struct request *req, enum queue_sort *out) {
    struct str s = {0};
    int found = request_query(req, "order", &s);
    *out = QUEUE_NEWEST_FIRST;
    if (found == 0 || (found == 1 && str_eq(s, "desc"))) return true;
    if (found == 1 && str_eq(s, "asc")) {
        *out = QUEUE_OLDEST_FIRST;
        return true;
    }
    request_reply_error(req, PROBLEM_INVALID_VALUE, "order", "order must be asc or desc");
    return false;
}

/* The cursor need not exist any more: a client may delete while it pages. */
static bool read_page(struct request *req, struct queue_page_query *q) {
    struct str limit = {0}, after = {0};
    int64_t n = LIST_LIMIT;
    int found = request_query(req, "limit", &limit);
    if (found < 0 || (found && !str_parse_i64(limit, 1, LIMIT_LIST_ROWS, &n))) {
        request_reply_error(req, PROBLEM_INVALID_VALUE, "limit", "limit must be from 1 to %d",
                            LIMIT_LIST_ROWS);
        return false;
    }
    q->limit = (int)n;
    found = request_query(req, "after", &after);
    if (found < 0 || (found && !id_is_valid(after, "video_"))) {
        request_reply_error(req, PROBLEM_INVALID_VALUE, "after",
                            "after must be the id of a video: take last_id of the page before");
        return false;
    }
    q->after = found ? after.p : NULL;
    return read_sort(req, &q->sort);
}

/* Stills are jobs too, but no videos: GET by id finds them, the list leaves them out. The canonical
 * request begins with its operation. */
static bool is_listed(const struct queue_job *job) {
    return !str_starts(str_of(job->spec), "{\"operation\":\"image\"");
}

static bool has_listed(const struct queue_page *page) {
    for (int i = 0; i < page->n_jobs; i++)
        if (is_listed(&page->job[i])) return true;
    return false;
}

/* A page of stills alone would end a client's paging: the next one is read in its place. */
static enum err read_listed(struct redis *r, struct queue_page *page, struct queue_page_query *q,
                            struct request *req, struct fail *f) {
    enum err rc = queue_view_list(r, page, q, f);
    for (int i = 0; rc == ERR_OK && page->has_more && !has_listed(page) && i < PAGES_MAX; i++) {
        const char *last = page->job[page->n_jobs - 1].id;
        q->after = arena_copy(&req->mem, last, strlen(last));
        queue_view_page_free(page);
        if (!q->after) return FAIL(f, ERR_NOMEM, "no memory for a page of videos");
        rc = queue_view_list(r, page, q, f);
    }
    return rc;
}

static enum err put_page(struct buf *out, const struct queue_page *page, struct fail *f) {
    struct doc_out o;
    enum err rc = ERR_OK;
    int n = page->n_jobs;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "object", "list");
    doc_open_array(&o, "data");
    for (int i = 0; i < n; i++) {
        if (!is_listed(&page->job[i])) continue;
        enum err bad = video_put(&o, NULL, &page->job[i], NULL, f);
        if (bad != ERR_OK) /* nothing was written; one record must not hide the others */
            log_fail(LOG_ERROR, "videos.unreadable", f);
    }
    doc_close_array(&o);
    doc_put_text(&o, "first_id", n ? page->job[0].id : NULL);
    doc_put_text(&o, "last_id", n ? page->job[n - 1].id : NULL);
    doc_put_bool(&o, "has_more", page->has_more);
    doc_close_object(&o);
    TRY(doc_done(&o, f));
out:
    return rc;
}

void videos_list(struct server *s, struct request *req) {
    struct queue_page_query q = {.tenant = req->tenant};
    struct redis *r = NULL;
    struct fail f = {0};
    if (!read_page(req, &q) || server_borrow(s, req, &r) != ERR_OK) return;
    struct queue_page *page = mem_take(1, sizeof(*page));
    enum err rc = page ? read_listed(r, page, &q, req, &f)
                       : FAIL(&f, ERR_NOMEM, "no memory for a page of videos");
    server_give(s, req, r);
    if (rc == ERR_OK) rc = put_page(&req->reply.body, page, &f);
    if (rc == ERR_OK) {
        request_reply_json(req, 200);
    } else {
        buf_clear(&req->reply.body);
        server_reply_fail(req, &f);
    }
    if (page) queue_view_page_free(page);
    mem_free(page);
}

/* ---- cancel, delete ---- */

void videos_cancel(struct server *s, struct request *req) {
    struct redis *r = NULL;
    struct fail f = {0};
    enum job_state state;
    struct queue_view view = {0};
    const char *id = videos_id(req);
    if (!id || server_borrow(s, req, &r) != ERR_OK) return;
    enum err rc = queue_cancel(r, &state, id, req->tenant, "cancelled by its owner", &f);
    if (rc == ERR_OK && videos_find(req, r, &view) == ERR_OK)
        videos_reply(s, req, &view.job, NULL);
    else if (rc == ERR_NOT_FOUND)
        not_found(req);
    else if (rc != ERR_OK)
        server_reply_fail(req, &f);
    server_give(s, req, r);
    queue_view_free(&view);
}

void videos_delete(struct server *s, struct request *req) {
    struct redis *r = NULL;
    struct fail f = {0};
    struct doc_out o;
    enum job_state state;
    const char *id = videos_id(req);
    if (!id || server_borrow(s, req, &r) != ERR_OK) return;
    enum err rc = queue_delete(r, &state, id, req->tenant, &f);
    server_give(s, req, r);
    if (rc == ERR_NOT_FOUND) {
        not_found(req);
        return;
    }
    if (rc != ERR_OK) {
        server_reply_fail(req, &f);
        return;
    }
    doc_out_make(&o, &req->reply.body);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "id", id);
    doc_put_text(&o, "object", "video.deleted");
    doc_put_bool(&o, "deleted", true);
    doc_close_object(&o);
    (void)!doc_done(&o, NULL);
    request_reply_json(req, 200);
}
