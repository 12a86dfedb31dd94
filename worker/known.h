/* known.h - what a job already knows: assets become frames on the canvas. Engine thread. */
#ifndef WORKER_KNOWN_H
#define WORKER_KNOWN_H

#include "common/base/err.h"
#include "engine/engine.h"
#include "worker/footage.h"
#include "worker/plan.h"

/* Frames of the assets at the size of the canvas, and where they stand. */
struct known {
    int n_whole[PLAN_ASSETS_MAX];              /* frames of each asset at the model's rate */
    struct footage_clip clip[PLAN_ASSETS_MAX]; /* those of them that are needed */
    uint8_t *mask;                             /* of an edited part */
    struct engine_span span[TASK_ASSETS_MAX];
    struct engine_given given;
};

/* Reads the assets of the plan. ERR_MEDIA when a file cannot be used. The caller frees *out in any
 * case. */
MUST_CHECK enum err known_fetch(struct known *out, struct footage *from, const struct plan *plan,
                                struct fail *f);
/* After plan_place(): what the engine is told. */
MUST_CHECK enum err known_place(struct known *k, struct footage *from, const struct plan *plan,
                                struct fail *f);
void known_free(struct known *k); /* safe on a zeroed struct */

#endif
