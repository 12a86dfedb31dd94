/* outbox.h - takes due webhooks from Redis and sends them. Blocking; several threads at once. */
#ifndef WORKER_OUTBOX_H
#define WORKER_OUTBOX_H

#include "common/base/err.h"
#include "common/guard.h"
#include "common/queue_hook.h"
#include "common/redis.h"

struct outbox {
    struct redis_pool *pool;
    const char *worker;
    const char *secret; /* NULL: each tenant has its own, kept in Redis */
    struct guard_rules rules;
};

/* Sends at most one entry: ERR_NOT_FOUND when none is due. A failed delivery is ERR_OK: it was
 * reported and will come again. */
MUST_CHECK enum err outbox_send_one(const struct outbox *o, enum queue_sent *out, struct fail *f);

#endif
