#include "engine/rope.h"

#include <math.h>

static const double rope_theta = 10000;

/* The pairs of one axis at one position; gives the place after them. */
static float *fill_axis(float *out, int64_t dim, int64_t position) {
    for (int64_t i = 0; i < dim / 2; i++) {
        double angle = (double)position / pow(rope_theta, 2.0 * (double)i / (double)dim);
        *out++ = (float)cos(angle);
        *out++ = (float)sin(angle);
    }
    return out;
}

void rope_fill(float *out, const struct rope_shape *s) {
    int64_t side = 2 * (s->D / 6), time = s->D - 2 * side;
    for (int64_t t = 0; t < s->T; t++)
        for (int64_t h = 0; h < s->H; h++)
            for (int64_t w = 0; w < s->W; w++) {
                out = fill_axis(out, time, t);
                out = fill_axis(out, side, h);
                out = fill_axis(out, side, w);
            }
}
