/* style.h - the five ways a picture can look, applied to finished colours.
 *
 * PIXEL_ART is drawn in large square pixels with few tones, INK_WASH on paper with dark outlines,
 * BLACK_WHITE without colour, CLAY by hand: half of the pictures, soft tones (its lumps are in
 * stage.c). PLAIN changes nothing. Pure; any thread. */
#ifndef TRAIN_WORLD_STYLE_H
#define TRAIN_WORLD_STYLE_H

#include "train/world/num.h"
#include "train/world/world.h"

/* How many pixels wide one pixel of the drawing is. */
int style_pixel(const struct scene *s);
/* The frame that is shown at this frame: clay holds each picture for two. */
int style_frame(const struct scene *s, int frame);
/* outline: 0 none, 1 between two things, less inside one. */
struct vec style_colour(enum world_style style, struct vec c, float outline);

#endif
