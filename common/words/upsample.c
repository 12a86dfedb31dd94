#include "common/words/upsample.h"

#include <string.h>

enum { THING_MAX = 2 }; /* the model has seen no more in one scene */
enum { LAPSE_FPS = 4, USUAL_FPS = 12 };

#define BIT(x)  (1u << (x))
#define E(name) WORLD_ENV_##name
#define Q(name) WORLD_COLOUR_##name
#define A(name) WORLD_ACTION_##name

/* What goes with a thing of which nothing else is said. */
static const struct usual {
    uint8_t env[2], colour[3], action;
} usual[WORLD_CLASS_COUNT] = {
    [WORLD_CLASS_BALL] = {{E(MEADOW), E(BEACH)}, {Q(RED), Q(BLUE), Q(YELLOW)}, A(BOUNCE)},
    [WORLD_CLASS_CUBE] = {{E(STUDIO), E(KITCHEN)}, {Q(BLUE), Q(GREEN), Q(YELLOW)}, A(SPIN)},
    [WORLD_CLASS_CONE] = {{E(STUDIO), E(MEADOW)}, {Q(ORANGE), Q(YELLOW), Q(RED)}, A(STAND)},
    [WORLD_CLASS_CYLINDER] = {{E(STUDIO), E(KITCHEN)}, {Q(BLUE), Q(YELLOW), Q(GREEN)}, A(STAND)},
    [WORLD_CLASS_CAR] = {{E(DESERT), E(NEON_STREET)}, {Q(RED), Q(BLUE), Q(YELLOW)}, A(SLIDE)},
    [WORLD_CLASS_PIRATE_SHIP] = {{E(SEA), E(SEA)}, {Q(RED), Q(BLUE), Q(BLACK)}, A(SAIL)},
    [WORLD_CLASS_SAILBOAT] = {{E(SEA), E(SEA)}, {Q(RED), Q(YELLOW), Q(ORANGE)}, A(SAIL)},
    [WORLD_CLASS_TREE] = {{E(SNOW_VILLAGE), E(MEADOW)}, {Q(GREEN), Q(ORANGE), Q(PINK)}, A(STAND)},
    [WORLD_CLASS_HOUSE] = {{E(SNOW_VILLAGE), E(MEADOW)}, {Q(RED), Q(ORANGE), Q(YELLOW)}, A(STAND)},
    [WORLD_CLASS_PERSON] = {{E(NEON_STREET), E(MEADOW)}, {Q(BLUE), Q(YELLOW), Q(RED)}, A(WALK)},
    [WORLD_CLASS_RED_COAT_WOMAN] = {{E(NEON_STREET), E(NEON_STREET)}, {Q(RED)}, A(WALK)},
    [WORLD_CLASS_CORGI] = {{E(SNOW_VILLAGE), E(MEADOW)}, {Q(ORANGE)}, A(RUN)},
    [WORLD_CLASS_BIRD] = {{E(SEA), E(BEACH)}, {Q(WHITE), Q(YELLOW), Q(RED)}, A(FLY)},
    [WORLD_CLASS_BURGER] = {{E(KITCHEN), E(KITCHEN)}, {Q(ORANGE)}, A(STAND)},
    [WORLD_CLASS_CANVAS] = {{E(STUDIO), E(STUDIO)}, {Q(BLUE), Q(RED), Q(YELLOW)}, A(PAINTED)},
    [WORLD_CLASS_LANTERN] = {{E(NEON_STREET), E(SNOW_VILLAGE)},
                             {Q(RED), Q(YELLOW), Q(ORANGE)},
                             A(STAND)},
};
/* Colours that cannot be told from their place, and the hour that a place is always seen at. */
static const struct {
    unsigned drowned;
    uint8_t time;
} places[WORLD_ENV_COUNT] = {
    [E(MEADOW)] = {BIT(Q(GREEN)), WORLD_TIME_DAY},
    [E(BLOCK_WORLD)] = {BIT(Q(GREEN)), WORLD_TIME_DAY},
    [E(SNOW_VILLAGE)] = {BIT(Q(WHITE)), WORLD_TIME_DAY},
    [E(SEA)] = {BIT(Q(BLUE)), WORLD_TIME_DAY},
    [E(NEON_STREET)] = {BIT(Q(BLACK)), WORLD_TIME_NIGHT},
};

#define GOES \
    (BIT(A(ROLL)) | BIT(A(SLIDE)) | BIT(A(WALK)) | BIT(A(RUN)) | BIT(A(FLY)) | BIT(A(SAIL)))
#define HAS_DIR (GOES | BIT(A(COLLIDE)) | BIT(A(BEHIND)) | BIT(A(LEAVE)) | BIT(A(THROW)))
/* To be watched from where one stands. */
#define WATCHED                                                                         \
    (BIT(A(COLLIDE)) | BIT(A(BEHIND)) | BIT(A(LEAVE)) | BIT(A(FALL)) | BIT(A(BOUNCE)) | \
     BIT(A(THROW)) | BIT(A(BATTLE)))

struct maker {
    struct scene *s;
    const struct parse *p;
    const struct upsample_opts *opts;
    uint64_t state;
    int n_left_out;
};

static int draw_below(struct maker *m, int n) {
    m->state = m->state * 6364136223846793005u + 1442695040888963407u;
    return (int)((m->state >> 33) % (uint64_t)n);
}

static int is_water(int env) {
    return env == E(SEA) || env == E(COFFEE_CUP);
}

static int is_said(int value) {
    return value != PARSE_NONE;
}

static int said_or(int value, int other) {
    return is_said(value) ? value : other;
}

/* ---- the place ---- */

static int has_blocks(const struct parse *p) {
    return is_said(p->event[WORLD_EVENT_DIG]) || is_said(p->event[WORLD_EVENT_PLACE]);
}

static void fill_place(struct maker *m) {
    const struct parse *p = m->p;
    struct scene *s = m->s;
    int cls = p->n_ent > 0 ? p->ent[0].cls : -1;
    if (is_said(p->env))
        s->env = (uint8_t)p->env;
    else if (s->n_move || has_blocks(p))
        s->env = E(BLOCK_WORLD);
    else
        s->env = cls >= 0 ? usual[cls].env[draw_below(m, 2)] : E(MEADOW);
    s->time = (uint8_t)said_or(p->time, places[s->env].time);
    s->weather = (uint8_t)said_or(p->weather, WORLD_WEATHER_CLEAR);
    s->style = (uint8_t)said_or(p->style, WORLD_STYLE_PLAIN);
    s->is_loop = (uint8_t)is_said(p->is_loop);
    s->fps = is_said(p->is_lapse) ? LAPSE_FPS : USUAL_FPS;
    s->n_view = is_said(p->views) ? (uint8_t)p->views : 1;
    s->has_wall = (uint8_t)is_said(p->has_wall);
}

/* ---- the things ---- */

static int pick_colour(struct maker *m, int cls, int but) {
    const uint8_t *list = usual[cls].colour;
    int own = world_own_colour((enum world_class)cls), first = draw_below(m, 3);
    if (own >= 0) return own;
    for (int i = 0; i < 3; i++) {
        int colour = list[(first + i) % 3];
        if (colour != but && !(places[m->s->env].drowned & BIT(colour))) return colour;
    }
    return list[first];
}

/* A thing does what is usual for it where it is; the second one waits unless it is said. */
static int pick_action(const struct maker *m, int i, int cls) {
    int action = usual[cls].action;
    if (i > 0) return cls == WORLD_CLASS_CANVAS ? A(PAINTED) : A(STAND);
    if (!is_water(m->s->env)) return action;
    if (cls == WORLD_CLASS_PIRATE_SHIP || cls == WORLD_CLASS_SAILBOAT) return A(SAIL);
    return cls == WORLD_CLASS_BIRD ? A(FLY) : A(STAND);
}

static void fill_thing(struct maker *m, int i) {
    const struct parse_entity *said = &m->p->ent[i];
    struct world_entity *e = &m->s->ent[i];
    int but = i > 0 && m->s->ent[0].cls == said->cls ? m->s->ent[0].colour : -1;
    int dir = draw_below(m, 2) ? 1 : -1;
    e->cls = (uint8_t)said->cls;
    e->colour = (uint8_t)(is_said(said->colour) ? said->colour : pick_colour(m, said->cls, but));
    e->size = (uint8_t)said_or(said->size, WORLD_SIZE_MEDIUM);
    e->material = (uint8_t)said_or(said->material, WORLD_MATERIAL_MATTE);
    e->action = (uint8_t)(is_said(said->action) ? said->action : pick_action(m, i, said->cls));
    if (i > 0 && !is_said(said->action) && e->cls == m->s->ent[0].cls &&
        m->s->ent[0].action == A(SAIL))
        e->action = A(SAIL); /* two ships sail together */
    if (BIT(e->action) & HAS_DIR) e->dir = (int8_t)(is_said(said->dir) ? said->dir : dir);
    if (i > 0 && e->action == m->s->ent[0].action && !is_said(said->dir)) e->dir = m->s->ent[0].dir;
    e->rel_to = -1;
    if (!is_said(said->rel) || said->rel_to < 0 || said->rel_to >= m->s->n_ent) return;
    e->rel = (uint8_t)said->rel;
    e->rel_to = said->rel_to;
}

/* Who fights or runs into something needs somebody to do it with; only ships have cannons. */
static void mend_pairs(struct maker *m) {
    struct scene *s = m->s;
    struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    if (s->n_ent == 1 && a->action == A(BATTLE) && a->cls == WORLD_CLASS_PIRATE_SHIP) {
        *b = *a;
        b->colour = (uint8_t)pick_colour(m, b->cls, a->colour);
        s->n_ent = 2;
    }
    for (int i = 0; i < s->n_ent; i++) {
        struct world_entity *e = &s->ent[i];
        int needs = e->action == A(BATTLE) || e->action == A(COLLIDE);
        if (needs && (i > 0 || s->n_ent < 2)) {
            e->action = (uint8_t)pick_action(m, i, e->cls);
            e->dir = BIT(e->action) & HAS_DIR ? 1 : 0;
        }
    }
    if (s->n_ent < 2) return;
    if (a->action == A(BATTLE) && (a->cls != WORLD_CLASS_PIRATE_SHIP || b->cls != a->cls)) {
        a->action = A(COLLIDE);
        a->dir = 1;
    }
    if (a->action == A(BATTLE) && b->action == A(SAIL)) b->action = A(STAND), b->dir = 0;
    if (a->rel == WORLD_RELATION_NONE && b->rel == WORLD_RELATION_NONE) {
        b->rel = a->action == A(COLLIDE) && a->dir < 0 ? WORLD_RELATION_LEFT_OF
                                                       : WORLD_RELATION_RIGHT_OF;
        b->rel_to = 0;
    }
}

static void fill_things(struct maker *m) {
    struct scene *s = m->s;
    s->n_ent = (uint8_t)(m->p->n_ent < THING_MAX ? m->p->n_ent : THING_MAX);
    for (int i = 0; i < s->n_ent; i++)
        fill_thing(m, i);
    m->n_left_out = m->p->n_ent - s->n_ent;
    mend_pairs(m);
    for (int i = 0; i < s->n_ent; i++)
        if (s->ent[i].action == A(BEHIND)) s->has_wall = 1;
}

/* ---- what happens, and who looks ---- */

/* Of a player it is said what it does, also in words that speak of blocks only. */
static void fill_moves(struct maker *m) {
    const struct parse *p = m->p;
    struct scene *s = m->s;
    int is_player = is_said(p->move[0]) || p->camera == WORLD_CAMERA_PLAYER;
    for (int i = 0; i < WORLD_MOVE_MAX && is_said(p->move[i]); i++)
        s->move[s->n_move++].kind = (uint8_t)p->move[i];
    if (!is_player) return;
    if (is_said(p->event[WORLD_EVENT_DIG]) && s->n_move < WORLD_MOVE_MAX)
        s->move[s->n_move++].kind = WORLD_MOVE_DIG;
    if (is_said(p->event[WORLD_EVENT_PLACE]) && s->n_move < WORLD_MOVE_MAX)
        s->move[s->n_move++].kind = WORLD_MOVE_PLACE;
}

static void fill_events(struct maker *m) {
    struct scene *s = m->s;
    for (int kind = WORLD_EVENT_DIG; kind <= WORLD_EVENT_PLACE && !s->n_move; kind++)
        if (is_said(m->p->event[kind])) s->event[s->n_event++].kind = (uint8_t)kind;
}

static void fill_camera(struct maker *m) {
    struct scene *s = m->s;
    unsigned act = s->n_ent ? BIT(s->ent[0].action) : 0;
    int k = draw_below(m, 100);
    s->cam.kind = WORLD_CAMERA_STATIC;
    if (s->n_move) {
        s->cam.kind = WORLD_CAMERA_PLAYER;
    } else if (is_said(m->p->camera)) {
        s->cam.kind = (uint8_t)m->p->camera;
        s->cam.dir = is_said(m->p->camera_dir) ? m->p->camera_dir : 0;
    } else if (m->opts->kind == UPSAMPLE_IMAGE || s->is_loop || s->n_view > 1 || act & WATCHED) {
        s->cam.kind = WORLD_CAMERA_STATIC;
    } else if (act & GOES) {
        if (k < 40) s->cam.kind = WORLD_CAMERA_FOLLOW;
    } else if (k < 40) {
        s->cam.kind = k < 20 ? WORLD_CAMERA_DOLLY : WORLD_CAMERA_ORBIT;
        s->cam.dir = 1;
    }
}

static int knows_anything(const struct parse *p) {
    const int8_t *slot = (const int8_t *)p;
    int known = p->n_ent > 0;
    for (size_t i = 0; i < offsetof(struct parse, n_ent); i++)
        known |= is_said(slot[i]);
    return known;
}

static enum caption_lang language_of(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text >= 0xE3 && (unsigned char)*text <= 0xE9) return CAPTION_ZH;
    return CAPTION_EN;
}

void upsample_prompt(struct upsample *out, const char *prompt, const struct upsample_opts *opts) {
    struct maker m = {.s = &out->scene, .p = &out->read, .opts = opts};
    memset(out, 0, sizeof *out);
    m.state = opts->seed * 0x9e3779b97f4a7c15u + 0x5ca1ab1e;
    parse_caption(prompt, &out->read);
    out->is_understood = knows_anything(&out->read);
    if (!out->is_understood) return;
    (void)draw_below(&m, 2);
    fill_moves(&m);
    fill_place(&m);
    fill_things(&m);
    fill_events(&m);
    fill_camera(&m);
    out->n_left_out = m.n_left_out;
    (void)caption_write(&out->scene, CAPTION_LONG, language_of(prompt), opts->seed, out->text,
                        sizeof out->text);
}
