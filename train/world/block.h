/* block.h - the block world: a terrain of unit cubes around the camera, and a ray through it.
 *
 * The terrain is a pure function of the scene's drift and of place, so it goes on wherever a player
 * walks; a grid is cut out of it around the eye for one moment of a scene, with the blocks that
 * its events have moved by then. Where the scene plays the ground is flat: the top of the lowest
 * blocks is y = 0. The caller owns the grid (about 44 KiB). Pure; any thread. */
#ifndef TRAIN_WORLD_BLOCK_H
#define TRAIN_WORLD_BLOCK_H

#include "train/world/num.h"
#include "train/world/path.h"
#include "train/world/world.h"

enum { BLOCK_SIDE = 48, BLOCK_TALL = 16, BLOCK_FLOOR = -4 };
enum block_kind {
    BLOCK_AIR,
    BLOCK_GRASS,
    BLOCK_SNOW,
    BLOCK_SAND,
    BLOCK_DIRT,
    BLOCK_STONE,
    BLOCK_LOG,
    BLOCK_LEAVES,
    BLOCK_PLANK,  /* put there by an event */
    BLOCK_COBBLE, /* waits for an event that digs it out */
    BLOCK_KIND_COUNT
};
struct block_grid {
    int x0, z0;                          /* world cell of [0][0] */
    uint8_t top[BLOCK_SIDE][BLOCK_SIDE]; /* cells from the floor that may be solid, [z][x] */
    uint8_t cell[BLOCK_SIDE][BLOCK_SIDE][BLOCK_TALL];
    float crack; /* 0..1: how far the block at crack_at is dug */
    int crack_at[3];
};
struct block_hit {
    float t;
    struct vec n; /* of the face */
    uint8_t kind;
    int x, y, z; /* the cell */
};

void block_make(struct block_grid *g, const struct scene *s, const struct path_view *v, float t);
/* Nearest block with 0 < t < limit along unit d. Writes *out and returns 1 when found. */
int block_find(const struct block_grid *g, struct vec o, struct vec d, float limit,
               struct block_hit *out);
/* Own colour of the face that was hit at this point. */
struct vec block_colour(const struct block_grid *g, const struct block_hit *h, struct vec at);
/* Height of the ground at a column, as terrain alone makes it. */
int block_ground(const struct scene *s, int x, int z);

#endif
