/* geometry.h - solids that a ray can hit: convex pieces, optionally cut flat and bitten.
 *
 * Knows nothing of scenes, colours or cameras. Every solid is a unit shape in its own frame, so
 * a hit is an interval of the ray, and cuts and bites are interval arithmetic. Pure; any thread. */
#ifndef TRAIN_WORLD_GEOMETRY_H
#define TRAIN_WORLD_GEOMETRY_H

#include "train/world/num.h"

enum { GEOMETRY_BITE_MAX = 4 };
enum geometry_kind {
    GEOMETRY_SPHERE,  /* x^2 + y^2 + z^2 <= 1 */
    GEOMETRY_BOX,     /* |x|, |y|, |z| <= 1 */
    GEOMETRY_CONE,    /* radius 1 at y = -1, `top` at y = 1 (1: cylinder, 0: cone) */
    GEOMETRY_PRISM,   /* gable roof: base y = -1, ridge y = 1 along z */
    GEOMETRY_WEDGE,   /* right triangle in xy: x, y >= -1, x + y <= 0; |z| <= 1 */
    GEOMETRY_CAPSULE, /* radius h.x around the y axis from -h.y to h.y; not scaled */
    GEOMETRY_COUNT
};
struct ball {
    struct vec c;
    float r;
};
struct solid {
    uint8_t kind, part; /* part: free for the owner */
    uint8_t n_bite;
    struct vec c, ax, ay, az;  /* centre and unit axes in the world */
    struct vec ux, uy, uz;     /* geometry_ready: axes of the frame that rays are taken into */
    struct vec h;              /* half sizes along the axes; all zero: not there */
    float top, cut_lo, cut_hi; /* keeps cut_lo <= y <= cut_hi of the unit frame */
    float bound;               /* geometry_ready: radius of a sphere around c that holds it */
    struct ball bite[GEOMETRY_BITE_MAX]; /* in the world */
};
struct hit {
    float t;
    struct vec n; /* outward, unit */
};

/* Fills in what follows from centre, axes and half sizes; call it when these are final. */
void geometry_ready(struct solid *s);
/* The caller has asked geometry_meets(s->c, s->bound, o, d) before; bound 0 is not there.
 * Nearest entry of o + t d (d unit) with 1e-3 < t < hit->t. Writes *hit and returns 1 when found.
 */
int geometry_hit(const struct solid *s, struct vec o, struct vec d, struct hit *hit);
/* 1 when the ray meets the sphere in front of o. Inline: it is asked for every solid of every ray.
 */
static inline int geometry_meets(struct vec c, float r, struct vec o, struct vec d) {
    struct vec q = num_sub(o, c);
    float b = num_dot(q, d), out = num_dot(q, q) - r * r;
    return out <= 0 || (b < 0 && b * b >= out);
}
/* The same, and nearer than `limit`: nothing of the sphere is nearer than its middle less r. */
static inline int geometry_meets_before(struct vec c, float r, struct vec o, struct vec d,
                                        float limit) {
    struct vec q = num_sub(o, c);
    float b = num_dot(q, d), out = num_dot(q, q) - r * r;
    return -b - r < limit && (out <= 0 || (b < 0 && b * b >= out));
}
/* The same question for a shadow: is it hit at all? */
int geometry_blocks(const struct solid *s, struct vec o, struct vec d);
/* Point of the world into the unit frame and back; a flow is "same unit point, next frame". */
struct vec geometry_inward(const struct solid *s, struct vec p);
struct vec geometry_outward(const struct solid *s, struct vec u);

#endif
