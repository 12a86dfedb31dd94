/* hub.h - wakes requests that wait for something to happen to a job.
 *
 * One thread reads the stream of all events with a blocking read on a connection of its own and
 * marks every watcher of that job; a watcher that sleeps is resumed. It also looks at the clock,
 * once a second, so nothing sleeps past its time even when Redis is away, and wakes those whose
 * client is gone, so that they free their place.
 *
 * A watcher belongs to its request. The order that loses no event: hub_watch(), look at the job,
 * hub_sleep(); an event in between makes hub_sleep() return at once. */
#ifndef SERVER_HUB_H
#define SERVER_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/queue.h"
#include "common/redis.h"
#include "server/request.h"

struct hub;

/* Limits are counted for each kind apart. */
enum hub_kind { HUB_POLL, HUB_STREAM };

struct hub_watcher {
    struct hub_watcher *next, *prev;
    struct request *req;
    enum hub_kind kind;
    char job[QUEUE_ID_MAX];
    char tenant[QUEUE_NAME_MAX];
    bool is_listed;
    bool is_asleep;
    bool is_marked;  /* something happened since the last hub_sleep() */
    int64_t wake_ms; /* monotonic */
};

MUST_CHECK enum err hub_start(struct hub **out, struct redis_pool *pool, int max_watchers,
                              struct fail *f);

/* `w->kind` is the caller's. ERR_LIMIT: this tenant has max_of_tenant watchers of that kind.
 * ERR_BUSY: the server has all it may have, or is draining. Then answer at once instead. */
MUST_CHECK enum err hub_watch(struct hub *h, struct hub_watcher *w, struct request *req,
                              const char *job, int max_of_tenant);
/* Safe on a zeroed or unlisted watcher. */
void hub_unwatch(struct hub *h, struct hub_watcher *w);

/* True: the request was parked and is resumed later. False: look again now. */
bool hub_sleep(struct hub *h, struct hub_watcher *w, int64_t wake_ms);

int hub_count(struct hub *h);

/* Draining: wakes all now and lets nobody sleep any more. */
void hub_drain(struct hub *h);
bool hub_is_draining(struct hub *h);
/* Ends the thread. No watcher may be left. */
void hub_stop(struct hub *h);

#endif
