#include "train/world/geometry.h"

#define FAR_T  1e9f
#define NEAR_T 1e-3f

/* Where a ray is inside a convex shape: from t0 (normal n there, unit frame) to t1. */
struct span {
    float t0, t1;
    struct vec n;
};

static int clip(struct span *s, struct vec n, float w, struct vec q, struct vec e) {
    float k = num_dot(n, e), a = w - num_dot(n, q); /* inside while n.(q + t e) <= w */
    if (k > -1e-9f && k < 1e-9f) return a >= 0;
    a /= k;
    if (k > 0) {
        if (a < s->t1) s->t1 = a;
    } else if (a > s->t0) {
        s->t0 = a;
        s->n = n;
    }
    return s->t0 < s->t1;
}

static int span_sphere(struct span *s, struct vec q, struct vec e) {
    float a = num_dot(e, e), b = num_dot(q, e), c = num_dot(q, q) - 1, disc = b * b - a * c, root;
    if (disc <= 0) return 0;
    root = sqrtf(disc);
    s->t0 = (-b - root) / a;
    s->t1 = (-b + root) / a;
    s->n = num_along(q, e, s->t0);
    return 1;
}

/* clip() for the two planes of one axis: the same numbers without the zeros. */
static int clip_axis(struct span *s, float q, float e, struct vec n) {
    float a, b;
    if (e > -1e-9f && e < 1e-9f) return q <= 1 && q >= -1;
    a = (1 - q) / e;
    b = (1 + q) / -e;
    if (e > 0) {
        if (a < s->t1) s->t1 = a;
        if (b > s->t0) {
            s->t0 = b;
            s->n = num_mul(n, -1);
        }
    } else {
        if (b < s->t1) s->t1 = b;
        if (a > s->t0) {
            s->t0 = a;
            s->n = n;
        }
    }
    return s->t0 < s->t1;
}

static int span_box(struct span *s, struct vec q, struct vec e) {
    return clip_axis(s, q.x, e.x, num_vec(1, 0, 0)) && clip_axis(s, q.y, e.y, num_vec(0, 1, 0)) &&
           clip_axis(s, q.z, e.z, num_vec(0, 0, 1));
}

static int span_prism(struct span *s, struct vec q, struct vec e) {
    return clip(s, num_vec(2, 1, 0), 1, q, e) && clip(s, num_vec(-2, 1, 0), 1, q, e) &&
           clip(s, num_vec(0, -1, 0), 1, q, e) && clip_axis(s, q.z, e.z, num_vec(0, 0, 1));
}

static int span_wedge(struct span *s, struct vec q, struct vec e) {
    return clip(s, num_vec(1, 1, 0), 0, q, e) && clip(s, num_vec(-1, 0, 0), 1, q, e) &&
           clip(s, num_vec(0, -1, 0), 1, q, e) && clip_axis(s, q.z, e.z, num_vec(0, 0, 1));
}

/* The side r(y) = r0 + k y. A ray flatter than the side crosses it twice; a steeper one once on
 * the nappe that the slab keeps, on the side the ray comes from or goes to. */
static int span_cone(struct span *s, float top, struct vec q, struct vec e) {
    float k = (top - 1) * 0.5f, r0 = (top + 1) * 0.5f, rq = r0 + k * q.y, re = k * e.y;
    float a = e.x * e.x + e.z * e.z - re * re, b = q.x * e.x + q.z * e.z - re * rq;
    float c = q.x * q.x + q.z * q.z - rq * rq, disc = b * b - a * c, root, lo, hi;
    struct vec p;
    if (disc < 0) return 0;
    if (a > -1e-7f && a < 1e-7f) a = 1e-7f;
    root = sqrtf(disc);
    lo = (-b - root) / a;
    hi = (-b + root) / a;
    if (a > 0) {
        s->t0 = lo;
        s->t1 = hi;
    } else if (re > 0) { /* the radius grows along the ray: it goes in and stays */
        s->t0 = num_max(lo, hi);
    } else {
        s->t1 = num_min(lo, hi);
    }
    p = num_along(q, e, s->t0);
    s->n = num_vec(p.x, -k * (r0 + k * p.y), p.z);
    return clip_axis(s, q.y, e.y, num_vec(0, 1, 0));
}

/* The nearest of the cylinder and the two end spheres, in the unscaled frame. */
static int span_capsule(struct span *s, struct vec h, struct vec q, struct vec e) {
    float a = e.x * e.x + e.z * e.z, b = q.x * e.x + q.z * e.z,
          c = q.x * q.x + q.z * q.z - h.x * h.x;
    float disc = b * b - a * c, best = FAR_T;
    if (disc < 0) return 0;
    if (a > 1e-9f) {
        float t = (-b - sqrtf(disc)) / a, y = q.y + t * e.y;
        if (y > -h.y && y < h.y) {
            best = t;
            s->n = num_vec(q.x + t * e.x, 0, q.z + t * e.z);
        }
    }
    for (int end = -1; end <= 1 && best >= FAR_T; end += 2) {
        struct vec p = num_vec(q.x, q.y - (float)end * h.y, q.z);
        float bb = num_dot(p, e), cc = num_dot(p, p) - h.x * h.x, dd = bb * bb - cc, t;
        if (dd <= 0) continue;
        t = -bb - sqrtf(dd);
        if ((p.y + t * e.y) * (float)end < 0) continue;
        best = t;
        s->n = num_along(p, e, t);
    }
    s->t0 = best;
    s->t1 = FAR_T;
    return best < FAR_T;
}

static int span_of(struct span *s, const struct solid *k, struct vec q, struct vec e) {
    s->t0 = -FAR_T;
    s->t1 = FAR_T;
    s->n = num_vec(0, 1, 0);
    switch ((enum geometry_kind)k->kind) {
    case GEOMETRY_SPHERE: return span_sphere(s, q, e);
    case GEOMETRY_BOX: return span_box(s, q, e);
    case GEOMETRY_CONE: return span_cone(s, k->top, q, e);
    case GEOMETRY_PRISM: return span_prism(s, q, e);
    case GEOMETRY_WEDGE: return span_wedge(s, q, e);
    case GEOMETRY_CAPSULE: return span_capsule(s, k->h, q, e);
    case GEOMETRY_COUNT: break;
    }
    return 0;
}

/* Moves the entry behind every bite that covers it. The wall of a bite looks at its centre. */
static int skip_bites(const struct solid *k, struct vec o, struct vec d, struct span *s,
                      struct vec *n) {
    for (int round = 0; round < k->n_bite; round++)
        for (int i = 0; i < k->n_bite; i++) {
            const struct ball *bite = &k->bite[i];
            struct vec q = num_sub(o, bite->c);
            float b = num_dot(q, d), disc = b * b - (num_dot(q, q) - bite->r * bite->r), root;
            if (disc <= 0) continue;
            root = sqrtf(disc);
            if (s->t0 < -b - root || s->t0 >= -b + root - 1e-4f) continue;
            s->t0 = -b + root;
            if (s->t0 >= s->t1) return 0;
            *n = num_mul(num_along(q, d, s->t0), -1.0f / bite->r);
        }
    return 1;
}

static struct vec to_frame(const struct solid *s, struct vec p) {
    return num_vec(num_dot(p, s->ux), num_dot(p, s->uy), num_dot(p, s->uz));
}

static struct vec to_world(const struct solid *s, struct vec u) {
    return num_add(num_add(num_mul(s->ax, u.x), num_mul(s->ay, u.y)), num_mul(s->az, u.z));
}

/* A normal of the ray's frame, back in the world. */
static struct vec normal_to_world(const struct solid *s, struct vec n) {
    return num_unit(
        num_add(num_add(num_mul(s->ux, n.x), num_mul(s->uy, n.y)), num_mul(s->uz, n.z)));
}

static float bound_of(const struct solid *k) {
    float x = num_abs(k->h.x), y = k->h.y, z = k->h.z;
    if (x + y + z <= 0) return 0;
    if (k->kind == GEOMETRY_SPHERE) return num_max(x, num_max(y, z)) * 1.001f;
    if (k->kind == GEOMETRY_CAPSULE) return (x + y) * 1.001f;
    return sqrtf(x * x + y * y + z * z) * 1.001f;
}

void geometry_ready(struct solid *k) {
    int is_plain = k->kind == GEOMETRY_CAPSULE || !(k->h.y > 0);
    k->bound = bound_of(k);
    k->ux = is_plain ? k->ax : num_mul(k->ax, 1 / k->h.x);
    k->uy = is_plain ? k->ay : num_mul(k->ay, 1 / k->h.y);
    k->uz = is_plain ? k->az : num_mul(k->az, 1 / k->h.z);
}

/* The span of the ray inside the solid, bites not yet taken out; s->n is of the ray's frame. 0 when
 * nothing of it is in front of the eye and before `limit`. */
static int span_ray(const struct solid *k, struct vec o, struct vec d, float limit,
                    struct span *s) {
    struct vec q = to_frame(k, num_sub(o, k->c)), e = to_frame(k, d);
    if (!span_of(s, k, q, e)) return 0;
    if (k->cut_hi < 1 && !clip(s, num_vec(0, 1, 0), k->cut_hi, q, e)) return 0;
    if (k->cut_lo > -1 && !clip(s, num_vec(0, -1, 0), -k->cut_lo, q, e)) return 0;
    return s->t0 < limit && s->t0 < s->t1 && s->t1 >= NEAR_T;
}

int geometry_hit(const struct solid *k, struct vec o, struct vec d, struct hit *hit) {
    struct span s;
    struct vec n;
    if (!span_ray(k, o, d, hit->t, &s)) return 0;
    if (!k->n_bite && s.t0 < NEAR_T) return 0;
    n = normal_to_world(k, s.n);
    if (k->n_bite && !skip_bites(k, o, d, &s, &n)) return 0;
    if (s.t0 < NEAR_T || s.t0 >= hit->t) return 0;
    hit->t = s.t0;
    hit->n = n;
    return 1;
}

int geometry_blocks(const struct solid *k, struct vec o, struct vec d) {
    struct span s;
    struct vec n;
    if (!span_ray(k, o, d, FAR_T, &s)) return 0;
    if (k->n_bite && !skip_bites(k, o, d, &s, &n)) return 0;
    return s.t0 >= NEAR_T && s.t0 < FAR_T;
}

/* Unit frame of the labels: also a capsule is scaled here. */
struct vec geometry_inward(const struct solid *s, struct vec p) {
    struct vec q = num_sub(p, s->c);
    return num_vec(num_dot(q, s->ax) / s->h.x, num_dot(q, s->ay) / s->h.y,
                   num_dot(q, s->az) / s->h.z);
}

struct vec geometry_outward(const struct solid *s, struct vec u) {
    return num_add(s->c, to_world(s, num_each(u, s->h)));
}
