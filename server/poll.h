/* poll.h - long polls: a request that waits until its job changed or its time is over.
 *
 * GET /v1/videos/{id}?wait=30&after_progress=42, or Prefer: wait=30 on create and get. The reply is
 * always the job as it is then. Where nothing may wait (draining, too many waiters), the reply
 * comes at once: a poll is never an error. */
#ifndef SERVER_POLL_H
#define SERVER_POLL_H

#include "server/server.h"
#include "server/video.h"

struct poll {
    struct server *server;
    struct hub_watcher watcher;
    int64_t deadline_ms;    /* monotonic */
    int64_t after_progress; /* below 0: only the end of the job counts */
    char id[QUEUE_ID_MAX];
    struct video_extra extra;
};

/* Seconds to wait that the request asks for, 0..60; 0 when none. -1: the reply was set. */
int poll_seconds(struct request *req, int64_t *after_progress);

/* The poll this request is already waiting in, or NULL. */
struct poll *poll_find(struct request *req);

/* Begins to wait for job `id`; replaces the state of the request. */
void poll_start(struct server *s, struct request *req, const char *id, int seconds,
                int64_t after_progress, const struct video_extra *extra);
/* Looks at the job and either replies or parks again. */
void poll_continue(struct server *s, struct request *req);

#endif
