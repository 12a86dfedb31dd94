/* deliver.h - the last yards of a result: files to the store, the pointer to Redis.
 *
 * A sealed attempt may be delivered any number of times, by this worker or its successor: objects
 * keep their names and bytes, and the queue takes the first pointer only. Blocking; any thread. */
#ifndef WORKER_DELIVER_H
#define WORKER_DELIVER_H

#include "common/base/err.h"
#include "common/queue.h"
#include "common/redis.h"
#include "common/store.h"
#include "worker/spool.h"

struct deliver {
    struct redis_pool *pool;
    struct store *store;
    struct spool *spool;
};

/* QUEUE_GO_ON: it is the result. QUEUE_CANCEL: told the queue so. QUEUE_STALE: somebody else has
 * the job; our objects are gone. In these cases the attempt is dropped from the spool.
 * ERR_UNAVAILABLE: try again later, nothing is lost. Other failures: the attempt will never become
 * a result; the caller gives the job back. */
MUST_CHECK enum err deliver_result(const struct deliver *d, enum queue_verdict *out,
                                   const struct spool_entry *e, struct fail *f);

/* Tells the queue how an attempt ended and drops it from the spool, unless ERR_UNAVAILABLE. */
MUST_CHECK enum err deliver_failure(const struct deliver *d, const struct spool_entry *e,
                                    const struct queue_fail *why, struct fail *f);

/* What a failed job is told: code of the API and kind of ending. `why` keeps pointing to `cause`.
 */
void deliver_judge(struct queue_fail *why, const struct fail *cause, int try);

#endif
