#include "train/world/player.h"

#define PITCH_WALK -.20f
#define PITCH_WORK -.24f /* further down while a block is dug or put down */
#define JUMP_HIGH  .8f

/* Rises to 1 in the first quarter of a move and falls in the last. */
static float hold(float q) {
    return num_step(0, .25f, q) * (1 - num_step(.75f, 1, q));
}

static void walk(struct player *p, float way, float q) {
    struct vec ahead = player_ahead(p);
    p->eye = num_along(p->eye, ahead, way);
    p->eye.y += .04f * num_sin(4 * NUM_PI * q); /* two steps of a head that bobs */
}

static void follow(struct player *p, const struct world_step *m, float rate, float t) {
    float q = num_clamp((t - m->t0) / num_max(m->t1 - m->t0, .01f), 0, 1), s = num_step(0, 1, q);
    switch ((enum world_move)m->kind) {
    case WORLD_MOVE_FORWARD: walk(p, rate * (m->t1 - m->t0) * s, q); break;
    case WORLD_MOVE_BACK: walk(p, -.7f * rate * (m->t1 - m->t0) * s, q); break;
    case WORLD_MOVE_LEFT: p->yaw -= PLAYER_TURN * s; break;
    case WORLD_MOVE_RIGHT: p->yaw += PLAYER_TURN * s; break;
    case WORLD_MOVE_DIG:
        p->pitch += PITCH_WORK * hold(q);
        p->is_digging = q > .1f && q < .5f;
        p->swing = q < .55f ? num_abs(num_sin(6 * NUM_PI * q)) : 0;
        break;
    case WORLD_MOVE_PLACE:
        p->pitch += PITCH_WORK * hold(q);
        p->has_block = q < .5f;
        p->swing = hold(num_clamp(2 * (q - .25f), 0, 1));
        break;
    case WORLD_MOVE_JUMP: p->eye.y += JUMP_HIGH * 4 * q * (1 - q); break;
    case WORLD_MOVE_COUNT: break;
    }
}

struct player player_at(const struct scene *s, float t) {
    const struct world_camera_path *c = &s->cam;
    struct player p = {.eye = num_of(c->eye), .pitch = PITCH_WALK};
    struct vec look = num_sub(num_of(c->at), p.eye);
    /* The sine of a turn is known, not its angle: a small arctangent would do, but only the start
     * is given as a direction, and it is within a right angle of +z. */
    float sine = look.x / sqrtf(look.x * look.x + look.z * look.z), q = sine * sine;
    p.yaw = sine * (1 + q * (1.0f / 6 + q * (3.0f / 40 + q * (15.0f / 336 + q * 105.0f / 3456))));
    for (int i = 0; i < s->n_move && t >= s->move[i].t0; i++)
        follow(&p, &s->move[i], c->rate, t);
    for (int i = 0; i < s->n_move && !p.has_block; i++)
        p.has_block = s->move[i].kind == WORLD_MOVE_PLACE && t < s->move[i].t0;
    return p;
}

struct vec player_ahead(const struct player *p) {
    return num_vec(num_sin(p->yaw), 0, num_cos(p->yaw));
}

void player_target(const struct player *p, float cell[3]) {
    struct vec at = num_along(p->eye, player_ahead(p), PLAYER_REACH);
    cell[0] = (float)num_floor(at.x);
    cell[1] = 0;
    cell[2] = (float)num_floor(at.z);
}
