/* pace.h - does what moves go on as it did, over a joint of two clips or through the middle of one?
 *
 * For clips whose camera stands and whose main thing crosses the picture at one speed. */
#ifndef EVAL_PACE_H
#define EVAL_PACE_H

#include "eval/judge.h"
#include "eval/reel.h"

struct pace {
    double before, after; /* widths of the picture a second, to the right; NAN: not seen */
    double change;        /* |after - before| over the larger of the two, 0..2 */
    double jump;          /* widths: from where it would be at the joint to where it is */
};
enum { PACE_WINDOW = 10 };

/* Over up to PACE_WINDOW frames before frame `at` and as many from it on. ERR_NOMEM. */
MUST_CHECK enum err pace_measure(struct pace *out, const struct reel *clip, const struct scene *s,
                                 int at, struct fail *f);

/* Rows of judge.c: pace at the middle of a clip. value: change. */
int pace_fits(const struct scene *s);
enum err pace_look(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                   struct fail *f);

#endif
