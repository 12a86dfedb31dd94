/* known.h - what a job already knows: assets become frames on the canvas. Engine thread. */
#ifndef WORKER_KNOWN_H
#define WORKER_KNOWN_H

#include "common/base/err.h"
#include "common/store.h"
#include "engine/engine.h"
#include "worker/plan.h"

struct known_source {
    struct store *store;
    const char *decode_program;
};

/* Frames of the assets at the size of the canvas, and where they stand. */
struct known {
    struct engine_given given;
    struct engine_span span[PLAN_SPANS_MAX];
    uint8_t *rgb[PLAN_SPANS_MAX];
};

/* ERR_MEDIA when a file cannot be used. The caller frees *out in any case. */
MUST_CHECK enum err known_fetch(struct known *out, const struct known_source *source,
                                const struct plan *plan, struct fail *f);
void known_free(struct known *k); /* safe on a zeroed struct */

#endif
