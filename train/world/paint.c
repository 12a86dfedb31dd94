#include "train/world/paint.h"

#include "common/base/assert.h"
#include "train/world/path.h"

static const struct vec colours[WORLD_COLOUR_COUNT] = {
    [WORLD_COLOUR_RED] = {.87f, .10f, .10f},    [WORLD_COLOUR_GREEN] = {.13f, .66f, .22f},
    [WORLD_COLOUR_BLUE] = {.13f, .28f, .90f},   [WORLD_COLOUR_YELLOW] = {.98f, .84f, .12f},
    [WORLD_COLOUR_PURPLE] = {.55f, .18f, .78f}, [WORLD_COLOUR_ORANGE] = {.98f, .50f, .08f},
    [WORLD_COLOUR_WHITE] = {.95f, .95f, .95f},  [WORLD_COLOUR_BLACK] = {.11f, .11f, .13f},
    [WORLD_COLOUR_PINK] = {.98f, .47f, .70f},   [WORLD_COLOUR_CYAN] = {.14f, .80f, .86f},
};

/* Sky in daylight, mirror of the ground, shadow strength, haze. */
static const struct place {
    struct vec sky_hi, sky_lo;
    float mirror, shade, haze;
} places[WORLD_ENV_COUNT] = {
    [WORLD_ENV_MEADOW] = {{.33f, .58f, .94f}, {.80f, .91f, 1}, 0, .35f, .025f},
    [WORLD_ENV_DESERT] = {{.47f, .68f, .90f}, {.99f, .89f, .70f}, 0, .4f, .025f},
    [WORLD_ENV_SNOW_VILLAGE] = {{.60f, .73f, .90f}, {.88f, .92f, .97f}, 0, .5f, .02f},
    [WORLD_ENV_NEON_STREET] = {{.05f, .04f, .13f}, {.22f, .10f, .30f}, .30f, .55f, .02f},
    [WORLD_ENV_SEA] = {{.30f, .58f, .93f}, {.82f, .92f, .98f}, .22f, .6f, .03f},
    [WORLD_ENV_BEACH] = {{.26f, .60f, .95f}, {.78f, .93f, .98f}, 0, .4f, .02f},
    [WORLD_ENV_STUDIO] = {{.92f, .87f, .78f}, {.92f, .87f, .78f}, 0, .4f, 0},
    [WORLD_ENV_KITCHEN] = {{.80f, .90f, .86f}, {.80f, .90f, .86f}, .05f, .4f, 0},
    [WORLD_ENV_COFFEE_CUP] = {{.62f, .46f, .36f}, {.90f, .78f, .62f}, .14f, .6f, 0},
    [WORLD_ENV_BLOCK_WORLD] = {{.40f, .66f, .98f}, {.78f, .90f, 1}, 0, .4f, .02f},
};

static const struct hour {
    struct vec sky_hi, sky_lo, light, ambient, tint;
    float own_sky; /* how much of the place's own sky is left */
} hours[WORLD_TIME_COUNT] = {
    [WORLD_TIME_DAY] = {{0, 0, 0}, {0, 0, 0}, {.62f, .60f, .55f}, {.50f, .51f, .54f}, {1, 1, 1}, 1},
    [WORLD_TIME_SUNSET] = {{.44f, .38f, .64f},
                           {1, .68f, .42f},
                           {.62f, .50f, .38f},
                           {.47f, .44f, .47f},
                           {.92f, .72f, .64f},
                           0},
    [WORLD_TIME_NIGHT] = {{.03f, .05f, .15f},
                          {.13f, .17f, .36f},
                          {.34f, .37f, .48f},
                          {.36f, .40f, .54f},
                          {.32f, .38f, .58f},
                          0},
};

static int is_indoor(enum world_env env) {
    return env == WORLD_ENV_STUDIO || env == WORLD_ENV_KITCHEN || env == WORLD_ENV_COFFEE_CUP;
}

struct vec paint_colour(enum world_colour colour) {
    ASSERT((unsigned)colour < WORLD_COLOUR_COUNT);
    return colours[colour];
}

/* Things that fall into water make rings. */
static void add_ripples(struct paint *p, const struct scene *s, float t) {
    for (int i = 0; i < s->n_ent && p->n_ripple < PAINT_RIPPLE_MAX; i++) {
        const struct world_entity *e = &s->ent[i];
        if (e->action != WORLD_ACTION_FALL || !path_is_water(p->env) || t < e->p[1]) continue;
        p->ripple[p->n_ripple].x = e->pos[0];
        p->ripple[p->n_ripple].z = e->pos[2];
        p->ripple[p->n_ripple++].age = t - e->p[1];
    }
}

struct paint paint_make(const struct scene *s, float t) {
    const struct place *at = &places[s->env];
    const struct hour *h = &hours[s->time];
    struct paint p = {.env = (enum world_env)s->env,
                      .time = (enum world_time)s->time,
                      .seconds = path_clock(s, t),
                      .drift = s->drift,
                      .sun = num_of(s->sun)};
    float own = h->own_sky;
    if (is_indoor(p.env) || p.env == WORLD_ENV_NEON_STREET) {
        h = &hours[WORLD_TIME_DAY];
        own = 1;
    }
    p.sky_hi = num_mix(h->sky_hi, at->sky_hi, own);
    p.sky_lo = num_mix(h->sky_lo, at->sky_lo, own);
    p.light = h->light;
    p.ambient = h->ambient;
    p.tint = h->tint;
    p.mirror = at->mirror;
    p.shade = at->shade;
    p.fog = at->haze + (s->weather == WORLD_WEATHER_FOG ? 0.055f : 0);
    if (p.env == WORLD_ENV_NEON_STREET) {
        p.light = num_vec(.40f, .38f, .42f);
        p.ambient = num_vec(.52f, .48f, .58f);
    }
    if (s->weather == WORLD_WEATHER_RAIN && p.env != WORLD_ENV_NEON_STREET) {
        p.sky_lo = num_mix(p.sky_lo, num_each(num_vec(.66f, .70f, .76f), p.tint), .75f);
        p.sky_hi = num_mix(p.sky_hi, num_each(num_vec(.50f, .55f, .63f), p.tint), .8f);
        p.light = num_mul(p.light, .6f);
        p.tint = num_mul(p.tint, .88f);
    }
    p.is_overcast = s->weather == WORLD_WEATHER_RAIN || s->weather == WORLD_WEATHER_FOG;
    add_ripples(&p, s, t);
    if (s->weather == WORLD_WEATHER_FOG) {
        p.sky_lo = num_mix(p.sky_lo, num_each(num_vec(.84f, .86f, .88f), p.tint), .7f);
        p.sky_hi = num_mix(p.sky_hi, p.sky_lo, .7f);
    }
    return p;
}

struct vec paint_haze(const struct paint *p, struct vec colour, float far) {
    float a = far * p->fog;
    return p->fog > 0 ? num_mix(colour, p->sky_lo, a / (1 + a)) : colour;
}

/* ---------------------------------------------------------------- sky */

static struct vec disc(struct vec c, struct vec d, struct vec at, float edge, struct vec colour) {
    float k = num_dot(d, at);
    return k > edge - .003f ? num_mix(c, colour, num_step(edge - .003f, edge + .003f, k)) : c;
}

struct vec paint_sky(const struct paint *p, struct vec d) {
    float u = num_clamp(d.y * 2.0f, 0, 1), cloud;
    struct vec c = num_mix(p->sky_lo, p->sky_hi, u);
    if (is_indoor(p->env) || p->env == WORLD_ENV_NEON_STREET || p->is_overcast) return c;
    if (p->time == WORLD_TIME_SUNSET)
        return disc(c, d, num_vec(.2341f, .1337f, .963f), .9925f, num_vec(1, .90f, .62f));
    if (p->time == WORLD_TIME_NIGHT)
        return disc(c, d, num_vec(-.2664f, .3106f, .9124f), .9965f, num_vec(.95f, .94f, .84f));
    if (p->env == WORLD_ENV_DESERT)
        return disc(c, d, num_vec(.2739f, .2834f, .9191f), .9935f, num_vec(1, .97f, .80f));
    if (p->env == WORLD_ENV_SNOW_VILLAGE || p->fog > .1f) return c;
    cloud = num_noise(d.x * 3.2f + p->drift, d.y * 9 + p->drift);
    return num_mix(c, num_vec(1, 1, 1),
                   .75f * num_step(.5f, .85f, cloud) * num_step(.02f, .12f, d.y));
}

/* ---------------------------------------------------------------- backdrops */

/* A point of the upright plane z = at; far is its distance. */
struct spot {
    float x, y, far;
};

static int on_plane(struct spot *s, const struct paint *p, struct vec o, struct vec d, float at) {
    if (d.z < .02f || at <= o.z) return 0;
    s->far = (at - o.z) / d.z;
    s->x = o.x + d.x * s->far + p->drift;
    s->y = o.y + d.y * s->far;
    return 1;
}

static struct vec lit(const struct paint *p, struct vec c) {
    return num_each(c, p->tint);
}

static int back_meadow(const struct paint *p, struct vec o, struct vec d, float *t,
                       struct vec *out) {
    struct spot s;
    if (on_plane(&s, p, o, d, 15)) {
        float hill = .9f + .5f * num_sin(s.x * .33f) + .3f * num_sin(s.x * .71f + 1),
              cell = s.x / 3.6f;
        int c = num_floor(cell);
        float cx = ((float)c + .5f) * 3.6f,
              top = .9f + .5f * num_sin(cx * .33f) + .3f * num_sin(cx * .71f + 1);
        float dx = s.x - cx, dy = s.y - top - .75f;
        *t = s.far;
        if (s.y < hill) {
            *out = lit(p, num_mix(num_vec(.40f, .66f, .30f), num_vec(.50f, .74f, .36f), s.y * .6f));
            return 1;
        }
        if (num_hash(c, 5) > .4f && dx * dx + dy * dy < .55f) {
            *out = lit(p, num_vec(.22f, .50f, .24f));
            return 1;
        }
    }
    if (on_plane(&s, p, o, d, 28) && s.y < 3.0f + 1.2f * num_sin(s.x * .17f + 2)) {
        *t = s.far;
        *out = lit(p, num_vec(.58f, .77f, .72f));
        return 1;
    }
    return 0;
}

static int back_desert(const struct paint *p, struct vec o, struct vec d, float *t,
                       struct vec *out) {
    struct spot s;
    if (on_plane(&s, p, o, d, 15) && s.y < .45f + .3f * num_sin(s.x * .4f)) {
        *t = s.far;
        *out = lit(p, num_vec(.93f, .73f, .45f));
        return 1;
    }
    if (on_plane(&s, p, o, d, 20)) {
        int c = num_floor(s.x / 8.5f);
        float dx = s.x - ((float)c + .5f) * 8.5f, tall = 3.2f + 1.8f * num_hash(c, 2);
        *t = s.far;
        if (s.y < tall - num_abs(dx) * 1.15f) {
            *out = lit(p, dx > .18f * (tall - s.y) ? num_vec(.68f, .48f, .28f)
                                                   : num_vec(.88f, .66f, .40f));
            return 1;
        }
        if (s.y < .7f) {
            *out = lit(p, num_vec(.90f, .70f, .44f));
            return 1;
        }
    }
    return 0;
}

/* A cottage with a snowy roof and a lit window in its cell of the near plane. */
static int cottage(const struct paint *p, float dx, float y, float hash, struct vec *out) {
    float roof = 2.25f - num_abs(dx) * .75f;
    int wall = num_abs(dx) < 1.15f && y < 1.35f;
    if (num_abs(dx) < 1.45f && y > 1.15f && y < roof) {
        *out = lit(p, num_vec(.95f, .96f, .99f));
        return 1;
    }
    if (!wall) return 0;
    *out = lit(p, hash > .6f ? num_vec(.58f, .36f, .26f) : num_vec(.52f, .42f, .36f));
    if (num_abs(num_abs(dx) - .55f) < .26f && y > .5f && y < 1.0f) *out = num_vec(1, .80f, .42f);
    return 1;
}

static int back_snow(const struct paint *p, struct vec o, struct vec d, float *t, struct vec *out) {
    struct spot s;
    if (on_plane(&s, p, o, d, 14)) {
        int c = num_floor(s.x / 4.4f);
        float dx = s.x - ((float)c + .5f) * 4.4f, kind = num_hash(c, 8);
        *t = s.far;
        if (kind > .45f && cottage(p, dx, s.y, kind, out)) return 1;
        if (kind <= .45f && s.y > .25f && num_abs(num_abs(dx) - .9f) < (2.5f - s.y) * .3f) {
            *out = lit(p, num_vec(.22f, .42f, .36f));
            return 1;
        }
        if (s.y < .3f) {
            *out = lit(p, num_vec(.93f, .95f, .99f));
            return 1;
        }
    }
    if (on_plane(&s, p, o, d, 28)) {
        float top =
            2.6f + 2.6f * num_abs(num_sin(s.x * .13f)) + 1.1f * num_abs(num_sin(s.x * .31f + 1));
        if (s.y < top) {
            *t = s.far;
            *out = lit(p, num_mix(num_vec(.66f, .74f, .86f), num_vec(.94f, .96f, 1),
                                  num_step(.4f, .75f, s.y / top)));
            return 1;
        }
    }
    return 0;
}

static const struct vec neon[5] = {
    {1, .20f, .58f}, {.12f, .85f, .98f}, {1, .62f, .16f}, {.58f, .28f, 1}, {.25f, .95f, .55f}};

/* One facade: cells along the street, each a house with one upright sign over a lit shop. Few and
 * large shapes: windows would be noise at the size of these pictures. */
static int facade(float along, float y, int side, struct vec *out) {
    float cell = along / 6.0f, u, dx, dy, glow;
    int c = num_floor(cell), kind = c * 7 + side * 31;
    float tall = 4.8f + 3.5f * num_hash(kind, 1), sign = 1.9f + .5f * num_hash(kind, 2);
    struct vec lamp = neon[(int)(num_hash(kind, 3) * 4.99f)];
    if (y > tall) return 0;
    u = cell - (float)c;
    *out = num_mix(num_vec(.13f, .09f, .21f), num_vec(.18f, .14f, .29f), num_hash(kind, 5));
    dx = num_max(num_abs(u - .5f) * 6.0f - .75f, 0);
    dy = num_max(num_abs(y - sign) - .8f, 0);
    glow = dx + dy;
    if (glow <= 0) {
        *out = lamp;
        return 1;
    }
    *out = num_add(*out, num_mul(lamp, .26f / (1 + 3 * glow * glow)));
    if (y < .8f && num_abs(u - .5f) < .44f) *out = num_mix(*out, num_vec(.90f, .62f, .48f), .55f);
    return 1;
}

static int back_neon(const struct paint *p, struct vec o, struct vec d, float *t, struct vec *out) {
    const float half = 4.6f, end = 30;
    struct spot s;
    if (num_abs(d.x) > 1e-4f) {
        float far = ((d.x > 0 ? half : -half) - o.x) / d.x, z = o.z + far * d.z,
              y = o.y + far * d.y;
        if (far > 0 && z < end && facade(z + p->drift, y, d.x > 0, out)) {
            *t = far;
            *out = num_mix(*out, num_vec(.42f, .18f, .44f), num_clamp((z - 5) * .028f, 0, .6f));
            return 1;
        }
    }
    if (on_plane(&s, p, o, d, end) && s.y < 6 + 3 * num_hash(num_floor(s.x / 2.5f), 3)) {
        *t = s.far;
        *out =
            num_mix(num_vec(.62f, .26f, .56f), num_vec(.20f, .11f, .30f), num_clamp(s.y / 5, 0, 1));
        return 1;
    }
    return 0;
}

/* Two palms per cell on a plane behind the beach, leaves as two pairs of arcs. */
static int palm(float dx, float y, struct vec *out) {
    float a = num_abs(dx), top = 3.1f;
    if (y < top && num_abs(dx + .25f - y * .08f) < .15f) {
        *out = num_vec(.55f, .40f, .25f);
        return 1;
    }
    if (a < 1.7f && num_abs(y - (top + .55f * a - .42f * a * a)) < .2f - .06f * a)
        return *out = num_vec(.20f, .56f, .26f), 1;
    if (a < 1.3f && num_abs(y - (top + .1f * a - .75f * a * a)) < .2f - .06f * a)
        return *out = num_vec(.24f, .62f, .28f), 1;
    return 0;
}

static int back_beach(const struct paint *p, struct vec o, struct vec d, float *t,
                      struct vec *out) {
    struct spot s;
    if (on_plane(&s, p, o, d, 7)) {
        int c = num_floor(s.x / 8);
        float dx = s.x - ((float)c + .3f + .4f * num_hash(c, 4)) * 8;
        if (num_hash(c, 6) > .25f && palm(dx, s.y, out)) {
            *t = s.far;
            *out = lit(p, *out);
            return 1;
        }
    }
    if (on_plane(&s, p, o, d, 40) && s.y < 1.7f * num_noise(s.x * .12f, 3) - .3f && s.y > 0) {
        *t = s.far;
        *out = lit(p, num_vec(.50f, .70f, .74f));
        return 1;
    }
    return 0;
}

static struct vec window(float dx, float dy, struct vec wall) {
    float a = num_abs(dx), b = num_abs(dy);
    if (a > 1.15f || b > 1.0f) return wall;
    if (a > 1.0f || b > .85f || a < .06f || b < .06f) return num_vec(.97f, .96f, .93f);
    return num_mix(num_vec(.86f, .94f, 1), num_vec(.62f, .82f, .98f),
                   num_clamp(.5f + dy * .5f, 0, 1));
}

static float cell_of(float x, float size, float *in) {
    float c = (float)num_floor(x / size);
    *in = x - (c + .5f) * size;
    return c;
}

static int back_studio(const struct paint *p, struct vec o, struct vec d, float *t,
                       struct vec *out) {
    struct spot s;
    float dx, c;
    if (!on_plane(&s, p, o, d, 5)) return 0;
    *t = s.far;
    *out = num_mix(num_vec(.86f, .79f, .68f), num_vec(.93f, .88f, .80f), num_clamp(s.y / 4, 0, 1));
    c = cell_of(s.x, 3.4f, &dx);
    if (num_hash((int)c, 11) > .5f) {
        *out = window(dx, s.y - 2.1f, *out);
    } else if (num_abs(dx) < .8f && num_abs(s.y - 2.0f) < .6f) {
        struct vec art =
            num_mix(num_vec(.36f, .55f, .66f), num_vec(.82f, .55f, .42f), num_hash((int)c, 12));
        *out = num_abs(dx) < .68f && num_abs(s.y - 2.0f) < .48f ? art : num_vec(.50f, .35f, .22f);
    }
    if (s.y < .25f) *out = num_vec(.62f, .48f, .36f);
    return 1;
}

static int back_kitchen(const struct paint *p, struct vec o, struct vec d, float *t,
                        struct vec *out) {
    struct spot s;
    float dx, dy, c;
    if (!on_plane(&s, p, o, d, 6)) return 0;
    *t = s.far;
    c = cell_of(s.x, 4.2f, &dx);
    if (s.y < .1f) {
        *out = num_vec(.36f, .56f, .56f);
        (void)cell_of(s.x, 1.4f, &dx);
        if (num_abs(dx) > .66f) *out = num_vec(.30f, .49f, .50f);
        return 1;
    }
    if (s.y < .3f) {
        *out = num_vec(.95f, .94f, .90f);
        return 1;
    }
    *out = num_vec(.80f, .89f, .86f);
    if (num_hash((int)c, 13) > .45f) {
        *out = window(dx, s.y - 2.1f, *out);
        return 1;
    }
    (void)cell_of(s.y, .7f, &dy);
    (void)cell_of(s.x, .7f, &dx);
    if (num_abs(dx) > .32f || num_abs(dy) > .32f) *out = num_vec(.75f, .85f, .82f);
    return 1;
}

/* The inside of the far wall of a white cup; over its rim the warm blur of a room. */
static int back_cup(const struct paint *p, struct vec o, struct vec d, float *t, struct vec *out) {
    const float radius = 6.4f, rim = 2.1f;
    float ox = o.x, oz = o.z - .6f, a = d.x * d.x + d.z * d.z, b = ox * d.x + oz * d.z;
    float disc2 = b * b - a * (ox * ox + oz * oz - radius * radius), far, y, side;
    (void)p;
    if (disc2 <= 0 || a <= 0) return 0;
    far = (-b + sqrtf(disc2)) / a;
    y = o.y + far * d.y;
    if (far <= 0 || y > rim || y < -.5f) return 0;
    side = (ox + far * d.x) / radius;
    *t = far;
    *out = num_mix(num_vec(.97f, .95f, .92f), num_vec(.74f, .68f, .64f),
                   num_clamp(.5f + .5f * side, 0, 1));
    if (y < rim - .16f) *out = num_mul(*out, .86f + .05f * y);
    return 1;
}

static int back_none(const struct paint *p, struct vec o, struct vec d, float *t, struct vec *out) {
    (void)p, (void)o, (void)d, (void)t, (void)out;
    return 0;
}

typedef int (*back_fn)(const struct paint *, struct vec, struct vec, float *, struct vec *);
static const struct {
    back_fn fn;
    float end; /* the ground ends at this z */
} backs[WORLD_ENV_COUNT] = {
    [WORLD_ENV_MEADOW] = {back_meadow, 15},     [WORLD_ENV_DESERT] = {back_desert, 15},
    [WORLD_ENV_SNOW_VILLAGE] = {back_snow, 14}, [WORLD_ENV_NEON_STREET] = {back_neon, 30},
    [WORLD_ENV_SEA] = {back_none, 400},         [WORLD_ENV_BEACH] = {back_beach, 400},
    [WORLD_ENV_STUDIO] = {back_studio, 5},      [WORLD_ENV_KITCHEN] = {back_kitchen, 2.6f},
    [WORLD_ENV_COFFEE_CUP] = {back_cup, 400},   [WORLD_ENV_BLOCK_WORLD] = {back_none, 400},
};

int paint_backdrop(const struct paint *p, struct vec o, struct vec d, float *t,
                   struct vec *colour) {
    return backs[p->env].fn(p, o, d, t, colour);
}

int paint_is_ground(const struct paint *p, struct vec at) {
    if (p->env == WORLD_ENV_NEON_STREET && num_abs(at.x) > 4.6f) return 0;
    if (p->env == WORLD_ENV_COFFEE_CUP)
        return at.x * at.x + (at.z - .6f) * (at.z - .6f) < 6.4f * 6.4f;
    return at.z < backs[p->env].end;
}

/* ---------------------------------------------------------------- ground */

/* How much brighter rings make the water here: three rings run out and die away. */
static float rings(const struct paint *p, struct vec at) {
    float sum = 0;
    for (int i = 0; i < p->n_ripple; i++) {
        float dx = at.x - p->ripple[i].x, dz = at.z - p->ripple[i].z, age = p->ripple[i].age;
        float r = sqrtf(dx * dx + dz * dz), front = .5f + 1.5f * age, width = .24f + .08f * age;
        for (int k = 0; k < 3; k++, front -= .8f) {
            float q = (r - front) / width;
            if (front > .3f && q > -1 && q < 1) sum += (1 - q * q) / (1 + .8f * age);
        }
    }
    return .42f * num_min(sum, 1);
}

static struct vec water(const struct paint *p, struct vec at, float far, struct vec deep,
                        struct vec bright) {
    float x = at.x + p->drift, z = at.z, n = num_noise(x * .45f, z * .7f + p->seconds * .35f);
    float w = .5f + .5f * num_sin(z * 2.4f + 2.5f * n + p->seconds * 1.3f + .4f * num_sin(x * .8f));
    float fine = 1 / (1 + far * .10f);
    return num_mix(deep, bright,
                   num_clamp(.35f * n + .4f * w * fine + far * .006f, 0, 1) + 1.6f * rings(p, at));
}

static struct vec beach(const struct paint *p, struct vec at, float far) {
    float x = at.x + p->drift,
          shore = 2.6f + .45f * num_sin(x * .5f) + .35f * num_sin(p->seconds * 1.1f + x * .2f);
    struct vec sand = num_mix(num_vec(.92f, .80f, .56f), num_vec(.97f, .88f, .67f),
                              num_noise(x * .8f, at.z * .8f));
    float k = at.z - shore;
    if (k > .35f) return water(p, at, far, num_vec(.10f, .52f, .66f), num_vec(.30f, .74f, .78f));
    if (k > 0) return num_vec(.97f, .98f, .98f);
    return num_mix(sand, num_vec(.76f, .63f, .44f), num_step(-1.0f, -.1f, k));
}

static struct vec plank(float x, struct vec a, struct vec b, float width) {
    float in, c = cell_of(x, width, &in);
    struct vec base = num_mix(a, b, num_hash((int)c, 17));
    return num_abs(in) > width * .47f ? num_mul(base, .88f) : base;
}

static struct vec coffee(const struct paint *p, struct vec at) {
    float x = at.x, z = at.z - .6f, r = sqrtf(x * x + z * z), k = .35f * r + p->seconds * .10f;
    float s = num_sin(k), c = num_cos(k), n;
    n = num_noise((x * c - z * s) * .55f + p->drift, (x * s + z * c) * .55f);
    n = .75f * n + .25f * num_step(5.2f, 6.3f, r);
    return num_mix(num_vec(.34f, .19f, .10f), num_vec(.70f, .50f, .30f),
                   num_step(.35f, .85f, n) + rings(p, at));
}

struct vec paint_ground(const struct paint *p, struct vec at, float far) {
    float x = at.x + p->drift, z = at.z, n;
    switch (p->env) {
    case WORLD_ENV_MEADOW:
        n = .65f * num_noise(x * .6f, z * .6f) + .35f * num_noise(x * 1.7f, z * 1.7f);
        return num_mix(num_vec(.33f, .60f, .22f), num_vec(.50f, .74f, .32f), n);
    case WORLD_ENV_DESERT:
        n = .5f + .5f * num_sin(z * 1.6f + 3.5f * num_noise(x * .4f, z * .4f));
        return num_mix(num_vec(.87f, .67f, .41f), num_vec(.95f, .77f, .51f), n);
    case WORLD_ENV_SNOW_VILLAGE:
        n = num_noise(x * .7f, z * .7f);
        return num_mix(num_vec(.83f, .87f, .94f), num_vec(.93f, .95f, .99f), n);
    case WORLD_ENV_NEON_STREET:
        n = num_noise(x * .7f, z * .7f);
        return num_mix(num_vec(.10f, .09f, .15f), num_vec(.16f, .14f, .22f), n);
    case WORLD_ENV_SEA:
        return water(p, at, far, num_vec(.09f, .34f, .56f), num_vec(.27f, .58f, .76f));
    case WORLD_ENV_BEACH: return beach(p, at, far);
    case WORLD_ENV_STUDIO:
        return plank(x, num_vec(.66f, .47f, .30f), num_vec(.73f, .54f, .36f), .8f);
    case WORLD_ENV_KITCHEN:
        return plank(z, num_vec(.80f, .60f, .40f), num_vec(.86f, .67f, .46f), .9f);
    case WORLD_ENV_COFFEE_CUP: return coffee(p, at);
    case WORLD_ENV_BLOCK_WORLD: return num_vec(.45f, .70f, .30f);
    case WORLD_ENV_COUNT: break;
    }
    return num_vec(0, 0, 0);
}
