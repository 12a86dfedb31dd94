#include "train/world/scene_block.h"

#include "common/base/assert.h"
#include "train/world/block.h"
#include "train/world/player.h"
#include "train/world/shape.h"

#define EYE_HIGH 1.62f
enum { STEPS_MAX = 4 };

/* What a random player does: chances of each move. */
static const int move_weights[WORLD_MOVE_COUNT] = {28, 6, 17, 17, 14, 14, 4};

/* Things worth doing in this order, for clips with that many moves. */
static const struct script {
    int n;
    uint8_t move[STEPS_MAX];
} scripts[] = {
    {2, {WORLD_MOVE_PLACE, WORLD_MOVE_LEFT}},
    {2, {WORLD_MOVE_PLACE, WORLD_MOVE_RIGHT}},
    {2, {WORLD_MOVE_FORWARD, WORLD_MOVE_DIG}},
    {2, {WORLD_MOVE_PLACE, WORLD_MOVE_DIG}},
    {3, {WORLD_MOVE_PLACE, WORLD_MOVE_LEFT, WORLD_MOVE_RIGHT}},
    {3, {WORLD_MOVE_PLACE, WORLD_MOVE_RIGHT, WORLD_MOVE_LEFT}},
    {3, {WORLD_MOVE_DIG, WORLD_MOVE_LEFT, WORLD_MOVE_RIGHT}},
    {3, {WORLD_MOVE_DIG, WORLD_MOVE_RIGHT, WORLD_MOVE_LEFT}},
    {3, {WORLD_MOVE_PLACE, WORLD_MOVE_BACK, WORLD_MOVE_JUMP}},
    {3, {WORLD_MOVE_FORWARD, WORLD_MOVE_PLACE, WORLD_MOVE_BACK}},
};
enum { N_SCRIPT = sizeof scripts / sizeof scripts[0] };

static int draw_move(struct num_rng *r, int but) {
    int sum = 0, k;
    for (int i = 0; i < WORLD_MOVE_COUNT; i++)
        sum += i == but ? 0 : move_weights[i];
    k = num_int(r, sum);
    for (int i = 0; i < WORLD_MOVE_COUNT; i++) {
        if (i == but) continue;
        if (k < move_weights[i]) return i;
        k -= move_weights[i];
    }
    return WORLD_MOVE_FORWARD;
}

static const struct script *draw_script(struct num_rng *r, int n) {
    int first = num_int(r, N_SCRIPT);
    if (!num_chance(r, .35f)) return NULL;
    for (int i = 0; i < N_SCRIPT; i++)
        if (scripts[(first + i) % N_SCRIPT].n == n) return &scripts[(first + i) % N_SCRIPT];
    return NULL;
}

int scene_block_moves(struct scene *s, struct num_rng *r) {
    float dur = path_seconds(s), each;
    int n = num_floor(dur / 1.25f);
    const struct script *script;
    if (s->frames < 9) return 1;
    if (n < 1) n = 1;
    if (n > STEPS_MAX) n = STEPS_MAX;
    script = draw_script(r, n);
    each = dur / (float)n;
    for (int i = 0; i < n; i++) {
        int before = i ? s->move[i - 1].kind : -1;
        s->move[i].kind = (uint8_t)(script ? script->move[i] : draw_move(r, before));
        s->move[i].t0 = each * (float)i;
        s->move[i].t1 = each * (float)(i + 1);
    }
    s->n_move = (uint8_t)n;
    return 1;
}

/* ---------------------------------------------------------------- a player */

static int has_block(const struct scene *s, const float cell[3]) {
    int stands = 0;
    for (int i = 0; i < s->n_event; i++) {
        const struct world_event *e = &s->event[i];
        if ((int)e->p[0] == (int)cell[0] && (int)e->p[1] == (int)cell[1] &&
            (int)e->p[2] == (int)cell[2])
            stands = e->kind == WORLD_EVENT_PLACE;
    }
    return stands;
}

/* The event of a move. A block is put on top of one that is there already; where none is, half of
 * the diggers find a block and half make a hole. */
static void add_event(struct scene *s, struct num_rng *r, const struct world_step *m) {
    struct world_event *e = &s->event[s->n_event];
    float t = .5f * (m->t0 + m->t1), cell[3];
    struct player p = player_at(s, t);
    ASSERT(s->n_event < WORLD_EVENT_MAX);
    player_target(&p, cell);
    e->kind = m->kind == WORLD_MOVE_DIG ? WORLD_EVENT_DIG : WORLD_EVENT_PLACE;
    e->ent = -1;
    e->t = t;
    if (m->kind == WORLD_MOVE_PLACE && has_block(s, cell)) cell[1] = 1;
    if (m->kind == WORLD_MOVE_DIG && !has_block(s, cell) && num_chance(r, .4f)) cell[1] = -1;
    for (int i = 0; i < 3; i++)
        e->p[i] = cell[i];
    s->n_event++;
}

/* The player keeps its distance from every block that has ever stood at an event's cell and from
 * what stands there, and the ground is flat. */
static int is_free(const struct scene *s, struct vec at) {
    for (int i = 0; i < s->n_event; i++) {
        float dx = at.x - s->event[i].p[0] - .5f, dz = at.z - s->event[i].p[2] - .5f;
        if (dx * dx + dz * dz < 1.5f * 1.5f) return 0;
    }
    for (int i = 0; i < s->n_ent; i++) {
        float dx = at.x - s->ent[i].pos[0], dz = at.z - s->ent[i].pos[2];
        if (dx * dx + dz * dz < 2.4f * 2.4f) return 0;
    }
    return at.x * at.x + at.z * at.z < 4.5f * 4.5f;
}

/* No block may stand where the thing is. */
static int is_clear(const struct scene *s) {
    for (int i = 0; i < s->n_event && s->n_ent; i++) {
        float dx = s->event[i].p[0] + .5f - s->ent[0].pos[0],
              dz = s->event[i].p[2] + .5f - s->ent[0].pos[2];
        if (dx * dx + dz * dz < 1.6f * 1.6f) return 0;
    }
    return 1;
}

static void place_thing(struct scene *s, struct num_rng *r) {
    static const float scales[WORLD_SIZE_COUNT] = {.86f, 1, 1.2f};
    struct world_entity *e = &s->ent[0];
    float side = num_range(r, -1.5f, 1.5f), far = num_range(r, 4.6f, 5.6f);
    e->scale = scales[e->size] * num_range(r, .96f, 1.04f);
    e->pos[0] = side;
    e->pos[2] = far;
    e->yaw = (num_int(r, 2) ? NUM_PI : 0) + num_range(r, -.6f, .6f);
    e->phase = num_range(r, 0, 1);
}

int scene_block_place(struct scene *s, struct num_rng *r) {
    float aspect = (float)s->W / (float)s->H, dur = path_seconds(s);
    s->cam.eye[1] = s->cam.at[1] = EYE_HIGH;
    s->cam.at[0] = num_range(r, -.2f, .2f);
    s->cam.at[2] = 1;
    s->cam.tan_half = .56f;
    if (aspect < 1) s->cam.tan_half *= sqrtf(1 / aspect);
    s->cam.rate = num_range(r, 1.1f, 1.5f);
    if (s->n_ent) place_thing(s, r);
    for (int i = 0; i < s->n_move; i++)
        if (s->move[i].kind == WORLD_MOVE_DIG || s->move[i].kind == WORLD_MOVE_PLACE)
            add_event(s, r, &s->move[i]);
    for (float t = 0; t <= dur; t += .1f)
        if (!is_free(s, player_at(s, t).eye)) return 0;
    return is_clear(s);
}

/* ---------------------------------------------------------------- seen from outside */

void scene_block_events(struct scene *s, struct num_rng *r) {
    const struct world_entity *e = &s->ent[0];
    float dur = path_seconds(s), side = num_int(r, 2) ? 1 : -1, x;
    int is_builder = e->cls == WORLD_CLASS_PERSON || e->cls == WORLD_CLASS_RED_COAT_WOMAN;
    int n = dur > 2 ? 1 + num_int(r, 2) : 1, is_dig = num_int(r, 2);
    if (!is_builder || e->action != WORLD_ACTION_STAND || s->frames < 17 || s->n_ent > 1) return;
    s->ent[0].yaw = side > 0 ? -.12f : NUM_PI + .12f;
    s->ent[0].pos[0] -= side * .6f;
    x = (float)num_floor(s->ent[0].pos[0] + side * 1.25f);
    for (int i = 0; i < n; i++) {
        struct world_event *ev = &s->event[s->n_event++];
        ev->kind = is_dig ? WORLD_EVENT_DIG : WORLD_EVENT_PLACE;
        ev->ent = 0;
        ev->t = dur * ((float)i + .55f) / ((float)n + .3f);
        ev->p[0] = x;
        ev->p[1] = (float)(is_dig ? n - 1 - i : i);
        ev->p[2] = -1;
    }
}
