/* scene.h - draws scenes: which things are put together, how they are framed and how fast they go.
 *
 * Every choice is a row of a table; every number comes from a PCG32 stream of (seed, purpose).
 * Framing rules: the hero fills 35-55 % of the height, nothing moves much faster than a fortieth
 * of the picture's width per frame, and what must be seen at the start and the end is in view. */
#ifndef TRAIN_WORLD_SCENE_H
#define TRAIN_WORLD_SCENE_H

#include "train/world/world.h"

/* opts must be valid. The seed decides everything else. 0 when opts ask for a kind of scene that
 * does not fit into the clip or has no held-out pair; that cannot be where any kind will do. */
int scene_draw(struct scene *out, uint64_t seed, const struct world_opts *opts);
/* 1 when the scene holds a pair (colour, class), (class, action) or (env, camera) that training
 * must never see. */
int scene_is_held_out(const struct scene *s);
int scene_fits(enum world_env env, enum world_class cls, enum world_action action);
int scene_draws(enum world_slot slot, int value);

#endif
