/* upkeep.h - the chores that any worker may do for all: due times, lost leases, garbage.
 *
 * Idempotent and bounded, so no leader is needed. Blocking; any thread. */
#ifndef WORKER_UPKEEP_H
#define WORKER_UPKEEP_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/redis.h"
#include "common/store.h"

/* Promotes due jobs, expires deadlines, takes back leases that ran out. */
MUST_CHECK enum err upkeep_tick(struct redis_pool *pool, int64_t lease_ms, struct fail *f);
/* Removes objects and records past their lifetime; *n_removed counts rows. */
MUST_CHECK enum err upkeep_collect(struct redis_pool *pool, struct store *store, int *n_removed,
                                   struct fail *f);

/* Once an hour: temporary files of the dead, and uploads that no job can name any more. */
void upkeep_sweep(struct store *store);

#endif
