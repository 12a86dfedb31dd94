/* queue_view.h - reading jobs: one record, pages of a tenant, and figures for metrics.
 *
 * Nothing here changes a job. A record is one atomic snapshot. Strings live until the _free. */
#ifndef COMMON_QUEUE_VIEW_H
#define COMMON_QUEUE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/job_state.h"
#include "common/queue.h"
#include "common/redis.h"

/* All times are Unix milliseconds of the Redis clock, 0 = has not happened. No string is NULL. */
struct queue_job {
    const char *id, *tenant, *lane;
    enum job_state state;
    int priority;
    int progress;      /* 0..99, 100 only when succeeded */
    const char *phase; /* queued, the worker's word while running, done at the end */
    int step, n_steps;
    int64_t eta_ms; /* as the worker said at beat_ms; -1 = unknown */
    int64_t beat_ms;
    int64_t created_ms, started_ms, done_ms;
    int64_t cancel_ms;      /* when the cancel was asked */
    int64_t expires_ms;     /* when the result goes, 0 = never or no result */
    int64_t gone_ms;        /* when the result was removed */
    int64_t queue_position; /* jobs ahead in its lane, -1 when not queued */
    int64_t queue_deadline_ms;
    int try, max_tries, n_crashes;
    const char *worker;
    const char *error_code, *error_message; /* "" unless it ended badly */
    const char *result;                     /* JSON given by the worker, "" = none */
    const char *spec;                       /* canonical request JSON */
    const char *fingerprint;
    const char *hook_url, *hook_events;
    const char *last_event; /* id of the newest event: start a stream after it */
};

struct queue_view {
    struct queue_job job;
    struct redis_reply *own;
};
/* ERR_NOT_FOUND: unknown, deleted, or another tenant's. */
MUST_CHECK enum err queue_view_get(struct redis *r, struct queue_view *out, const char *id,
                                   const char *tenant, struct fail *f);
void queue_view_free(struct queue_view *view);

enum { QUEUE_PAGE_MAX = 100 };
enum queue_sort { QUEUE_NEWEST_FIRST, QUEUE_OLDEST_FIRST };
struct queue_page_query {
    const char *tenant;
    const char *after; /* id of the last row of the page before, NULL = from the start */
    int limit;         /* 1..QUEUE_PAGE_MAX */
    enum queue_sort sort;
};
struct queue_page {
    int n_jobs;
    bool has_more;
    struct queue_job job[QUEUE_PAGE_MAX];
    struct redis_reply *own;
};
/* Stable under inserts: ids are time-ordered and the cursor is an id, which need not exist any
 * more. A page is large (about 30 KB): keep it off small stacks. */
MUST_CHECK enum err queue_view_list(struct redis *r, struct queue_page *out,
                                    const struct queue_page_query *query, struct fail *f);
void queue_view_page_free(struct queue_page *page);

enum { QUEUE_LANE_ROWS_MAX = 32, QUEUE_WORKER_ROWS_MAX = 256 };
struct queue_stat {
    int64_t now_ms; /* the Redis clock */
    int64_t n_running, n_scheduled, n_ended, n_dead, n_hooks_due, n_hooks_dead;
    int n_lanes;
    struct queue_lane_stat {
        char name[QUEUE_NAME_MAX];
        int64_t n_queued;
        int64_t oldest_age_ms;     /* of the job that waits longest, 0 = none waits */
        int64_t n_by_priority[10]; /* counted over at most the first 1000 jobs */
        int n_workers;             /* that looked for work or beat in the last 30 s */
    } lane[QUEUE_LANE_ROWS_MAX];
    int n_workers;
    struct queue_worker_stat {
        char name[QUEUE_NAME_MAX];
        int64_t age_ms;              /* since it was last heard */
        bool is_busy;                /* holds a lease */
    } worker[QUEUE_WORKER_ROWS_MAX]; /* heard in the last 30 s */
};
/* For /v1/queue and metrics. Large (about 30 KB): take it from the heap or static storage of one
 * thread. */
MUST_CHECK enum err queue_view_stat(struct redis *r, struct queue_stat *out, struct fail *f);

#endif
