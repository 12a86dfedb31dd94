/* judge_thing.h - rows of judge.c about how things move, measured on traces of mask.h.
 *
 * They look at clips whose camera stands, in which one picture shows one scene. */
#ifndef EVAL_JUDGE_THING_H
#define EVAL_JUDGE_THING_H

#include "eval/judge.h"
#include "eval/reel.h"

/* value: the way from the first quarter of the clip to the last, in widths of the picture, to the
 * right. */
int judge_thing_fits_way(const struct scene *s);
enum err judge_thing_way(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                         struct fail *f);
/* value: gravity in units per second^2, the ball's own size being the measure of length. Right
 * within a quarter of the world's 4.5, when parabolas explain the heights (R^2) and apexes do not
 * grow. */
int judge_thing_fits_fall(const struct scene *s);
enum err judge_thing_fall(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f);
/* value: the way of what is run into, in widths of the picture along the blow. */
int judge_thing_fits_push(const struct scene *s);
enum err judge_thing_push(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f);

#endif
