/* supervisor.h - the parent process of a worker: ties loop, child, duty and chores together.
 *
 * Start: store and spool, Redis pool (which may be down), child, recovery, then work. SIGTERM or
 * SIGINT drains: no new job, the running one is handed back, webhooks in flight end. A second
 * signal, or the end of `drain`, leaves at once; leases do the rest. */
#ifndef WORKER_SUPERVISOR_H
#define WORKER_SUPERVISOR_H

#include "common/base/err.h"
#include "worker/conf.h"

/* Runs until told to stop; *exit_code is 0 clean, 65 bad model, 75 retry later, 78 configuration.
 */
MUST_CHECK enum err supervisor_run(const struct conf *conf, int *exit_code, struct fail *f);

#endif
