/* hud.h - what a player's screen shows over the picture: a cross, a row of blocks to choose from,
 * and the player's hand with or without a block.
 *
 * Sizes go with the smaller side of the picture. Made once a frame. Pure; any thread. */
#ifndef TRAIN_WORLD_HUD_H
#define TRAIN_WORLD_HUD_H

#include "train/world/num.h"
#include "train/world/world.h"

struct hud {
    int is_shown;
    float W, H, unit; /* pixels */
    int slot;         /* which slot is chosen */
    int has_block;
    float tip_x, tip_y; /* of the hand, pixels */
};

struct hud hud_make(const struct scene *s, float t);
/* How much of pixel (x, y) the HUD covers, 0..1; writes its colour. */
float hud_cover(const struct hud *h, int x, int y, struct vec *colour);

#endif
