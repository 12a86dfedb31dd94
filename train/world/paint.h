/* paint.h - the places: sky, backdrop, ground and light of each environment.
 *
 * Textures are low in contrast and in frequency on purpose: every bit the video codec spends on a
 * wall is missing on the hero. Knows nothing of entities. A paint is made once per frame. Pure. */
#ifndef TRAIN_WORLD_PAINT_H
#define TRAIN_WORLD_PAINT_H

#include "train/world/num.h"
#include "train/world/world.h"

enum { PAINT_RIPPLE_MAX = 4 };
struct paint {
    enum world_env env;
    enum world_time time;
    float seconds, drift;      /* seconds as path_clock has them */
    struct vec sky_hi, sky_lo; /* colours of the sky above and at the horizon */
    struct vec light, ambient; /* of direct and of scattered light */
    struct vec tint;           /* of backdrops, which are painted as in daylight */
    struct vec sun;            /* unit vector towards the light */
    float fog;                 /* 0 clear .. 1 */
    int is_overcast;           /* neither sun nor clouds show */
    float mirror;              /* how much the ground reflects when looked at from above */
    float shade;               /* what a shadow leaves of direct light */
    int n_ripple;
    struct {
        float x, z, age; /* seconds since the splash */
    } ripple[PAINT_RIPPLE_MAX];
};

struct paint paint_make(const struct scene *s, float t);
struct vec paint_sky(const struct paint *p, struct vec d);
/* Nearest backdrop along o + t d: writes distance and colour and returns 1, or 0 for open sky. */
int paint_backdrop(const struct paint *p, struct vec o, struct vec d, float *t, struct vec *colour);
/* Does the ground reach this point of y = 0? */
int paint_is_ground(const struct paint *p, struct vec at);
/* Own colour of the ground, before light. `far` is the distance from the eye. */
struct vec paint_ground(const struct paint *p, struct vec at, float far);
/* The ten colours of entities. */
struct vec paint_colour(enum world_colour colour);
/* Mixes in the haze of the distance. */
struct vec paint_haze(const struct paint *p, struct vec colour, float far);

#endif
