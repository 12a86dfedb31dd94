/* render.h - a frame of a scene as pixels, ids, depth and flow: one ray per pixel, four on edges.
 *
 * Works row by row on the caller's stack, keeps nothing. Pure; any thread. */
#ifndef TRAIN_WORLD_RENDER_H
#define TRAIN_WORLD_RENDER_H

#include "train/world/world.h"

void render_frame(const struct scene *s, int frame, uint8_t *rgb, uint8_t *ids, float *depth,
                  float *flow);

#endif
