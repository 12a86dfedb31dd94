/* queue_hook.h - the webhook outbox: entries are born in the same step as the state they tell.
 *
 * An entry is delivered at least once: a sender takes it with a lease, posts, and reports. One
 * endpoint (scheme, host and port of the url) never holds more than four attempts in flight, and
 * its breaker opens after five failures; other endpoints are not touched by either. Worker only. */
#ifndef COMMON_QUEUE_HOOK_H
#define COMMON_QUEUE_HOOK_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/queue.h"
#include "common/redis.h"

enum {
    QUEUE_HOOK_ROWS_MAX = 16,
    QUEUE_HOOK_SECRET_MAX = 64,
    QUEUE_HOOK_ID_MAX = QUEUE_ID_MAX + 16
};

struct queue_hook {
    char id[QUEUE_HOOK_ID_MAX];       /* of the entry: "JOB:TYPE" */
    char event_id[QUEUE_HOOK_ID_MAX]; /* webhook-id, the same on every attempt: "evt_" 32 hex "_"
                                         TYPE */
    char lease[QUEUE_NAME_MAX + 16];
    char job[QUEUE_ID_MAX], tenant[QUEUE_NAME_MAX];
    char type[QUEUE_NAME_MAX]; /* completed, failed, cancelled, in_progress: prefix with "video." */
    char url[QUEUE_URL_MAX];
    int64_t created_ms; /* of the event */
    int try;            /* 1 = first attempt */
};
struct queue_hooks {
    int n_hooks;
    struct queue_hook hook[QUEUE_HOOK_ROWS_MAX];
};

/* Up to `limit` entries that are due, each leased for lease_ms. `worker` names the sender. */
MUST_CHECK enum err queue_hook_claim(struct redis *r, struct queue_hooks *out, const char *worker,
                                     int limit, int64_t lease_ms, struct fail *f);

enum queue_sent {
    QUEUE_SENT_OK,    /* 2xx */
    QUEUE_SENT_RETRY, /* try again after delay_ms; dead after the last try of the schedule */
    QUEUE_SENT_DEAD   /* never again: 410, blocked address */
};
struct queue_hook_done {
    enum queue_sent sent;
    int http_status;     /* 0 = no answer */
    const char *message; /* why it failed, "" = none */
    int64_t delay_ms;    /* queue_hook_delay_ms */
};
/* ERR_STALE: the lease ran out and somebody else has it. */
MUST_CHECK enum err queue_hook_done(struct redis *r, const struct queue_hook *hook,
                                    const struct queue_hook_done *done, struct fail *f);

/* Delay after attempt `try` of the schedule 5 s .. 24 h (12 attempts over 3.2 days) with +-20 %. */
int64_t queue_hook_delay_ms(int try);

/* "whsec_" + base64 of 24 random bytes; made at the first call for a tenant, then always the same.
 */
MUST_CHECK enum err queue_hook_secret(struct redis *r, char out[QUEUE_HOOK_SECRET_MAX],
                                      const char *tenant, struct fail *f);

#endif
