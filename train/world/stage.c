#include "train/world/stage.h"

#include "common/base/assert.h"
#include "train/world/shot.h"

#define FAR_T 1e9f

/* ---------------------------------------------------------------- building */

/* Is there anything of solid i along this ray? */
static inline int may_hit(const struct stage *st, int i, struct vec o, struct vec d) {
    const struct ball *b = &st->hull[i];
    return b->r > 0 && geometry_meets(b->c, b->r, o, d);
}

static inline int may_be_nearer(const struct stage *st, int i, struct vec o, struct vec d,
                                float limit) {
    const struct ball *b = &st->hull[i];
    return b->r > 0 && geometry_meets_before(b->c, b->r, o, d, limit);
}

static void bound_group(struct stage *st, int g) {
    int n = 0;
    struct vec c = num_vec(0, 0, 0);
    float r = 0;
    for (int i = st->group[g].first; i < st->group[g].end; i++) {
        st->hull[i] = (struct ball){st->solid[i].c, st->solid[i].bound};
        if (st->solid[i].bound > 0) {
            c = num_add(c, st->solid[i].c);
            n++;
        }
    }
    if (n) c = num_mul(c, 1 / (float)n);
    for (int i = st->group[g].first; i < st->group[g].end; i++) {
        struct vec q = num_sub(st->solid[i].c, c);
        if (st->solid[i].bound > 0) r = num_max(r, sqrtf(num_dot(q, q)) + st->solid[i].bound);
    }
    st->group[g].c = c;
    st->group[g].bound = r;
}

static void add_group(struct stage *st, int n, int id) {
    int g = st->n_group++;
    ASSERT(g < STAGE_GROUP_MAX && st->n_solid + n <= STAGE_SOLID_MAX);
    st->group[g].first = st->n_solid;
    st->group[g].end = st->n_solid += n;
    st->group[g].id = id;
    bound_group(st, g);
}

static void add_wall(struct stage *st) {
    struct solid *k = &st->solid[st->n_solid];
    ASSERT(st->n_solid < STAGE_SOLID_MAX);
    *k = (struct solid){.kind = GEOMETRY_BOX, .cut_lo = -1, .cut_hi = 1};
    k->c = num_of(st->scene->wall_pos);
    k->h = num_of(st->scene->wall_half);
    k->ax = num_vec(1, 0, 0);
    k->ay = num_vec(0, 1, 0);
    k->az = num_vec(0, 0, 1);
    geometry_ready(k);
    add_group(st, 1, WORLD_ID_WALL);
}

static int shines(const struct world_entity *e) {
    return e->material == WORLD_MATERIAL_GLOWING || e->cls == WORLD_CLASS_LANTERN;
}

void stage_make(struct stage *st, const struct scene *s, float t) {
    st->scene = s;
    st->t = t;
    st->n_solid = st->n_group = st->n_lamp = 0;
    st->view = path_view_at(s, t);
    st->paint = paint_make(s, t);
    if (s->env == WORLD_ENV_BLOCK_WORLD) block_make(&st->block, s, &st->view, t);
    for (int i = 0; i < s->n_ent; i++) {
        const struct world_entity *e = &s->ent[i];
        struct shape_pose pose = path_pose(s, i, t);
        ASSERT(st->n_solid + SHAPE_PIECE_MAX <= STAGE_SOLID_MAX);
        add_group(st, shape_build(&st->solid[st->n_solid], (enum world_class)e->cls, &pose),
                  WORLD_ID_ENTITY + i);
        if (!shines(e) || st->n_lamp >= STAGE_LAMP_MAX) continue;
        st->lamp[st->n_lamp].at = num_add(pose.pos, num_vec(0, .7f * pose.scale, 0));
        st->lamp[st->n_lamp].colour = paint_colour((enum world_colour)e->colour);
        st->lamp[st->n_lamp++].power = s->time == WORLD_TIME_DAY ? .25f : .8f;
    }
    if (s->has_wall) add_wall(st);
    if (s->n_ent < 2 || s->ent[0].action != WORLD_ACTION_BATTLE) return;
    ASSERT(st->n_solid + SHOT_COUNT <= STAGE_SOLID_MAX);
    shot_build(&st->solid[st->n_solid], s, t);
    add_group(st, SHOT_COUNT, WORLD_ID_SHOT);
}

static int group_of(const struct stage *st, int solid) {
    for (int g = 0; g < st->n_group; g++)
        if (solid < st->group[g].end) return g;
    ASSERT(0);
    return 0;
}

int stage_id(const struct stage *st, int key) {
    if (key == STAGE_KEY_SKY) return WORLD_ID_SKY;
    if (key == STAGE_KEY_GROUND) return WORLD_ID_GROUND;
    if (key == STAGE_KEY_BACKDROP) return WORLD_ID_BACKDROP;
    if (key == STAGE_KEY_BLOCK) return WORLD_ID_BLOCK;
    if (key == STAGE_KEY_HUD) return WORLD_ID_HUD;
    return st->group[group_of(st, key)].id;
}

/* ---------------------------------------------------------------- light */

static int in_shadow(const struct stage *st, struct vec o, int but) {
    struct vec sun = st->paint.sun;
    for (int g = 0; g < st->n_group; g++) {
        if (!geometry_meets(st->group[g].c, st->group[g].bound, o, sun)) continue;
        for (int i = st->group[g].first; i < st->group[g].end; i++)
            if (i != but && may_hit(st, i, o, sun) && geometry_blocks(&st->solid[i], o, sun))
                return 1;
    }
    return 0;
}

static struct vec lamps_on(const struct stage *st, struct vec at) {
    struct vec sum = num_vec(0, 0, 0);
    for (int i = 0; i < st->n_lamp; i++) {
        struct vec q = num_sub(st->lamp[i].at, at);
        sum = num_add(sum,
                      num_mul(st->lamp[i].colour, st->lamp[i].power / (1 + 1.2f * num_dot(q, q))));
    }
    return sum;
}

/* Thumb prints of an animator, new with every picture. */
static float lumps(const struct stage *st, struct vec u) {
    float n = num_noise(u.x * 2.6f + u.z * 1.7f + 40, u.y * 2.6f - u.z * 1.3f + st->t * 2);
    return .86f + .26f * n;
}

/* Lighter sister of a colour, for stripes, jibs and wings. */
static struct vec trim_of(enum world_colour colour) {
    if (colour == WORLD_COLOUR_WHITE) return num_vec(.66f, .70f, .78f);
    return num_mix(paint_colour(colour), num_vec(1, 1, 1),
                   colour == WORLD_COLOUR_BLACK ? .35f : .6f);
}

/* 1 when (x, y) of the canvas is under a stroke that has been painted by now. */
static int is_painted(const struct scene *s, int ent, float t, float x, float y) {
    for (int i = 0; i < s->n_event; i++) {
        const struct world_event *ev = &s->event[i];
        float end = i + 1 < s->n_event ? s->event[i + 1].t : path_seconds(s);
        float dx = ev->p[2] - ev->p[0], dy = ev->p[3] - ev->p[1], k, reach;
        if (ev->kind != WORLD_EVENT_STROKE || ev->ent != ent || t < ev->t) continue;
        reach = num_clamp((t - ev->t) / num_max(end - ev->t, .05f), 0, 1);
        k = num_clamp(((x - ev->p[0]) * dx + (y - ev->p[1]) * dy) / (dx * dx + dy * dy + 1e-6f), 0,
                      reach);
        dx = x - ev->p[0] - k * dx;
        dy = (y - ev->p[1] - k * dy) * .72f;
        if (dx * dx + dy * dy < .085f * .085f) return 1;
    }
    return 0;
}

static struct vec wall_colour(const struct solid *k, struct vec at) {
    float y = at.y / .34f;
    int row = num_floor(y);
    float x = (at.x - k->c.x) / .72f + (row & 1 ? .5f : 0), u = x - (float)num_floor(x),
          v = y - (float)row;
    return u < .07f || v < .13f ? num_vec(.56f, .40f, .31f) : num_vec(.64f, .42f, .30f);
}

/* Own colour of a solid at a world point, and how much it shines by itself. */
static struct vec skin(const struct stage *st, int key, struct vec at, float *glow) {
    const struct solid *k = &st->solid[key];
    int id = st->group[group_of(st, key)].id, ent = id - WORLD_ID_ENTITY;
    const struct world_entity *e = &st->scene->ent[ent < 0 ? 0 : ent];
    enum world_colour colour = (enum world_colour)e->colour;
    struct vec main = paint_colour(colour), u;
    enum shape_role role;
    *glow = 0;
    if (id == WORLD_ID_SHOT) {
        *glow = k->part == SHOT_FIRE ? .95f : k->part == SHOT_SMOKE ? .4f : 0;
        return shot_colour(k->part);
    }
    if (ent < 0) return wall_colour(k, at);
    role = shape_role_of(k->part);
    if (role >= SHAPE_ROLE_WHITE) {
        *glow = shape_role_glow(role);
        return shape_role_colour(role);
    }
    if (e->material == WORLD_MATERIAL_GLOWING) *glow = .55f;
    u = geometry_inward(k, at);
    switch (role) {
    case SHAPE_ROLE_TRIM: return trim_of(colour);
    case SHAPE_ROLE_BALL: return num_abs(u.x) < .24f ? trim_of(colour) : main;
    case SHAPE_ROLE_STRIPE: return num_abs(u.y - .05f) < .2f ? trim_of(colour) : main;
    case SHAPE_ROLE_CANVAS:
        if (u.z < -.9f && is_painted(st->scene, ent, st->t, .5f + .5f * u.x, .5f + .5f * u.y)) {
            *glow = .6f;
            return main;
        }
        *glow = .6f;
        return num_vec(.97f, .96f, .93f);
    case SHAPE_ROLE_LAMP:
        *glow = .75f;
        return num_mix(main, num_vec(1, 1, .9f), .25f * (1 - u.y * u.y));
    default: return main;
    }
}

static float power16(float a) {
    a *= a;
    a *= a;
    a *= a;
    return a * a;
}

static struct vec shine_solid(const struct stage *st, int key, struct vec at, struct vec n,
                              struct vec d) {
    const struct paint *p = &st->paint;
    int ent = st->group[group_of(st, key)].id - WORLD_ID_ENTITY;
    float glow, facing = num_dot(n, p->sun), direct = 0, gloss = .12f, rim;
    struct vec own = skin(st, key, at, &glow), c, r;
    int is_clay = st->scene->style == WORLD_STYLE_CLAY;
    if (is_clay) own = num_mul(own, lumps(st, geometry_inward(&st->solid[key], at)));
    if (facing > 0) {
        direct = facing;
        if (in_shadow(st, num_along(at, n, .01f), key)) direct *= .25f;
    }
    c = num_add(num_mul(p->ambient, .88f + .22f * n.y), num_mul(p->light, direct));
    if (p->time == WORLD_TIME_NIGHT && p->env != WORLD_ENV_NEON_STREET)
        c = num_mul(c, 1.3f); /* heroes stay readable */
    c = num_each(own, num_add(c, lamps_on(st, at)));
    c = num_mix(c, own, glow);
    if (ent >= 0 && st->scene->ent[ent].material == WORLD_MATERIAL_GLOSSY) gloss = .55f;
    if (is_clay) gloss *= .3f;
    r = num_along(d, n, -2 * num_dot(n, d));
    if (direct > 0)
        c = num_add(c, num_mul(p->light, gloss * power16(num_max(num_dot(r, p->sun), 0))));
    if (p->env == WORLD_ENV_NEON_STREET && ent >= 0) { /* signs on both sides of the street */
        rim = 1 - num_max(-num_dot(n, d), 0);
        rim *= rim * .55f;
        c = num_add(c, num_mul(num_vec(1, .25f, .60f), rim * num_max(-n.x, 0)));
        c = num_add(c, num_mul(num_vec(.15f, .75f, .95f), rim * num_max(n.x, 0)));
    }
    return c;
}

/* ---------------------------------------------------------------- rays */

static int nearest(const struct stage *st, struct vec o, struct vec d, const struct stage_list *on,
                   struct hit *h) {
    int key = -1;
    if (on) {
        for (int i = 0; i < on->n; i++)
            if (may_be_nearer(st, on->solid[i], o, d, h->t) &&
                geometry_hit(&st->solid[on->solid[i]], o, d, h))
                key = on->solid[i];
        return key;
    }
    for (int g = 0; g < st->n_group; g++) {
        if (!geometry_meets(st->group[g].c, st->group[g].bound, o, d)) continue;
        for (int i = st->group[g].first; i < st->group[g].end; i++)
            if (may_be_nearer(st, i, o, d, h->t) && geometry_hit(&st->solid[i], o, d, h)) key = i;
    }
    return key;
}

static struct vec beyond(const struct stage *st, struct vec o, struct vec d, float *far, int *key) {
    struct vec c;
    *far = FAR_T;
    *key = STAGE_KEY_BACKDROP;
    if (paint_backdrop(&st->paint, o, d, far, &c)) return paint_haze(&st->paint, c, *far);
    *far = FAR_T;
    *key = STAGE_KEY_SKY;
    return paint_sky(&st->paint, d);
}

/* What the mirror of the ground shows; wet ground sways the picture a little. */
static struct vec mirrored(const struct stage *st, struct vec at, struct vec d) {
    float sway = (num_noise(at.x * .9f + st->paint.drift, at.z * 1.6f + st->paint.seconds * .5f) -
                  .5f) *
                 .07f,
          far;
    struct vec up = num_unit(num_vec(d.x + sway, -d.y, d.z)), o = num_vec(at.x, .003f, at.z), q;
    struct hit h = {FAR_T, {0, 1, 0}};
    int key = nearest(st, o, up, NULL, &h);
    float glow;
    if (key < 0) return beyond(st, o, up, &far, &key);
    q = num_along(o, up, h.t);
    q = num_each(skin(st, key, q, &glow),
                 num_add(st->paint.ambient, num_mul(st->paint.light, .4f)));
    return q;
}

static struct vec shine_ground(const struct stage *st, struct vec at, struct vec d, float far) {
    const struct paint *p = &st->paint;
    struct vec own = paint_ground(p, at, far), c;
    float direct = p->sun.y, shadow = 1, k, grazing;
    if (in_shadow(st, num_vec(at.x, .003f, at.z), -1)) shadow = p->shade;
    c = num_add(num_mul(p->ambient, .85f + .15f * shadow), num_mul(p->light, direct * shadow));
    c = num_each(own, num_add(c, lamps_on(st, at)));
    if (p->mirror > 0) {
        grazing = 1 - num_abs(d.y);
        k = p->mirror + .45f * grazing * grazing * grazing * (p->mirror > .1f ? 1 : .3f);
        c = num_mix(c, mirrored(st, at, d), num_min(k, .8f));
    }
    return paint_haze(p, c, far);
}

/* Terrain: light by the face, shadows of things only, no mirror. */
static struct vec shine_block(const struct stage *st, struct vec at, const struct block_hit *h) {
    const struct paint *p = &st->paint;
    float direct = num_max(.35f + .65f * num_dot(h->n, p->sun), .2f);
    struct vec c;
    if (h->n.y > .5f && in_shadow(st, num_vec(at.x, at.y + .003f, at.z), -1)) direct *= p->shade;
    c = num_add(num_mul(p->ambient, .95f), num_mul(p->light, direct));
    c = num_each(block_colour(&st->block, h, at), num_add(c, lamps_on(st, at)));
    /* The grid ends somewhere: there it has become sky. */
    c = num_mix(c, p->sky_lo, num_step(15, 27, h->t));
    return paint_haze(p, c, h->t);
}

/* Terrain in front of what is met already; 0 when there is none. */
static int find_block(const struct stage *st, struct vec o, struct vec d, float limit,
                      struct stage_meeting *out) {
    if (!block_find(&st->block, o, d, limit, &out->block)) return 0;
    out->far = out->block.t;
    out->key = out->block.kind == BLOCK_PLANK || out->block.kind == BLOCK_COBBLE ? STAGE_KEY_BLOCK
                                                                                 : STAGE_KEY_GROUND;
    return 1;
}

void stage_find(const struct stage *st, struct vec o, struct vec d, const struct stage_list *on,
                struct stage_meeting *out) {
    struct hit h = {FAR_T, {0, 1, 0}};
    int key = nearest(st, o, d, on, &h);
    float down = d.y < -1e-4f ? -o.y / d.y : FAR_T;
    out->n = h.n;
    if (st->paint.env == WORLD_ENV_BLOCK_WORLD) {
        if (find_block(st, o, d, key >= 0 ? h.t : 40, out)) return;
        down = FAR_T;
    }
    if ((key < 0 || h.t >= down) && down < 1e6f &&
        paint_is_ground(&st->paint, num_along(o, d, down))) {
        out->key = STAGE_KEY_GROUND;
        out->far = down;
    } else if (key >= 0) { /* maybe below the edge of a table */
        out->key = key;
        out->far = h.t;
    } else {
        out->back = beyond(st, o, d, &out->far, &out->key);
    }
}

struct vec stage_shine(const struct stage *st, struct vec o, struct vec d,
                       const struct stage_meeting *m) {
    struct vec at = num_along(o, d, m->far);
    if (m->key == STAGE_KEY_SKY || m->key == STAGE_KEY_BACKDROP) return m->back;
    if (st->paint.env == WORLD_ENV_BLOCK_WORLD && m->key < 0) return shine_block(st, at, &m->block);
    if (m->key == STAGE_KEY_GROUND) return shine_ground(st, at, d, m->far);
    return paint_haze(&st->paint, shine_solid(st, m->key, at, m->n, d), m->far);
}
