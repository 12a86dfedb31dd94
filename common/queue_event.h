/* queue_event.h - what happened to jobs, in order: the source of SSE and long polls.
 *
 * An event has the same id in the stream of its job (kept until an hour after the end) and in
 * the stream of all jobs (the newest 10,000), so a reader may change from one to the other. */
#ifndef COMMON_QUEUE_EVENT_H
#define COMMON_QUEUE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/queue.h"
#include "common/redis.h"

enum queue_happening {
    QUEUE_HAPPENING_CREATED,   /* video.queued */
    QUEUE_HAPPENING_STARTED,   /* video.in_progress */
    QUEUE_HAPPENING_PROGRESS,  /* video.progress */
    QUEUE_HAPPENING_CANCELING, /* cancel was asked while it runs */
    QUEUE_HAPPENING_REQUEUED,  /* runs again later */
    QUEUE_HAPPENING_ENDED,     /* see state: video.completed or video.failed */
    QUEUE_HAPPENING_DELETED,   /* hidden by its owner: watchers must let go */
    QUEUE_HAPPENING_COUNT
};

enum { QUEUE_EVENT_ID_MAX = 44, QUEUE_EVENT_ROWS_MAX = 128 };

struct queue_event {
    char id[QUEUE_EVENT_ID_MAX]; /* stream id "ms-seq", grows */
    char job[QUEUE_ID_MAX];
    char tenant[QUEUE_NAME_MAX];
    enum queue_happening what;
    enum job_state state; /* after the event */
    int progress;
    char phase[QUEUE_NAME_MAX];
    int step, n_steps;
    int64_t eta_ms; /* -1 = unknown */
};
struct queue_events {
    int n_events;
    struct queue_event event[QUEUE_EVENT_ROWS_MAX];
    bool is_cut; /* events after `after` were trimmed away: read the jobs again */
};

/* Events of one job after `after` (an id, or "" for all kept), oldest first, at once. An `after`
 * that is no stream id is ERR_INPUT. No tenant check: the caller did queue_view_get before. */
MUST_CHECK enum err queue_event_read(struct redis *r, struct queue_events *out, const char *id,
                                     const char *after, struct fail *f);

/* Events of all jobs after `after`; waits up to wait_ms (<= 20000) for the first. `after` "" starts
 * at the newest: it fills `last` without rows. `last` is where to go on; it is updated in place.
 * Use a connection of its own: this call keeps it busy. */
MUST_CHECK enum err queue_event_wait(struct redis *r, struct queue_events *out,
                                     char last[QUEUE_EVENT_ID_MAX], int wait_ms, struct fail *f);

#endif
