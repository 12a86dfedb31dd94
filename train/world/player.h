/* player.h - where a player of the block world stands and looks, and what the player's hand does.
 *
 * The moves of a scene are followed one after another from its first frame: a closed form of time,
 * a few steps long. The camera's eye and at are those of the first frame, its rate is the walking
 * speed. Pure; any thread. */
#ifndef TRAIN_WORLD_PLAYER_H
#define TRAIN_WORLD_PLAYER_H

#include "train/world/num.h"
#include "train/world/world.h"

#define PLAYER_TURN  0.75f /* radians of one turn */
#define PLAYER_REACH 2.5f  /* how far away the block is that is dug or put down */

struct player {
    struct vec eye;
    float yaw;      /* radians to the right of +z */
    float pitch;    /* radians above the horizon */
    float swing;    /* 0..1, how far the hand has struck out */
    int has_block;  /* a block is in the hand */
    int is_digging; /* the block in front is being dug */
};

struct player player_at(const struct scene *s, float t);
struct vec player_ahead(const struct player *p); /* level unit vector of where it looks */
/* The cell that DIG and PLACE of this player would change. */
void player_target(const struct player *p, float cell[3]);

#endif
