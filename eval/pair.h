/* pair.h - where one of two things stands as seen from the other, by their colours.
 *
 * Traces of mask.h over the beginning of the clip, which is what captions speak of. What stands
 * further down in the picture stands nearer. Of the scene only what is said counts: which things,
 * their colours and their relation. Pure but for memory that is given back; any thread. */
#ifndef EVAL_PAIR_H
#define EVAL_PAIR_H

#include "eval/reel.h"

/* Share of right verdicts on renders, half of them mirrored or with another scene's frames
 * (tests/eval/test_pair.c measures it and fails when it is below this). */
#define PAIR_ACCURACY 0.95
enum { PAIR_CALIBRATED = 400 }; /* 0.953 on seeds that nothing was tuned on */

/* 1 when the scene says where its second thing stands, and colours tell the two apart. */
int pair_fits(const struct scene *s);
/* *is_right: both are seen, and stand as the scene says. ERR_NOMEM. */
MUST_CHECK enum err pair_look(int *is_right, const struct reel *clip, const struct scene *s,
                              struct fail *f);

#endif
