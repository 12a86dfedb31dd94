/* known.h - what a job already knows: assets become latents on the canvas. Engine thread. */
#ifndef WORKER_KNOWN_H
#define WORKER_KNOWN_H

#include "common/base/err.h"
#include "common/store.h"
#include "engine/engine.h"
#include "worker/plan.h"

struct known_source {
    struct engine *engine;
    struct store *store;
    const char *decode_program;
};

/* Fills `out` and sets *has_known; a plan without spans asks nothing of the engine. ERR_MEDIA when
 * a file cannot be used. */
MUST_CHECK enum err known_fetch(struct engine_known *out, bool *has_known,
                                const struct known_source *source, const struct plan *plan,
                                struct fail *f);

#endif
