/* scene_block.h - draws what happens in the block world: what a player does, and which blocks move.
 *
 * The policies of a player are scripts with a purpose (put a block down, look away, look back) and
 * random walks; what they change stays. Part of scene.c. */
#ifndef TRAIN_WORLD_SCENE_BLOCK_H
#define TRAIN_WORLD_SCENE_BLOCK_H

#include "train/world/num.h"
#include "train/world/world.h"

/* Moves of a player that fit into the clip; none in a still. Always 1. */
int scene_block_moves(struct scene *s, struct num_rng *r);
/* Eye, light and the blocks that the moves change; 0 when the player would run into something. */
int scene_block_place(struct scene *s, struct num_rng *r);
/* Blocks that are dug or put down beside a person who is seen from outside. */
void scene_block_events(struct scene *s, struct num_rng *r);

#endif
