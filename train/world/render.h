/* render.h - a frame of a scene as pixels, ids, depth and flow: one ray per pixel, four on edges.
 *
 * Works row by row on the caller's stack, keeps nothing. Pure; any thread. */
#ifndef TRAIN_WORLD_RENDER_H
#define TRAIN_WORLD_RENDER_H

#include "train/world/world.h"

/* The first pixel of each output that is wanted, and how many pixels further the next line begins.
 */
struct render_target {
    uint8_t *rgb, *ids;
    float *depth, *flow;
    int pitch;
};
void render_frame(const struct scene *s, int frame, const struct render_target *out);

#endif
