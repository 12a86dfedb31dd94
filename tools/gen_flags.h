/* gen_flags.h - the command line of `misora gen`: one row per flag, and the numbers in their
 * values.
 *
 * Pure but for the help text. Values are borrowed from argv. */
#ifndef TOOLS_GEN_FLAGS_H
#define TOOLS_GEN_FLAGS_H

#include <stdbool.h>
#include <stdio.h>

#include "engine/engine.h"
#include "engine/schedule.h"
#include "engine/task.h"

/* A flag that may come more than once. */
struct gen_flags_list {
    const char *value[TASK_ASSETS_MAX];
    int n;
};

struct gen_flags {
    const char *model, *prompt, *negative, *output, *size, *frames, *fps, *seed;
    const char *image, *last_image, *video, *extend, *seconds, *connect, *strength, *refine;
    const char *mask, *edit_strength, *place, *flowedit, *flowedit_steps, *flowedit_guidance;
    const char *context, *control;
    struct gen_flags_list keyframe, reference;
    bool is_loop;
    const char *solver, *steps, *sigmas, *shift, *guidance, *guidance_2, *interval, *zero_star;
    const char *preview, *taehv, *block_cache, *cache, *loras, *loras_late, *precision, *device,
        *threads;
};

MUST_CHECK enum err gen_flags_read(struct gen_flags *o, int argc, char **argv, struct fail *f);
void gen_flags_usage(FILE *to);

/* NULL text leaves *out as it is; ERR_INPUT names flag, value and range. */
MUST_CHECK enum err gen_flags_int(int *out, const char *flag, const char *text, int min, int max,
                                  struct fail *f);
MUST_CHECK enum err gen_flags_real(double *out, const char *flag, const char *text, double max,
                                   struct fail *f);
/* WIDTHxHEIGHT. */
MUST_CHECK enum err gen_flags_size(struct canvas *c, const char *text, struct fail *f);
/* WIDTHxHEIGHT+X+Y, within the canvas. */
struct gen_flags_rect {
    int x, y, width, height;
};
MUST_CHECK enum err gen_flags_place(struct gen_flags_rect *r, const char *text,
                                    const struct canvas *canvas, struct fail *f);
/* FRAME=FILE: *file points into text. */
MUST_CHECK enum err gen_flags_keyframe(int *frame, const char **file, const char *text,
                                       struct fail *f);
/* All that changes how a run is sampled. `sigmas` is room for a list, which params borrows. */
MUST_CHECK enum err gen_flags_params(struct engine_params *p, double sigmas[SCHEDULE_STEPS_MAX],
                                     const struct gen_flags *o, struct fail *f);

#endif
