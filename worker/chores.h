/* chores.h - what a worker does beside its own job: ticks, garbage, webhooks. Loop thread.
 *
 * Each chore is work beside the loop, never two of a kind but up to four webhooks at once. */
#ifndef WORKER_CHORES_H
#define WORKER_CHORES_H

#include "common/base/err.h"
#include "common/metrics.h"
#include "common/redis.h"
#include "common/store.h"
#include "worker/conf.h"
#include "worker/loop.h"
#include "worker/outbox.h"

enum { CHORES_SENDERS_MAX = 4 };

struct chores_opts {
    struct loop *loop;
    struct redis_pool *pool;
    struct store *store;
    const struct conf *conf;
    const char *worker;
    struct metrics *metrics;
};

struct chores;

struct chores_sender {
    struct chores *chores;
    enum queue_sent sent;
    enum err rc;
    struct fail fail;
    bool is_out;
};

struct chores {
    struct chores_opts o;
    struct outbox outbox;
    struct loop_timer *tick, *post;
    struct chores_sender senders[CHORES_SENDERS_MAX];
    int n_ticks;
    bool is_ticking, is_stopped;
};

MUST_CHECK enum err chores_start(struct chores *c, const struct chores_opts *o, struct fail *f);
/* No new chore; those that run end by themselves. */
void chores_stop(struct chores *c);

#endif
