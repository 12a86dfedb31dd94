/* crop.h - shapes: the middle of one picture that has the shape of another. Pure.
 *
 * Cutting the middle out keeps circles round when a model's canvas, a client's image and the asked
 * size have different shapes. */
#ifndef BASE_CROP_H
#define BASE_CROP_H

struct crop {
    int x, y, width, height; /* pixels inside the source */
};

/* The largest centred part of width x height with the shape of out_width x out_height. */
struct crop crop_to_shape(int width, int height, int out_width, int out_height);

struct crop_size {
    int width, height;
};

/* width x height made smaller, never larger, until no side is over max_side; even sides. */
struct crop_size crop_to_side(int width, int height, int max_side);

#endif
