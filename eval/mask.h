/* mask.h - where a thing of the scene is in a frame, by its colours.
 *
 * The world renders the scene that was asked for and says which pixels are the thing; from that is
 * learnt which colours are more likely the thing's than the place's. The mask of a frame is the
 * largest connected patch of such pixels with what is nearly as large. Positions are in pixels from
 * the upper left. Pure functions but for memory that is given back; any thread. */
#ifndef EVAL_MASK_H
#define EVAL_MASK_H

#include "eval/reel.h"

enum { MASK_LEVELS = 16, MASK_COLOURS = MASK_LEVELS * MASK_LEVELS * MASK_LEVELS };

struct mask_palette {
    float share[MASK_COLOURS]; /* 0..1: the thing's */
};
struct mask_spot {
    double x, y, area; /* middle and number of pixels; area 0: not seen */
    int left, top, right, bottom;
};

/* Colours of entity `ent`, from a few renders of the scene. ERR_NOMEM. */
MUST_CHECK enum err mask_learn(struct mask_palette *out, const struct scene *s, int ent,
                               struct fail *f);
/* Spots of all frames of a clip; out has clip->n_frames elements. Patches of fewer than
 * `least` pixels are not the thing. ERR_NOMEM. */
MUST_CHECK enum err mask_trace(struct mask_spot *out, const struct mask_palette *p,
                               const struct reel *clip, int least, struct fail *f);
/* Both: where entity `ent` is in each frame. The caller ends *out with mem_free(), also after a
 * failure. */
MUST_CHECK enum err mask_follow(struct mask_spot **out, const struct reel *clip,
                                const struct scene *s, int ent, struct fail *f);

#endif
