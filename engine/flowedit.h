/* flowedit.h - a clip becomes another one that keeps its structure, without inverting anything.
 *
 * At each level of noise sigma, with fresh noise eps:
 *   source = (1 - sigma) x0 + sigma eps;   target = z + source - x0;
 *   z += (sigma' - sigma) (v(target, new words) - v(source, old words)),   z = x0 at first.
 * Costs two velocities a step. Pure arithmetic around a velocity that the caller provides. */
#ifndef ENGINE_FLOWEDIT_H
#define ENGINE_FLOWEDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/schedule.h"

struct flowedit {
    const struct schedule *schedule;
    int n_max;      /* only the last n_max steps: the fewer, the more of the source stays */
    int64_t n;      /* latent values */
    int64_t n_done; /* of these, at the beginning, have been edited before and stay as they are */
    void *ctx;
    /* v [n] at x [n], for the new words or the old ones. */
    enum err (*velocity)(void *ctx, float *v, const float *x, int step, bool is_new,
                         struct fail *f);
    void (*noise)(void *ctx, float *out, int step);                      /* fresh, [n] */
    enum err (*on_step)(void *ctx, int done, int total, struct fail *f); /* may be NULL */
};

/* z [n] begins as the source x0 [n], but for what was edited before, and becomes the edited clip.
 */
MUST_CHECK enum err flowedit_run(const struct flowedit *e, float *z, const float *x0,
                                 struct fail *f);

#endif
