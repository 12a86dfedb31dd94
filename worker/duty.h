/* duty.h - the one job that a worker holds: claim, beat, run, deliver or give back.
 *
 *   IDLE -> CLAIMING -> RUNNING -> DELIVERING -> IDLE
 *                          |  \-> FAILING ------> IDLE
 *
 * Lives on the loop thread; every call to Redis or the disk that may take time is work beside the
 * loop, at most one per kind. While Redis is silent the job computes on; its result waits in the
 * spool, and nothing new is claimed. */
#ifndef WORKER_DUTY_H
#define WORKER_DUTY_H

#include <stdbool.h>

#include "common/metrics.h"
#include "common/queue.h"
#include "common/redis.h"
#include "worker/conf.h"
#include "worker/deliver.h"
#include "worker/kid.h"
#include "worker/loop.h"
#include "worker/spool.h"

enum duty_state { DUTY_IDLE, DUTY_CLAIMING, DUTY_RUNNING, DUTY_DELIVERING, DUTY_FAILING };

/* Why the running job was told to stop. */
enum duty_stop { DUTY_GO_ON, DUTY_CANCEL, DUTY_TIMEOUT, DUTY_STALE, DUTY_DRAIN };

struct duty_opts {
    struct loop *loop;
    struct kid *kid;
    struct deliver deliver;
    const struct conf *conf;
    const char *worker;
    struct metrics *metrics;
    void *ctx;
    void (*quit)(void *ctx, int exit_code, const struct fail *why); /* nothing more to do here */
};

struct duty_claiming {
    struct redis_pool *pool;
    struct queue_seek seek;
    struct queue_claim claim;
    enum err rc;
    struct fail fail;
};

struct duty_beating {
    struct redis_pool *pool;
    char id[QUEUE_ID_MAX], lease[QUEUE_LEASE_MAX];
    struct wire_progress progress;
    int64_t lease_ms, sent_ms;
    enum queue_verdict verdict;
    enum err rc;
    bool is_out;
};

struct duty_ending {
    struct deliver deliver;
    struct receipt receipt; /* from the child, until sealed */
    struct queue_fail why;
    struct fail cause; /* keeps the text of `why` */
    enum queue_verdict verdict;
    double estimate_error; /* negative: there was no estimate */
    enum err rc;
    struct fail fail;
};

struct duty {
    struct duty_opts o;
    struct conf_lanes lanes;
    enum duty_state state;
    enum duty_stop stop;
    bool is_recovered, is_draining, is_dirty, is_low_on_disk;
    int try;      /* attempt of the running job, 1 first */
    int n_misses; /* Redis did not answer so many times in a row */
    int64_t started_ms, sign_ms;
    int64_t gap_ms;           /* mean time between signs of life of the job */
    struct spool_entry entry; /* of the job; the work of an ending may write to it */
    struct wire_progress progress;
    struct duty_claiming claiming;
    struct duty_beating beating;
    struct duty_ending ending;
    struct loop_timer *pulse, *retry;
};

MUST_CHECK enum err duty_open(struct duty *d, const struct duty_opts *o, struct fail *f);
/* Looks for work when there is reason to; harmless otherwise. */
void duty_seek(struct duty *d);
/* Delivers or gives back what a predecessor left in the spool, then begins to seek. */
void duty_recover(struct duty *d);
/* No new job; the running one is handed back. True when nothing is held any more. */
void duty_drain(struct duty *d);
bool duty_is_free(const struct duty *d);

/* Events of the child; ctx is the duty. */
void duty_on_ready(void *ctx);
void duty_on_progress(void *ctx, const struct wire_progress *p);
void duty_on_done(void *ctx, const struct receipt *receipt);
void duty_on_failed(void *ctx, const struct fail *why);
void duty_on_gone(void *ctx, int wait_status);

#endif
