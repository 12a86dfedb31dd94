/* mask.h - what is known of a canvas, as start levels of latent places. Pure arithmetic.
 *
 * level tau of a place: 0 known and exact, 1 free, between: start from what is known with that
 * much noise. The transformer sees tokens, so all places of a token get the same level, and a
 * token is known only as far as its least known place: what is known shrinks, never grows. */
#ifndef ENGINE_MASK_H
#define ENGINE_MASK_H

#include <stdint.h>

#include "common/base/err.h"

struct mask_grid {
    int64_t T, H, W;    /* places: latent frames, rows, columns */
    int64_t pt, ph, pw; /* places of a token */
};

/* ERR_INPUT when a level is not a number within 0..1. */
MUST_CHECK enum err mask_check(const float *level, const struct mask_grid *g, struct fail *f);
/* In place: every place gets the largest level of its token. */
void mask_shrink(float *level, const struct mask_grid *g);
/* The first place of token number n (frames slowest, columns fastest). */
int64_t mask_token_place(const struct mask_grid *g, int64_t token);

#endif
