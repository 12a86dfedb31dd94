/* run.h - one job from request to files. Lives in the compute child; engine thread only.
 *
 * Knows no Redis and no lease: it takes a request, a directory and three questions (report,
 * cancel), and leaves a receipt. Everything that the job took dies with it. */
#ifndef WORKER_RUN_H
#define WORKER_RUN_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/job.h"
#include "common/receipt.h"
#include "common/store.h"
#include "engine/engine.h"
#include "worker/wire.h"

struct run_hooks {
    void *ctx;
    void (*report)(void *ctx, const struct wire_progress *p);
    bool (*is_cancelled)(void *ctx);
    void (*log)(void *ctx, const char *event, const char *text); /* what the engine has to say */
};

struct run {
    struct engine *engine;
    struct store *store; /* read only: references of the client */
    const char *decode_program;
    struct run_hooks hooks;
    int last_percent;                /* progress never goes back */
    double done[ENGINE_PHASE_COUNT]; /* share of each phase, 0..1 */
    int64_t clock_ms;                /* of the last sign of the engine */
    int64_t spent_ms[ENGINE_PHASE_COUNT];
};

/* What clips turn out to be is added to the job. ERR_CANCELLED when the hook said so. The keys of
 * the receipt are file names in `dir`. */
MUST_CHECK enum err run_job(struct run *r, struct receipt *out, struct job *job, const char *dir,
                            struct fail *f);

#endif
