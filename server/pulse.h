/* pulse.h - how many workers live, as it was a moment ago.
 *
 * Counting them makes Redis look at the whole queue, so it is done once in PULSE_MS however often
 * somebody asks; /readyz needs no key and must stay cheap. Any thread. */
#ifndef SERVER_PULSE_H
#define SERVER_PULSE_H

#include <pthread.h>
#include <stdint.h>

#include "common/redis.h"

enum { PULSE_MS = 2000, PULSE_UNKNOWN = -1 };

struct pulse {
    pthread_mutex_t lock;
    int64_t read_ms; /* monotonic; 0: never */
    int n_workers;   /* of all lanes */
    int n_of_lane;   /* that look at our lane */
};

void pulse_make(struct pulse *p);
void pulse_free(struct pulse *p);

/* Fills *n_workers and *n_of_lane, PULSE_UNKNOWN while they were never counted. Asks Redis for
 * something in every case, so ERR_OK means that it answers. */
MUST_CHECK enum err pulse_take(struct pulse *p, struct redis *r, const char *lane, int *n_workers,
                               int *n_of_lane, struct fail *f);

/* The last count without asking anybody, unless it is old: then as pulse_take(). */
int pulse_lane_workers(struct pulse *p, struct redis *r, const char *lane);

#endif
