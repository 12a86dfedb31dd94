#include "train/world/shot.h"

#include "train/world/path.h"

#define FIRST    .15f /* seconds of the first shot */
#define INTERVAL .85f
#define FLIGHT   .60f
#define FLASH    .17f
#define ARC      .45f

static void put(struct solid *k, int part, struct vec c, float r) {
    *k = (struct solid){.kind = GEOMETRY_SPHERE, .part = (uint8_t)part, .cut_lo = -1, .cut_hi = 1};
    k->c = c;
    k->h = num_vec(r, r, r);
    k->ax = num_vec(1, 0, 0);
    k->ay = num_vec(0, 1, 0);
    k->az = num_vec(0, 0, 1);
    geometry_ready(k);
}

void shot_build(struct solid out[SHOT_COUNT], const struct scene *s, float t) {
    int n = num_floor((t - FIRST) / INTERVAL), from = n & 1;
    float age = t - FIRST - INTERVAL * (float)n, q = num_clamp(age / FLIGHT, 0, 1);
    struct shape_pose a = path_pose(s, from, t), b = path_pose(s, !from, t);
    float side = b.pos.x > a.pos.x ? 1 : -1;
    struct vec muzzle = num_add(a.pos, num_vec(side * 1.25f * a.scale, .85f * a.scale, -.12f)),
               target = num_add(b.pos, num_vec(-side * .9f * b.scale, .75f * b.scale, -.2f)), at;
    int is_on = n >= 0, flies = is_on && age < FLIGHT, hits = is_on && age >= FLIGHT;
    at = num_mix(muzzle, target, q);
    at.y += ARC * 4 * q * (1 - q);
    put(&out[SHOT_BALL], SHOT_BALL, at, flies ? .13f : 0);
    put(&out[SHOT_FIRE], SHOT_FIRE, hits ? target : muzzle,
        is_on && (hits ? age < FLIGHT + FLASH : age < FLASH) ? .30f : 0);
    muzzle.y += .35f * age;
    put(&out[SHOT_SMOKE], SHOT_SMOKE, muzzle,
        is_on && age > FLASH && age < .65f ? .34f * (1 - age) : 0);
}

struct vec shot_colour(int part) {
    static const struct vec colours[SHOT_COUNT] = {
        {.10f, .10f, .11f}, {1, .74f, .20f}, {.86f, .86f, .88f}};
    return colours[part];
}
