/* num.h - numbers that are the same everywhere: vectors, PCG32, and sine, noise and powers made of
 * IEEE +, -, *, / and sqrt only. Nothing here may call libm (but sqrtf, which IEEE fixes) and
 * nothing here knows about scenes. Pure; any thread. Compiled with -ffp-contract=off. */
#ifndef TRAIN_WORLD_NUM_H
#define TRAIN_WORLD_NUM_H

#include <math.h>
#include <stdint.h>

struct vec {
    float x, y, z;
};

#define NUM_PI 3.14159265f

static inline struct vec num_vec(float x, float y, float z) {
    struct vec r = {x, y, z};
    return r;
}
static inline struct vec num_of(const float p[3]) {
    return num_vec(p[0], p[1], p[2]);
}
static inline struct vec num_add(struct vec a, struct vec b) {
    return num_vec(a.x + b.x, a.y + b.y, a.z + b.z);
}
static inline struct vec num_sub(struct vec a, struct vec b) {
    return num_vec(a.x - b.x, a.y - b.y, a.z - b.z);
}
static inline struct vec num_mul(struct vec a, float s) {
    return num_vec(a.x * s, a.y * s, a.z * s);
}
static inline struct vec num_each(struct vec a, struct vec b) {
    return num_vec(a.x * b.x, a.y * b.y, a.z * b.z);
}
static inline float num_dot(struct vec a, struct vec b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
static inline struct vec num_cross(struct vec a, struct vec b) {
    return num_vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
static inline struct vec num_unit(struct vec a) {
    return num_mul(a, 1.0f / sqrtf(num_dot(a, a)));
}
static inline struct vec num_mix(struct vec a, struct vec b, float t) {
    return num_vec(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t);
}
static inline struct vec num_along(struct vec o, struct vec d, float t) {
    return num_vec(o.x + d.x * t, o.y + d.y * t, o.z + d.z * t);
}

static inline float num_min(float a, float b) {
    return a < b ? a : b;
}
static inline float num_max(float a, float b) {
    return a > b ? a : b;
}
static inline float num_abs(float a) {
    return a < 0 ? -a : a;
}
static inline float num_clamp(float a, float lo, float hi) {
    return a < lo ? lo : a > hi ? hi : a;
}
/* Valid for |a| < 2^31, which every coordinate of the world is. */
static inline int num_floor(float a) {
    int i = (int)a;
    return i - (a < (float)i);
}
/* 0 below lo, 1 above hi, smooth between. */
static inline float num_step(float lo, float hi, float a) {
    float u = num_clamp((a - lo) / (hi - lo), 0, 1);
    return u * u * (3 - 2 * u);
}

/* Sine by reduction to [-pi/2, pi/2] and the odd series to x^9: error below 4e-6. */
static inline float num_sin(float a) {
    float r = a - (float)num_floor(a * (0.5f / NUM_PI) + 0.5f) * (2 * NUM_PI), q;
    if (r > NUM_PI / 2) r = NUM_PI - r;
    if (r < -NUM_PI / 2) r = -NUM_PI - r;
    q = r * r;
    return r * (1 + q * (-1.0f / 6 + q * (1.0f / 120 + q * (-1.0f / 5040 + q * (1.0f / 362880)))));
}
static inline float num_cos(float a) {
    return num_sin(a + NUM_PI / 2);
}

/* Noise on the integer lattice, 0..1, and its smooth interpolation. */
static inline float num_hash(int x, int y) {
    uint32_t h = (uint32_t)x * 374761393u + (uint32_t)y * 668265263u;
    h = (h ^ (h >> 13)) * 1274126177u;
    h ^= h >> 16;
    return (float)(h >> 8) / 16777216.0f;
}
static inline float num_noise(float x, float y) {
    int i = num_floor(x), j = num_floor(y);
    float u = x - (float)i, v = y - (float)j, a, b, c, d;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    a = num_hash(i, j);
    b = num_hash(i + 1, j);
    c = num_hash(i, j + 1);
    d = num_hash(i + 1, j + 1);
    return a + (b - a) * u + (c - a) * v + (a - b - c + d) * u * v;
}

/* PCG32: one stream per (seed, purpose), so a new draw in one purpose moves no other. */
struct num_rng {
    uint64_t state, inc;
};
static inline uint32_t num_next(struct num_rng *r) {
    uint64_t s = r->state;
    uint32_t x = (uint32_t)(((s >> 18) ^ s) >> 27), k = (uint32_t)(s >> 59);
    r->state = s * 6364136223846793005ull + r->inc;
    return (x >> k) | (x << ((32 - k) & 31));
}
static inline struct num_rng num_rng_make(uint64_t seed, uint64_t purpose) {
    struct num_rng r = {0, (purpose << 1) | 1};
    (void)num_next(&r);
    r.state += seed * 0x9E3779B97F4A7C15ull + 0x1234567u;
    (void)num_next(&r);
    (void)num_next(&r);
    return r;
}
/* 0..n-1, n small; the bias of the remainder is below 1e-7. */
static inline int num_int(struct num_rng *r, int n) {
    return (int)(num_next(r) % (uint32_t)n);
}
static inline float num_range(struct num_rng *r, float lo, float hi) {
    return lo + (hi - lo) * ((float)(num_next(r) >> 8) / 16777216.0f);
}
static inline int num_chance(struct num_rng *r, float p) {
    return num_range(r, 0, 1) < p;
}

#endif
