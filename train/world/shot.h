/* shot.h - what flies between two ships that fight: a cannon ball, fire where it leaves and where
 * it hits, and a puff of smoke.
 *
 * The ships fire in turn, one shot at a time, from the first frame on. A closed form of time. Pure;
 * any thread. */
#ifndef TRAIN_WORLD_SHOT_H
#define TRAIN_WORLD_SHOT_H

#include "train/world/geometry.h"
#include "train/world/world.h"

enum { SHOT_BALL, SHOT_FIRE, SHOT_SMOKE, SHOT_COUNT };

/* Always writes SHOT_COUNT solids, each with its number as `part`; what is not there has size 0. */
void shot_build(struct solid out[SHOT_COUNT], const struct scene *s, float t);
struct vec shot_colour(int part);

#endif
