#include "train/world/path.h"

#include "common/base/assert.h"
#include "train/world/player.h"

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

float path_air_time(float height) {
    return 2 * sqrtf(2 * height / PATH_GRAVITY);
}

static float loop_seconds(const struct scene *s) {
    return (float)s->frames / s->fps;
}

float path_rate(const struct scene *s, float per_second) {
    float whole = (float)num_floor(per_second * loop_seconds(s) + .5f);
    return s->is_loop ? num_max(whole, 1) / loop_seconds(s) : per_second;
}

float path_clock(const struct scene *s, float t) {
    float period = loop_seconds(s);
    return s->is_loop ? .5f * wave(t / period) : t;
}

/* e^-a for a >= 0, within a hundredth: enough for things that die away. */
static float fade(float a) {
    return 1 / (1 + a * (1 + a * (.5f + a * (1.0f / 6 + a / 24))));
}

/* Height of something that leaves the ground at tau 0 to `height` and hops on: every landing keeps
 * `restitution` of the speed. */
static float hop_height(float tau, float height, float restitution) {
    for (int i = 0; i < 24 && height > 1e-3f && tau >= 0; i++) {
        float air = path_air_time(height);
        if (tau < air) return height * arc(tau / air);
        tau -= air;
        height *= restitution * restitution;
    }
    return 0;
}

/* In a loop nothing is lost and the period fits; the height goes with it. */
static float bounce_height(const struct scene *s, const struct world_entity *e, float t) {
    float air = path_air_time(e->p[0]), rate;
    if (!s->is_loop) return hop_height(t + e->phase * air, e->p[0], e->p[1]);
    rate = path_rate(s, 1 / air);
    return PATH_GRAVITY / (8 * rate * rate) * arc(fraction(t * rate + e->phase));
}

/* Falls from p[0] so that it lands at p[1], and hops; in water it plunges and bobs. */
static float fall_height(const struct scene *s, const struct world_entity *e, float t) {
    float down = .5f * path_air_time(e->p[0]), tau = t - e->p[1], q = tau / down + 1;
    if (q < 0) return e->p[0];
    if (tau < 0) return e->p[0] * (1 - q * q);
    if (!path_is_water((enum world_env)s->env)) return hop_height(tau, .12f * e->p[0], .4f);
    return -.16f * PATH_GRAVITY * down * fade(1.5f * tau) * wave(.75f * tau);
}

/* Distance of a thing pushed with unit speed that friction stops after 1.4 s. */
static float slide_out(float u) {
    const float stop = 1.4f;
    if (u <= 0) return 0;
    if (u > stop) u = stop;
    return u - u * u / (2 * stop);
}

/* Entity 0 hits entity 1 in the middle of the clip; momentum is kept, mass goes with volume. */
static void collide(const struct scene *s, int ent, float u, struct shape_pose *p) {
    const struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    float ma = a->scale * a->scale * a->scale, mb = b->scale * b->scale * b->scale,
          dir = (float)a->dir, x;
    if (ent == 1)
        x = (1 + a->p[0]) * ma / (ma + mb) * a->speed * slide_out(u);
    else if (u < 0)
        x = a->speed * u;
    else
        x = (ma - a->p[0] * mb) / (ma + mb) * a->speed * slide_out(u);
    p->pos.x += dir * x;
    if (s->ent[ent].cls == WORLD_CLASS_BALL) p->roll = dir * x / (0.7f * p->scale);
}

/* The first arc is in the air in the middle of the clip; behind it two low hops and a roll. */
static void throw_now(const struct world_entity *e, float u, struct shape_pose *p) {
    float air = path_air_time(e->p[0]), v = e->p[1] / air, tau = u + .5f * air, x = v * tau;
    if (tau < 0) x = 0;
    if (tau > air) x = e->p[1] + .7f * v * slide_out(tau - air);
    p->pos.x += (float)e->dir * (x - .5f * e->p[1]);
    p->pos.y += tau < 0 ? 0 : hop_height(tau, e->p[0], .45f);
    p->roll = (float)e->dir * x / (0.7f * p->scale);
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

/* Whoever digs or puts down a block strikes out for it. */
static void work_now(const struct scene *s, int ent, float t, struct shape_pose *p) {
    for (int i = 0; i < s->n_event; i++) {
        const struct world_event *ev = &s->event[i];
        float q = num_abs(t - ev->t) / 0.35f;
        if ((ev->kind == WORLD_EVENT_DIG || ev->kind == WORLD_EVENT_PLACE) && ev->ent == ent &&
            q < 1)
            p->swing = 0.9f * (1 - q * q);
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
    float u = t - path_seconds(s) * 0.5f, dir = (float)e->dir, x = dir * e->speed * u, q, w;
    switch ((enum world_action)e->action) {
    case WORLD_ACTION_STAND: work_now(s, ent, t, p); break;
    case WORLD_ACTION_BOUNCE: p->pos.y += bounce_height(s, e, t); break;
    case WORLD_ACTION_ROLL:
        x = dir * u * (e->speed - .5f * e->p[0] * u);
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
        w = path_rate(s, e->p[1]);
        q = fraction(u * w + e->phase) / (w * path_air_time(e->p[0]));
        if (q < 1) p->pos.y += e->p[0] * arc(q);
        p->swing = q < 1 ? 0.6f * arc(q) : 0;
        break;
    case WORLD_ACTION_SPIN: p->yaw += dir * e->speed * u; break;
    case WORLD_ACTION_FLY:
        p->pos.x += x;
        p->pos.y += e->p[0] + 0.1f * wave(u * 0.5f + e->phase);
        break;
    case WORLD_ACTION_SAIL: p->pos.x += x; break;
    case WORLD_ACTION_FALL: p->pos.y += fall_height(s, e, t); break;
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
    case WORLD_ACTION_THROW: throw_now(e, u, p); break;
    case WORLD_ACTION_BATTLE: break;
    case WORLD_ACTION_COUNT: break;
    }
}

struct shape_pose path_pose(const struct scene *s, int ent, float t) {
    const struct world_entity *e = &s->ent[ent];
    struct shape_pose p = {.pos = num_of(e->pos), .yaw = e->yaw, .scale = e->scale};
    float u = t - path_seconds(s) * 0.5f;
    ASSERT(ent >= 0 && ent < s->n_ent);
    if (path_is_water((enum world_env)s->env) && e->action != WORLD_ACTION_FLY) {
        p.pos.y += e->scale * (0.05f * wave(u * path_rate(s, 0.4f) + e->phase) -
                               shape_of((enum world_class)e->cls)->draught);
        p.lean = 0.06f * wave(u * path_rate(s, 0.33f) + e->phase + 0.2f);
    }
    if (e->cls == WORLD_CLASS_BIRD)
        p.flap =
            e->action == WORLD_ACTION_FLY ? 0.65f * wave(u * path_rate(s, 1.4f) + e->phase) : 0.2f;
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

static void look_from(struct path_view *v, const struct scene *s, struct vec eye, struct vec fw,
                      float wide) {
    float h;
    v->eye = eye;
    v->fw = num_unit(fw);
    h = sqrtf(v->fw.x * v->fw.x + v->fw.z * v->fw.z);
    v->rt = num_vec(v->fw.z / h, 0, -v->fw.x / h);
    v->up = num_cross(v->fw, v->rt);
    v->tan_y = s->cam.tan_half * wide;
    v->tan_x = v->tan_y * (float)s->W / (float)s->H;
}

static struct path_view view_of_player(const struct scene *s, float t) {
    struct player p = player_at(s, t);
    struct vec ahead = player_ahead(&p);
    struct path_view v;
    ahead.y = num_sin(p.pitch) / num_cos(p.pitch);
    look_from(&v, s, p.eye, ahead, 1);
    return v;
}

struct path_view path_view_at(const struct scene *s, float t) {
    const struct world_camera_path *c = &s->cam;
    struct vec eye = num_of(c->eye), at = num_of(c->at), look = num_sub(at, eye);
    float u = t - path_seconds(s) * 0.5f, a = c->rate * u * (c->dir ? (float)c->dir : 1), wide = 1;
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
    case WORLD_CAMERA_PLAYER: return view_of_player(s, t);
    case WORLD_CAMERA_COUNT: break;
    }
    look_from(&v, s, eye, num_sub(at, eye), wide);
    return v;
}

struct path_row path_row_at(const struct path_view *v, const struct scene *s, float py) {
    float b = (1 - 2 * py / (float)s->H) * v->tan_y;
    struct path_row r;
    r.left = num_along(num_along(v->fw, v->up, b), v->rt, -v->tan_x);
    r.step = num_mul(v->rt, 2 * v->tan_x / (float)s->W);
    return r;
}

int path_project(const struct path_view *v, const struct scene *s, struct vec p, float out[2]) {
    struct vec q = num_sub(p, v->eye);
    float z = num_dot(q, v->fw);
    if (z < 1e-3f) return 0;
    out[0] = (num_dot(q, v->rt) / (z * v->tan_x) + 1) * 0.5f * (float)s->W;
    out[1] = (1 - num_dot(q, v->up) / (z * v->tan_y)) * 0.5f * (float)s->H;
    return 1;
}
