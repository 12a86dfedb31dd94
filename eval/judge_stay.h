/* judge_stay.h - rows of judge.c about what stays: things that were hidden, strokes, bites and
 * blocks.
 *
 * They compare frames of a clip with each other, so a thing of the wrong colour may still be
 * permanent. The camera stands, or a player looks again where it looked before. */
#ifndef EVAL_JUDGE_STAY_H
#define EVAL_JUDGE_STAY_H

#include "eval/judge.h"
#include "eval/reel.h"

/* value: distance of the colours before and behind the wall, 0..255; 255 when nothing comes out. */
int judge_stay_fits_hidden(const struct scene *s);
enum err judge_stay_hidden(struct judge_verdict *out, const struct reel *clip,
                           const struct scene *s, struct fail *f);
/* value: the least share of what has changed that is still changed later. */
int judge_stay_fits_marks(const struct scene *s);
enum err judge_stay_marks(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f);
/* value: share of the block (or hole) that is there again when the player looks back. */
int judge_stay_fits_block(const struct scene *s);
enum err judge_stay_block(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f);

#endif
