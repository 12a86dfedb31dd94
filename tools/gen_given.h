/* gen_given.h - from the flags of `misora gen` to a task: which assets, read at the size of the
 * canvas, stand where. */
#ifndef TOOLS_GEN_GIVEN_H
#define TOOLS_GEN_GIVEN_H

#include "tools/gen_flags.h"

struct gen_given {
    struct task_ask ask;
    struct task_plan plan;
    uint8_t *frames[TASK_ASSETS_MAX]; /* of each asset, of the size of the canvas */
    uint8_t *mask;
    struct engine_span span[TASK_ASSETS_MAX];
    struct engine_clip guide, reference[ENGINE_REFERENCES_MAX]; /* rgb is owned */
    struct engine_given given;                                  /* what the engine is told */
};

/* canvas: width and height are asked, n_frames is the length that is asked and becomes that of the
 * canvas. fps: the rate of the model. */
MUST_CHECK enum err gen_given_make(struct gen_given *g, struct canvas *canvas,
                                   const struct gen_flags *o, const struct engine_caps *caps,
                                   struct fail *f);
void gen_given_free(struct gen_given *g); /* safe on a zeroed struct */

#endif
