#include "common/queue_view.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/queue_call.h"

/* Fields of a job hash while they are read into a record. */
struct record {
    const struct redis_reply *fields;
};

static const char *text_of(const struct record *rec, const char *name) {
    return redis_reply_text(redis_reply_field(rec->fields, name));
}

static int64_t number_of(const struct record *rec, const char *name, int64_t otherwise) {
    return redis_reply_i64(redis_reply_field(rec->fields, name), otherwise);
}

static void read_course(struct queue_job *job, const struct record *rec) {
    job->progress = (int)number_of(rec, "prog", 0);
    job->step = (int)number_of(rec, "step", 0);
    job->n_steps = (int)number_of(rec, "steps", 0);
    job->eta_ms = number_of(rec, "eta", -1);
    job->beat_ms = number_of(rec, "beat", 0);
    job->phase = "queued";
    if (job->state == JOB_STATE_RUNNING) job->phase = text_of(rec, "phase");
    if (job_state_is_ended(job->state)) job->phase = "done";
    job->try = (int)number_of(rec, "try", 0);
    job->max_tries = (int)number_of(rec, "maxtry", 0);
    job->n_crashes = (int)number_of(rec, "crash", 0);
    job->worker = text_of(rec, "wid");
}

static void read_times(struct queue_job *job, const struct record *rec) {
    job->created_ms = number_of(rec, "created", 0);
    job->started_ms = number_of(rec, "started", 0);
    job->done_ms = number_of(rec, "done", 0);
    job->cancel_ms = number_of(rec, "cancel", 0);
    job->expires_ms = number_of(rec, "exp", 0);
    job->gone_ms = number_of(rec, "gone", 0);
}

/* A snapshot is {id fields spec position queue-deadline last-event}. */
static enum err read_snapshot(struct queue_job *job, const struct redis_reply *row,
                              struct fail *f) {
    struct record rec = {redis_reply_at(row, 1)};
    memset(job, 0, sizeof(*job));
    job->id = queue_call_text(row, 0);
    job->tenant = text_of(&rec, "tenant");
    job->lane = text_of(&rec, "lane");
    job->state = job_state_parse(text_of(&rec, "st"));
    if (job->state == JOB_STATE_NONE)
        return FAIL(f, ERR_CORRUPT, "the record of %s has the state \"%.20s\"", job->id,
                    text_of(&rec, "st"));
    job->priority = (int)number_of(&rec, "prio", 0);
    read_course(job, &rec);
    read_times(job, &rec);
    job->error_code = text_of(&rec, "code");
    job->error_message = text_of(&rec, "why");
    job->result = text_of(&rec, "res");
    job->fingerprint = text_of(&rec, "fp");
    job->hook_url = text_of(&rec, "hook");
    job->hook_events = text_of(&rec, "hev");
    job->spec = queue_call_text(row, 2);
    job->queue_position = redis_reply_i64(redis_reply_at(row, 3), -1);
    job->queue_deadline_ms = redis_reply_i64(redis_reply_at(row, 4), 0);
    job->last_event = queue_call_text(row, 5);
    return ERR_OK;
}

enum err queue_view_get(struct redis *r, struct queue_view *out, const char *id, const char *tenant,
                        struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    memset(out, 0, sizeof(*out));
    queue_call_make(&call, "job_get");
    queue_call_add(&call, id);
    queue_call_add(&call, tenant);
    TRY(queue_call_send(&call, r, &out->own, f));
    TRY(read_snapshot(&out->job, redis_reply_at(out->own, 1), f));
out:
    if (rc != ERR_OK) queue_view_free(out);
    return rc;
}

void queue_view_free(struct queue_view *view) {
    redis_reply_free(view->own);
    memset(view, 0, sizeof(*view));
}

enum err queue_view_list(struct redis *r, struct queue_page *out,
                         const struct queue_page_query *query, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    ASSERT(query->limit >= 1 && query->limit <= QUEUE_PAGE_MAX);
    out->n_jobs = 0;
    out->own = NULL;
    queue_call_make(&call, "job_list");
    queue_call_add(&call, query->tenant);
    queue_call_add(&call, query->after);
    queue_call_add_i64(&call, query->limit);
    queue_call_add(&call, query->sort == QUEUE_NEWEST_FIRST ? "desc" : "asc");
    TRY(queue_call_send(&call, r, &out->own, f));
    out->has_more = redis_reply_i64(redis_reply_at(out->own, 1), 0) != 0;
    for (size_t i = 2; i < redis_reply_len(out->own) && out->n_jobs < query->limit; i++) {
        TRY(read_snapshot(&out->job[out->n_jobs], redis_reply_at(out->own, i), f));
        out->n_jobs++;
    }
out:
    if (rc != ERR_OK) queue_view_page_free(out);
    return rc;
}

void queue_view_page_free(struct queue_page *page) {
    redis_reply_free(page->own);
    page->own = NULL;
    page->n_jobs = 0;
}

/* {name queued created-of-oldest workers n-of-priority-0 .. n-of-priority-9} */
static void read_lane(struct queue_lane_stat *out, const struct redis_reply *row, int64_t now_ms) {
    str_copy(out->name, sizeof(out->name), redis_reply_str(redis_reply_at(row, 0)));
    out->n_queued = redis_reply_i64(redis_reply_at(row, 1), 0);
    int64_t oldest_ms = redis_reply_i64(redis_reply_at(row, 2), 0);
    out->oldest_age_ms = oldest_ms > 0 && oldest_ms < now_ms ? now_ms - oldest_ms : 0;
    out->n_workers = (int)redis_reply_i64(redis_reply_at(row, 3), 0);
    for (size_t i = 0; i < 10; i++)
        out->n_by_priority[i] = redis_reply_i64(redis_reply_at(row, 4 + i), 0);
}

/* {name age busy} */
static void read_worker(struct queue_worker_stat *out, const struct redis_reply *row) {
    str_copy(out->name, sizeof(out->name), redis_reply_str(redis_reply_at(row, 0)));
    out->age_ms = redis_reply_i64(redis_reply_at(row, 1), 0);
    out->is_busy = redis_reply_i64(redis_reply_at(row, 2), 0) != 0;
}

/* OK now running scheduled ended dead hooks-due hooks-dead lanes workers */
static void read_stat(struct queue_stat *out, const struct redis_reply *reply) {
    const struct redis_reply *lanes = redis_reply_at(reply, 8), *workers = redis_reply_at(reply, 9);
    int64_t *const counts[] = {&out->now_ms, &out->n_running,   &out->n_scheduled, &out->n_ended,
                               &out->n_dead, &out->n_hooks_due, &out->n_hooks_dead};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        *counts[i] = redis_reply_i64(redis_reply_at(reply, 1 + i), 0);
    for (size_t i = 0; i < redis_reply_len(lanes) && out->n_lanes < QUEUE_LANE_ROWS_MAX; i++)
        read_lane(&out->lane[out->n_lanes++], redis_reply_at(lanes, i), out->now_ms);
    for (size_t i = 0; i < redis_reply_len(workers) && out->n_workers < QUEUE_WORKER_ROWS_MAX; i++)
        read_worker(&out->worker[out->n_workers++], redis_reply_at(workers, i));
}

enum err queue_view_stat(struct redis *r, struct queue_stat *out, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    memset(out, 0, sizeof(*out));
    queue_call_make(&call, "job_stat");
    TRY(queue_call_send(&call, r, &reply, f));
    if (!queue_call_says(reply, "OK")) TRY(queue_call_strange(&call, reply, f));
    read_stat(out, reply);
out:
    redis_reply_free(reply);
    return rc;
}
