#include "train/world/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "train/world/num.h"
#include "train/world/render.h"
#include "train/world/scene.h"

_Static_assert(sizeof(struct world_record) == WORLD_RECORD_BYTES, "the header has no padding");

int world_is_drawn(enum world_slot slot, int value) {
    return value >= 0 && value < world_n_names(slot) && scene_draws(slot, value);
}

int world_fits(enum world_env env, enum world_class cls, enum world_action action) {
    return scene_fits(env, cls, action);
}

enum err world_scene_make(struct scene *out, uint64_t seed, const struct world_opts *o,
                          struct fail *f) {
    if (o->W < 16 || o->W > WORLD_SIDE_MAX || o->H < 16 || o->H > WORLD_SIDE_MAX)
        return FAIL(f, ERR_INPUT, "size %dx%d is outside 16..%d", o->W, o->H, WORLD_SIDE_MAX);
    if (o->frames < 1 || o->frames > WORLD_FRAME_MAX)
        return FAIL(f, ERR_INPUT, "%d frames is outside 1..%d", o->frames, WORLD_FRAME_MAX);
    if (!(o->fps >= 1 && o->fps <= 60))
        return FAIL(f, ERR_INPUT, "%g frames per second is outside 1..60", (double)o->fps);
    if (o->hero < 0 || o->hero >= WORLD_HERO_COUNT)
        return FAIL(f, ERR_INPUT, "hero %d is outside 0..%d", o->hero, WORLD_HERO_COUNT - 1);
    if (!scene_draw(out, seed, o))
        return FAIL(f, ERR_INPUT, "no %s scene %s in %d frames at %g per second",
                    world_name(WORLD_SLOT_HERO, o->hero),
                    o->split == WORLD_SPLIT_HELD_OUT ? "is held out" : "fits", o->frames,
                    (double)o->fps);
    return ERR_OK;
}

void world_scene_turn(struct scene *s, float turn) {
    struct world_camera_path *c = &s->cam;
    struct vec look = num_sub(num_of(c->at), num_of(c->eye));
    float is_player = c->kind == WORLD_CAMERA_PLAYER ? -1.f : 1.f, sin = num_sin(turn * is_player),
          cos = num_cos(turn);
    float x = look.x * cos - look.z * sin, z = look.z * cos + look.x * sin;
    if (c->kind == WORLD_CAMERA_PLAYER) {
        c->at[0] = c->eye[0] + x;
        c->at[2] = c->eye[2] + z;
    } else {
        c->eye[0] = c->at[0] - x;
        c->eye[2] = c->at[2] - z;
    }
}

/* Two parts lie beside each other, or one over the other in a tall picture. */
void world_view(const struct scene *s, int view, struct world_tile *out) {
    static const float two[2] = {-.38f, .38f}, four[4] = {-.45f, -.15f, .15f, .45f};
    int n = s->n_view > 1 ? s->n_view : 1, is_tall = s->H > s->W;
    int cols = n == 4 ? 2 : n == 2 && !is_tall ? 2 : 1, rows = n / cols;
    ASSERT(view >= 0 && view < n && (n == 1 || n == 2 || n == 4));
    *out = (struct world_tile){.scene = *s};
    out->scene.n_view = 1;
    out->scene.W = (uint16_t)(s->W / cols);
    out->scene.H = (uint16_t)(s->H / rows);
    out->x = view % cols * out->scene.W;
    out->y = view / cols * out->scene.H;
    if (n > 1) world_scene_turn(&out->scene, n == 2 ? two[view] : four[view]);
}

void world_render(const struct scene *s, int frame, uint8_t *rgb, uint8_t *ids, float *depth,
                  float *flow) {
    ASSERT(s->n_ent <= WORLD_ENTITY_MAX && s->n_event <= WORLD_EVENT_MAX);
    ASSERT(s->n_move <= WORLD_MOVE_MAX);
    for (int i = 0; i < (s->n_view > 1 ? s->n_view : 1); i++) {
        struct world_tile tile;
        size_t at;
        world_view(s, i, &tile);
        at = (size_t)tile.y * s->W + (size_t)tile.x;
        render_frame(&tile.scene, frame,
                     &(struct render_target){.rgb = rgb ? rgb + 3 * at : NULL,
                                             .ids = ids ? ids + at : NULL,
                                             .depth = depth ? depth + at : NULL,
                                             .flow = flow ? flow + 2 * at : NULL,
                                             .pitch = s->W});
    }
}

/* ---------------------------------------------------------------- JSON */

struct text {
    char *out;
    size_t cap, len;
};

static void put(struct text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct text *t, const char *fmt, ...) {
    va_list ap;
    int n;
    va_start(ap, fmt);
    n = vsnprintf(t->len < t->cap ? t->out + t->len : NULL, t->len < t->cap ? t->cap - t->len : 0,
                  fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    t->len += (size_t)n;
}

static void put_name(struct text *t, const char *key, enum world_slot slot, int value) {
    put(t, "\"%s\":\"%s\",", key, world_name(slot, value));
}

static void put_vec(struct text *t, const char *key, const float *p, int n) {
    put(t, "\"%s\":[", key);
    for (int i = 0; i < n; i++)
        put(t, "%s%.5g", i ? "," : "", (double)p[i]);
    put(t, "]");
}

static void put_entity(struct text *t, const struct world_entity *e) {
    put(t, "{");
    put_name(t, "class", WORLD_SLOT_CLASS, e->cls);
    put_name(t, "colour", WORLD_SLOT_COLOUR, e->colour);
    put_name(t, "size", WORLD_SLOT_SIZE, e->size);
    put_name(t, "material", WORLD_SLOT_MATERIAL, e->material);
    put_name(t, "action", WORLD_SLOT_ACTION, e->action);
    put_name(t, "relation", WORLD_SLOT_RELATION, e->rel);
    put(t, "\"dir\":%d,\"rel_to\":%d,\"scale\":%.5g,\"yaw\":%.5g,\"speed\":%.5g,\"phase\":%.5g,",
        e->dir, e->rel_to, (double)e->scale, (double)e->yaw, (double)e->speed, (double)e->phase);
    put_vec(t, "pos", e->pos, 3);
    put(t, ",");
    put_vec(t, "p", e->p, 4);
    put(t, "}");
}

static void put_camera(struct text *t, const struct world_camera_path *c) {
    put(t, "\"camera\":{");
    put_name(t, "kind", WORLD_SLOT_CAMERA, c->kind);
    put(t, "\"dir\":%d,\"tan_half\":%.5g,\"rate\":%.5g,", c->dir, (double)c->tan_half,
        (double)c->rate);
    put_vec(t, "eye", c->eye, 3);
    put(t, ",");
    put_vec(t, "at", c->at, 3);
    put(t, "}");
}

size_t world_scene_json(const struct scene *s, char *out, size_t cap) {
    struct text t = {out, cap, 0};
    put(&t, "{\"seed\":%llu,\"W\":%d,\"H\":%d,\"frames\":%d,\"fps\":%.5g,",
        (unsigned long long)s->seed, s->W, s->H, s->frames, (double)s->fps);
    put_name(&t, "env", WORLD_SLOT_ENV, s->env);
    put_name(&t, "time", WORLD_SLOT_TIME, s->time);
    put_name(&t, "weather", WORLD_SLOT_WEATHER, s->weather);
    put_name(&t, "style", WORLD_SLOT_STYLE, s->style);
    put_name(&t, "hero", WORLD_SLOT_HERO, s->hero);
    put(&t, "\"wall\":%s,\"loop\":%s,\"views\":%d,\"drift\":%.5g,", s->has_wall ? "true" : "false",
        s->is_loop ? "true" : "false", s->n_view > 1 ? s->n_view : 1, (double)s->drift);
    put_vec(&t, "sun", s->sun, 3);
    put(&t, ",");
    put_camera(&t, &s->cam);
    put(&t, ",\"entities\":[");
    for (int i = 0; i < s->n_ent; i++) {
        if (i) put(&t, ",");
        put_entity(&t, &s->ent[i]);
    }
    put(&t, "],\"events\":[");
    for (int i = 0; i < s->n_event; i++) {
        put(&t, "%s{\"kind\":\"%s\",\"entity\":%d,\"t\":%.5g,", i ? "," : "",
            world_name(WORLD_SLOT_EVENT, s->event[i].kind), s->event[i].ent, (double)s->event[i].t);
        put_vec(&t, "p", s->event[i].p, 4);
        put(&t, "}");
    }
    put(&t, "],\"moves\":[");
    for (int i = 0; i < s->n_move; i++)
        put(&t, "%s{\"kind\":\"%s\",\"t0\":%.5g,\"t1\":%.5g}", i ? "," : "",
            world_name(WORLD_SLOT_MOVE, s->move[i].kind), (double)s->move[i].t0,
            (double)s->move[i].t1);
    put(&t, "]}");
    return t.len;
}
