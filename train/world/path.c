#include "train/world/path.h"

#include "common/base/assert.h"

float path_seconds(const struct scene *s) {
    return (float)(s->frames - 1) / s->fps;
}

int path_is_water(enum world_env env) {
    return env == WORLD_ENV_SEA || env == WORLD_ENV_COFFEE_CUP;
}

static float wave(float cycles) {
    return num_sin(2 * NUM_PI * cycles);
}

static float fraction(float a) {
    return a - (float)num_floor(a);
}

static float arc(float q) {
    return 4 * q * (1 - q);
}

/* Falls from p[0], lands at p[1] with the gravity that fits, hops once to a tenth and rests. */
static float fall_height(const struct world_entity *e, float t) {
    float land = e->p[1], q = t / land, hop;
    if (q < 0) return e->p[0];
    if (q < 1) return e->p[0] * (1 - q * q);
    hop = (q - 1) / 0.63f; /* a tenth of the height takes 2 sqrt(.1) of the fall's time */
    return hop < 1 ? 0.1f * e->p[0] * arc(hop) : 0;
}

/* Distance of a thing pushed with unit speed that friction stops after 1.4 s. */
static float slide_out(float u) {
    const float stop = 1.4f;
    if (u <= 0) return 0;
    if (u > stop) u = stop;
    return u - u * u / (2 * stop);
}

static void collide(const struct scene *s, int ent, float u, struct shape_pose *p) {
    const struct world_entity *e = &s->ent[0];
    float dir = (float)e->dir, x;
    if (ent == 0)
        x = u < 0 ? e->speed * u : 0.25f * e->speed * slide_out(u);
    else
        x = 0.9f * e->speed * slide_out(u);
    p->pos.x += dir * x;
    if (s->ent[ent].cls == WORLD_CLASS_BALL) p->roll = dir * x / (0.7f * p->scale);
}

static void stroke_now(const struct scene *s, int ent, float t, struct shape_pose *p) {
    for (int i = 0; i < s->n_event; i++) {
        const struct world_event *ev = &s->event[i];
        float end = i + 1 < s->n_event ? s->event[i + 1].t : path_seconds(s), q;
        if (ev->kind != WORLD_EVENT_STROKE || ev->ent != ent || t < ev->t || t > end + 0.3f)
            continue;
        q = num_clamp((t - ev->t) / num_max(end - ev->t, 0.05f), 0, 1);
        p->brush[0] = ev->p[0] + (ev->p[2] - ev->p[0]) * q;
        p->brush[1] = ev->p[1] + (ev->p[3] - ev->p[1]) * q;
        p->brush[2] = 1;
    }
}

static void bites_now(const struct scene *s, int ent, float t, struct shape_pose *p) {
    for (int i = 0; i < s->n_event && p->n_bite < GEOMETRY_BITE_MAX; i++) {
        const struct world_event *ev = &s->event[i];
        if (ev->kind != WORLD_EVENT_BITE || ev->ent != ent || t < ev->t) continue;
        p->bite[p->n_bite].c = num_of(ev->p);
        p->bite[p->n_bite++].r = ev->p[3];
    }
}

/* Legs swing in step with the ground, a little slower than real legs so that 12 fps shows them. */
static void step(struct shape_pose *p, float u, float phase, float hz, float reach) {
    float w = wave(u * hz + phase);
    p->swing = reach * w;
    p->pos.y += 0.07f * reach * p->scale * (1 - w * w);
}

static void move(const struct scene *s, int ent, float t, struct shape_pose *p) {
    const struct world_entity *e = &s->ent[ent];
    float u = t - path_seconds(s) * 0.5f, dir = (float)e->dir, x = dir * e->speed * u, q;
    switch ((enum world_action)e->action) {
    case WORLD_ACTION_STAND: break;
    case WORLD_ACTION_BOUNCE: p->pos.y += e->p[0] * arc(fraction(u * e->p[1] + e->phase)); break;
    case WORLD_ACTION_ROLL:
        p->pos.x += x;
        p->roll = x / (0.7f * p->scale);
        break;
    case WORLD_ACTION_SLIDE: p->pos.x += x; break;
    case WORLD_ACTION_WALK:
        p->pos.x += x;
        step(p, u, e->phase, 1.1f, 0.6f);
        break;
    case WORLD_ACTION_RUN:
        p->pos.x += x;
        step(p, u, e->phase, 1.9f, 0.95f);
        break;
    case WORLD_ACTION_JUMP:
        q = fraction(u * e->p[1] + e->phase) / 0.7f;
        if (q < 1) p->pos.y += e->p[0] * arc(q);
        p->swing = q < 1 ? 0.6f * arc(q) : 0;
        break;
    case WORLD_ACTION_SPIN: p->yaw += dir * e->speed * u; break;
    case WORLD_ACTION_FLY:
        p->pos.x += x;
        p->pos.y += e->p[0] + 0.1f * wave(u * 0.5f + e->phase);
        break;
    case WORLD_ACTION_SAIL: p->pos.x += x; break;
    case WORLD_ACTION_FALL: p->pos.y += fall_height(e, t); break;
    case WORLD_ACTION_COLLIDE: break;
    case WORLD_ACTION_BEHIND:
        p->pos.x += x;
        if (e->cls == WORLD_CLASS_BALL) p->roll = x / (0.7f * p->scale);
        if (e->cls == WORLD_CLASS_PERSON || e->cls == WORLD_CLASS_RED_COAT_WOMAN ||
            e->cls == WORLD_CLASS_CORGI)
            step(p, u, e->phase, 1.1f, 0.6f);
        break;
    case WORLD_ACTION_LEAVE:
        p->pos.x += dir * e->p[0] * (0.5f + 0.5f * num_cos(2 * NUM_PI * u / path_seconds(s)));
        if (u > 0) p->yaw = NUM_PI - p->yaw;
        if (e->cls != WORLD_CLASS_CAR) step(p, u, e->phase, 1.1f, 0.6f);
        break;
    case WORLD_ACTION_EATEN: bites_now(s, ent, t, p); break;
    case WORLD_ACTION_PAINTED: stroke_now(s, ent, t, p); break;
    case WORLD_ACTION_COUNT: break;
    }
}

struct shape_pose path_pose(const struct scene *s, int ent, float t) {
    const struct world_entity *e = &s->ent[ent];
    struct shape_pose p = {.pos = num_of(e->pos), .yaw = e->yaw, .scale = e->scale};
    float u = t - path_seconds(s) * 0.5f;
    ASSERT(ent >= 0 && ent < s->n_ent);
    if (path_is_water((enum world_env)s->env) && e->action != WORLD_ACTION_FLY) {
        p.pos.y += e->scale * (0.05f * wave(u * 0.4f + e->phase) -
                               shape_of((enum world_class)e->cls)->draught);
        p.lean = 0.06f * wave(u * 0.33f + e->phase + 0.2f);
    }
    if (e->cls == WORLD_CLASS_BIRD)
        p.flap = e->action == WORLD_ACTION_FLY ? 0.65f * wave(u * 1.4f + e->phase) : 0.2f;
    if (s->ent[0].action == WORLD_ACTION_COLLIDE && ent < 2)
        collide(s, ent, u, &p);
    else
        move(s, ent, t, &p);
    return p;
}

/* Turns v by a around the y axis, positive to the right (towards +x from +z). */
static struct vec turn_right(struct vec v, float a) {
    float s = num_sin(a), c = num_cos(a);
    return num_vec(v.x * c + v.z * s, v.y, v.z * c - v.x * s);
}

struct path_view path_view_at(const struct scene *s, float t) {
    const struct world_camera_path *c = &s->cam;
    struct vec eye = num_of(c->eye), at = num_of(c->at), look = num_sub(at, eye);
    float u = t - path_seconds(s) * 0.5f, a = c->rate * u * (c->dir ? (float)c->dir : 1), wide = 1,
          h;
    struct path_view v;
    switch ((enum world_camera)c->kind) {
    case WORLD_CAMERA_STATIC: break;
    case WORLD_CAMERA_PAN: at = num_add(eye, turn_right(look, a)); break;
    case WORLD_CAMERA_TILT: at.y += a * sqrtf(num_dot(look, look)); break;
    case WORLD_CAMERA_DOLLY: eye = num_along(eye, num_unit(look), a); break;
    case WORLD_CAMERA_TRUCK:
        eye.x += a;
        at.x += a;
        break;
    case WORLD_CAMERA_ORBIT: eye = num_sub(at, turn_right(look, -a)); break;
    case WORLD_CAMERA_CRANE: eye.y += a; break;
    case WORLD_CAMERA_ZOOM: wide = 1 / (1 + num_max(a, -0.7f)); break;
    case WORLD_CAMERA_FPV:
        eye.z += a;
        at.z += a;
        break;
    case WORLD_CAMERA_FOLLOW:
        eye.x += a;
        at.x += a;
        break;
    case WORLD_CAMERA_COUNT: break;
    }
    v.eye = eye;
    v.fw = num_unit(num_sub(at, eye));
    h = sqrtf(v.fw.x * v.fw.x + v.fw.z * v.fw.z);
    v.rt = num_vec(v.fw.z / h, 0, -v.fw.x / h);
    v.up = num_cross(v.fw, v.rt);
    v.tan_y = c->tan_half * wide;
    v.tan_x = v.tan_y * (float)s->W / (float)s->H;
    return v;
}

struct vec path_ray(const struct path_view *v, const struct scene *s, float px, float py) {
    float a = (2 * px / (float)s->W - 1) * v->tan_x, b = (1 - 2 * py / (float)s->H) * v->tan_y;
    return num_unit(num_add(v->fw, num_add(num_mul(v->rt, a), num_mul(v->up, b))));
}

int path_project(const struct path_view *v, const struct scene *s, struct vec p, float out[2]) {
    struct vec q = num_sub(p, v->eye);
    float z = num_dot(q, v->fw);
    if (z < 1e-3f) return 0;
    out[0] = (num_dot(q, v->rt) / (z * v->tan_x) + 1) * 0.5f * (float)s->W;
    out[1] = (1 - num_dot(q, v->up) / (z * v->tan_y)) * 0.5f * (float)s->H;
    return 1;
}
