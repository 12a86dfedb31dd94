/* guidance.h - how two velocities, with and without the words, become one. Pure arithmetic.
 *
 *   plain:      v = u + g (c - u)
 *   CFG-Zero*:  v = a u + g (c - a u),  a = <c,u> / |u|^2 over the whole sample, and no velocity at
 *               all in the first steps. */
#ifndef ENGINE_GUIDANCE_H
#define ENGINE_GUIDANCE_H

#include <stdbool.h>
#include <stdint.h>

struct guidance {
    double scale;      /* at most 1: without */
    double scale_late; /* of the second expert */
    double from, to;   /* only while to <= sigma <= from; 1 and 0 mean always */
    bool is_zero_star; /* CFG-Zero* */
    int n_zero_steps;  /* with it: steps at the beginning that stand still */
};

/* Scale of a step, 1 when there is none; `is_late` when the second expert works. */
double guidance_scale(const struct guidance *g, double sigma, bool is_late);
/* With CFG-Zero* the first steps need no velocity. */
bool guidance_is_still(const struct guidance *g, int step);
/* v [n] = the velocity with words, guided in place; u [n] without words. */
void guidance_mix(const struct guidance *g, float *v, const float *u, int64_t n, double scale);

#endif
