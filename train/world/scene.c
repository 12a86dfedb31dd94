#include "train/world/scene.h"

#include <string.h>

#include "common/base/assert.h"
#include "train/world/path.h"
#include "train/world/scene_block.h"

#define BIT(x)  (1u << (x))
#define E(name) WORLD_ENV_##name
#define C(name) BIT(WORLD_CLASS_##name)
#define A(name) BIT(WORLD_ACTION_##name)
#define Q(name) BIT(WORLD_COLOUR_##name)

enum { ANY = -1, TRIES = 400, PURPOSE_CHOICE = 1, PURPOSE_PLACE = 2 };

#define TOYS    (C(BALL) | C(CUBE) | C(CONE) | C(CYLINDER))
#define WALKERS (C(PERSON) | C(RED_COAT_WOMAN) | C(CORGI))
#define STILL_ACTIONS \
    (A(STAND) | A(BOUNCE) | A(WALK) | A(RUN) | A(JUMP) | A(FLY) | A(SAIL) | A(ROLL) | A(SLIDE))
#define WATER_ACTIONS (A(STAND) | A(SAIL) | A(FLY) | A(SPIN) | A(FALL) | A(BATTLE))
#define TRAVELS       (A(ROLL) | A(SLIDE) | A(WALK) | A(RUN) | A(FLY) | A(SAIL))

/* What stands where: how often the place is drawn, its classes, colours that would drown in it,
 * chances of the hours and of falling snow (all in percent). */
static const struct place_row {
    int weight;
    unsigned classes, drowned;
    int times[WORLD_TIME_COUNT];
    int snow, fog, rain;
} places[WORLD_ENV_COUNT] = {
    [E(MEADOW)] = {16,
                   TOYS | WALKERS | C(CAR) | C(TREE) | C(HOUSE) | C(BIRD) | C(LANTERN) | C(CANVAS),
                   Q(GREEN),
                   {64, 20, 16},
                   0,
                   6,
                   9},
    [E(DESERT)] =
        {11, TOYS | C(PERSON) | C(CAR) | C(BIRD) | C(LANTERN) | C(CORGI), 0, {58, 26, 16}, 0, 5, 0},
    [E(SNOW_VILLAGE)] = {10,
                         TOYS | WALKERS | C(CAR) | C(TREE) | C(HOUSE) | C(BIRD) | C(LANTERN),
                         Q(WHITE),
                         {58, 18, 24},
                         60,
                         0,
                         0},
    [E(NEON_STREET)] =
        {11, TOYS | WALKERS | C(CAR) | C(BIRD) | C(LANTERN), Q(BLACK), {0, 0, 100}, 6, 6, 26},
    [E(SEA)] =
        {13, C(PIRATE_SHIP) | C(SAILBOAT) | C(BALL) | C(BIRD), Q(BLUE), {52, 32, 16}, 0, 6, 9},
    [E(BEACH)] =
        {12, TOYS | C(PERSON) | C(CORGI) | C(BIRD) | C(LANTERN) | C(CAR), 0, {62, 28, 10}, 0, 0, 6},
    [E(STUDIO)] =
        {7, TOYS | C(CANVAS) | C(LANTERN) | C(PERSON) | C(CORGI), 0, {100, 0, 0}, 0, 0, 0},
    [E(KITCHEN)] = {8, TOYS | C(BURGER) | C(LANTERN) | C(CAR), 0, {100, 0, 0}, 0, 0, 0},
    [E(BLOCK_WORLD)] = {9,
                        TOYS | WALKERS | C(CAR) | C(TREE) | C(HOUSE) | C(BIRD) | C(LANTERN),
                        Q(GREEN),
                        {64, 20, 16},
                        8,
                        6,
                        6},
    [E(COFFEE_CUP)] = {7, C(PIRATE_SHIP) | C(SAILBOAT) | C(BALL), 0, {100, 0, 0}, 0, 0, 0},
};

/* What each class does, the colours it may have, and how it likes to stand. */
static const struct class_row {
    unsigned actions, colours; /* colours 0: any */
    float yaw;                 /* largest turn when it stands */
} classes[WORLD_CLASS_COUNT] = {
    [WORLD_CLASS_BALL] = {A(STAND) | A(BOUNCE) | A(ROLL) | A(FALL) | A(COLLIDE) | A(BEHIND) |
                              A(THROW),
                          0, .6f},
    [WORLD_CLASS_CUBE] = {A(STAND) | A(SPIN) | A(SLIDE) | A(FALL) | A(COLLIDE) | A(BEHIND), 0, .6f},
    [WORLD_CLASS_CONE] = {A(STAND) | A(SLIDE) | A(FALL) | A(BEHIND), 0, .4f},
    [WORLD_CLASS_CYLINDER] = {A(STAND) | A(SLIDE) | A(FALL) | A(BEHIND), 0, .4f},
    [WORLD_CLASS_CAR] = {A(STAND) | A(SLIDE) | A(SPIN) | A(BEHIND) | A(LEAVE) | A(COLLIDE), 0, .5f},
    [WORLD_CLASS_PIRATE_SHIP] = {A(STAND) | A(SAIL) | A(SPIN) | A(BATTLE), 0, .35f},
    [WORLD_CLASS_SAILBOAT] = {A(STAND) | A(SAIL), 0, .35f},
    [WORLD_CLASS_TREE] = {A(STAND), Q(GREEN) | Q(RED) | Q(ORANGE) | Q(YELLOW) | Q(PINK), .5f},
    [WORLD_CLASS_HOUSE] = {A(STAND), 0, .35f},
    [WORLD_CLASS_PERSON] = {A(STAND) | A(WALK) | A(RUN) | A(JUMP) | A(BEHIND) | A(LEAVE), 0, .7f},
    [WORLD_CLASS_RED_COAT_WOMAN] = {A(STAND) | A(WALK) | A(RUN) | A(BEHIND) | A(LEAVE), Q(RED),
                                    .7f},
    [WORLD_CLASS_CORGI] = {A(STAND) | A(WALK) | A(RUN) | A(JUMP) | A(BEHIND) | A(LEAVE), Q(ORANGE),
                           .45f},
    [WORLD_CLASS_BIRD] = {A(STAND) | A(FLY), 0, .3f},
    [WORLD_CLASS_BURGER] = {A(STAND) | A(SPIN) | A(EATEN), Q(ORANGE), .5f},
    [WORLD_CLASS_CANVAS] = {A(PAINTED), ~Q(WHITE) & (BIT(WORLD_COLOUR_COUNT) - 1), .25f},
    [WORLD_CLASS_LANTERN] = {A(STAND) | A(FLY),
                             Q(RED) | Q(YELLOW) | Q(ORANGE) | Q(PINK) | Q(CYAN) | Q(GREEN), .4f},
};

/* How often an action is drawn among those that its class and the clip allow. */
static const int action_weights[WORLD_ACTION_COUNT] = {12, 30, 24, 12, 14, 9,  9,  8,  16,
                                                       18, 9,  18, 4,  5,  20, 20, 22, 14};
/* How often a class is drawn among those of its place. */
static const int class_weights[WORLD_CLASS_COUNT] = {22, 9,  7, 7,  12, 12, 12, 7,
                                                     7,  12, 8, 12, 10, 12, 8,  7};

/* Camera chances in percent for: things that stay, things that travel, wall and collision, stills.
 */
enum mood { MOOD_STAY, MOOD_TRAVEL, MOOD_WATCH, MOOD_STILL, MOOD_COUNT };
static const int cameras[MOOD_COUNT][WORLD_CAMERA_COUNT] = {
    [MOOD_STAY] = {26, 12, 5, 14, 8, 15, 7, 7, 6, 0},
    [MOOD_TRAVEL] = {42, 0, 0, 10, 6, 8, 3, 5, 0, 26},
    [MOOD_WATCH] = {80, 0, 0, 10, 0, 0, 0, 10, 0, 0},
    [MOOD_STILL] = {100, 0, 0, 0, 0, 0, 0, 0, 0, 0},
};
static const int style_weights[WORLD_STYLE_COUNT] = {76, 9, 6, 6, 6};

/* Largest travel per second and over the clip: radians, or in units of the camera's distance. */
static const struct {
    float rate, whole;
} limits[WORLD_CAMERA_COUNT] = {
    [WORLD_CAMERA_PAN] = {.24f, .55f},   [WORLD_CAMERA_TILT] = {.14f, .26f},
    [WORLD_CAMERA_DOLLY] = {.24f, .50f}, [WORLD_CAMERA_TRUCK] = {.17f, .36f},
    [WORLD_CAMERA_ORBIT] = {.42f, .95f}, [WORLD_CAMERA_CRANE] = {.20f, .42f},
    [WORLD_CAMERA_ZOOM] = {.30f, .62f},  [WORLD_CAMERA_FPV] = {.20f, .60f},
};

/* The hero scenes. A mask of 0 means any. second: chance of entity 1 in percent. */
static const struct hero_row {
    int weight;
    unsigned envs, classes, actions, cameras;
    unsigned second_classes;
    int second, snow;
    int empty; /* chance that nothing but the place is seen */
} heroes[WORLD_HERO_COUNT] = {
#define K(name) BIT(WORLD_CAMERA_##name)
    [WORLD_HERO_FREE] = {56, 0, 0, 0, 0, 0, 30, ANY, 7},
    [WORLD_HERO_RED_COAT] = {7, BIT(E(NEON_STREET)), C(RED_COAT_WOMAN), A(WALK),
                             K(STATIC) | K(FOLLOW) | K(DOLLY) | K(TRUCK), C(LANTERN) | C(CAR), 20,
                             0, 0},
    [WORLD_HERO_PIRATE_CUP] = {5, BIT(E(COFFEE_CUP)), C(PIRATE_SHIP), A(SAIL) | A(BATTLE), 0,
                               C(PIRATE_SHIP), 60, 0, 0},
    [WORLD_HERO_CORGI_SNOW] = {5, BIT(E(SNOW_VILLAGE)), C(CORGI), A(WALK) | A(RUN) | A(JUMP), 0, 0,
                               0, 100, 0},
    [WORLD_HERO_COAST_FLIGHT] = {3, BIT(E(BEACH)) | BIT(E(SEA)),
                                 C(BIRD) | C(SAILBOAT) | C(PIRATE_SHIP), 0,
                                 K(FPV) | K(CRANE) | K(ORBIT) | K(FOLLOW), 0, 0, 0, 45},
    [WORLD_HERO_BLOCK_PLAYER] = {13, BIT(E(BLOCK_WORLD)), 0, 0, K(PLAYER), 0, 0, ANY, 0},
    [WORLD_HERO_PAINTER] = {4, BIT(E(STUDIO)), C(CANVAS), A(PAINTED),
                            K(STATIC) | K(DOLLY) | K(ZOOM), 0, 0, 0, 0},
    [WORLD_HERO_BURGER] = {4, BIT(E(KITCHEN)), C(BURGER), A(EATEN), K(STATIC) | K(DOLLY) | K(ORBIT),
                           0, 0, 0, 0},
    [WORLD_HERO_CAR_FOLLOW] = {4,
                               BIT(E(MEADOW)) | BIT(E(DESERT)) | BIT(E(SNOW_VILLAGE)) |
                                   BIT(E(NEON_STREET)),
                               C(CAR), A(SLIDE), K(FOLLOW), 0, 0, ANY, 0},
    [WORLD_HERO_BALL_WALL] = {6, 0, C(BALL), A(BEHIND), K(STATIC), 0, 0, ANY, 0},
    [WORLD_HERO_SNOW_STREET] = {2, BIT(E(SNOW_VILLAGE)), C(PERSON) | C(RED_COAT_WOMAN), A(WALK),
                                K(TRUCK) | K(DOLLY) | K(STATIC) | K(FOLLOW), C(HOUSE) | C(TREE), 30,
                                100, 0},
#undef K
};

static const unsigned second_classes = TOYS | C(TREE) | C(HOUSE) | C(CAR) | C(CORGI) | C(PERSON) |
                                       C(LANTERN) | C(SAILBOAT) | C(PIRATE_SHIP);

int scene_fits(enum world_env env, enum world_class cls, enum world_action action) {
    if (!(places[env].classes & BIT(cls)) || !(classes[cls].actions & BIT(action))) return 0;
    if (path_is_water(env)) return (WATER_ACTIONS & BIT(action)) != 0;
    return env != E(KITCHEN) || cls != WORLD_CLASS_CAR || action != WORLD_ACTION_LEAVE;
}

int scene_draws(enum world_slot slot, int value) {
    unsigned acts = 0;
    switch (slot) {
    case WORLD_SLOT_ENV: return places[value].weight > 0;
    case WORLD_SLOT_HERO: return heroes[value].weight > 0;
    case WORLD_SLOT_ACTION:
        for (int i = 0; i < WORLD_CLASS_COUNT; i++)
            acts |= classes[i].actions;
        return (acts >> value) & 1;
    default: return 1;
    }
}

/* ---------------------------------------------------------------- held-out pairs */

/* Keeps back eight (colour, class), two (class, action) and four (env, camera) pairs that are
 * drawn, none of them in a hero scene; found by search. */
enum { SALT = 383 };

static int is_kept_back(int kind, int a, int b) {
    uint32_t h = (uint32_t)(kind * 4099 + a * 131 + b + SALT) * 2654435761u;
    h = (h ^ (h >> 15)) * 2246822519u;
    h ^= h >> 13;
    return h % 20 == 0;
}

int scene_is_held_out(const struct scene *s) {
    for (int i = 0; i < s->n_ent; i++) {
        const struct world_entity *e = &s->ent[i];
        if (world_own_colour((enum world_class)e->cls) == ANY && is_kept_back(1, e->colour, e->cls))
            return 1;
        if (e->action != WORLD_ACTION_STAND && is_kept_back(2, e->cls, e->action)) return 1;
    }
    return s->cam.kind != WORLD_CAMERA_STATIC && is_kept_back(3, s->env, s->cam.kind);
}

/* ---------------------------------------------------------------- choices */

static int pick_bit(struct num_rng *r, unsigned mask) {
    int n = 0, k;
    for (unsigned m = mask; m; m &= m - 1)
        n++;
    ASSERT(n > 0);
    k = num_int(r, n);
    for (int i = 0; i < 32; i++)
        if ((mask & BIT(i)) && k-- == 0) return i;
    return 0;
}

static int pick_weight(struct num_rng *r, const int *weights, int n, unsigned only) {
    int sum = 0, k;
    for (int i = 0; i < n; i++)
        sum += only & BIT(i) ? weights[i] : 0;
    if (sum <= 0) return ANY;
    k = num_int(r, sum);
    for (int i = 0; i < n; i++) {
        if (!(only & BIT(i))) continue;
        if (k < weights[i]) return i;
        k -= weights[i];
    }
    return ANY;
}

/* Actions that this clip is long enough for. */
static unsigned time_for(const struct scene *s) {
    unsigned all = BIT(WORLD_ACTION_COUNT) - 1;
    float dur = path_seconds(s);
    if (s->frames < 9) return STILL_ACTIONS;
    if (dur < 3.0f) all &= ~A(LEAVE);
    if (dur >= 1.0f) return all;
    return all & ~(A(BEHIND) | A(COLLIDE) | A(FALL) | A(EATEN) | A(PAINTED) | A(THROW) | A(BATTLE));
}

static unsigned actions_of(const struct scene *s, int cls, unsigned only) {
    unsigned out = 0;
    for (int a = 0; a < WORLD_ACTION_COUNT; a++)
        if (scene_fits((enum world_env)s->env, (enum world_class)cls, (enum world_action)a))
            out |= BIT(a);
    return out & only & time_for(s);
}

static int pick_colour(const struct scene *s, struct num_rng *r, int cls, int but) {
    unsigned mask = classes[cls].colours ? classes[cls].colours : BIT(WORLD_COLOUR_COUNT) - 1;
    if (world_own_colour((enum world_class)cls) != ANY)
        return world_own_colour((enum world_class)cls);
    if (mask & ~places[s->env].drowned) mask &= ~places[s->env].drowned;
    if (s->time == WORLD_TIME_NIGHT && (mask & ~Q(BLACK))) mask &= ~Q(BLACK);
    if (but >= 0 && (mask & ~BIT(but))) mask &= ~BIT(but);
    return pick_bit(r, mask);
}

static void dress(struct scene *s, struct num_rng *r, int i, int cls, int action) {
    static const int size_weights[] = {14, 66, 20};
    struct world_entity *e = &s->ent[i];
    e->cls = (uint8_t)cls;
    e->action = (uint8_t)action;
    e->colour = (uint8_t)pick_colour(s, r, cls, i ? s->ent[0].colour : ANY);
    e->size = (uint8_t)pick_weight(r, size_weights, WORLD_SIZE_COUNT, ~0u);
    e->rel_to = -1;
    if (BIT(cls) & TOYS) {
        int k = num_int(r, 100), dark = s->time == WORLD_TIME_NIGHT;
        e->material = k < 22                                              ? WORLD_MATERIAL_GLOSSY
                      : k < 34 && dark && e->colour != WORLD_COLOUR_BLACK ? WORLD_MATERIAL_GLOWING
                                                                          : WORLD_MATERIAL_MATTE;
    }
}

static void choose_place(struct scene *s, struct num_rng *r, const struct hero_row *h) {
    int weights[WORLD_ENV_COUNT];
    unsigned need = h->classes ? h->classes : ~0u, envs = h->envs ? h->envs : ~0u;
    for (int i = 0; i < WORLD_ENV_COUNT; i++)
        weights[i] = places[i].classes & need ? places[i].weight : 0;
    if (h->actions == A(BEHIND)) envs &= ~(BIT(E(SEA)) | BIT(E(COFFEE_CUP)));
    s->env = (uint8_t)pick_weight(r, weights, WORLD_ENV_COUNT, envs);
    s->time = (uint8_t)pick_weight(r, places[s->env].times, WORLD_TIME_COUNT, ~0u);
    s->weather = WORLD_WEATHER_CLEAR;
    if (num_int(r, 100) < places[s->env].fog) s->weather = WORLD_WEATHER_FOG;
    if (h->snow != 100 && num_int(r, 100) < places[s->env].rain) s->weather = WORLD_WEATHER_RAIN;
    if (num_int(r, 100) < (h->snow == ANY ? places[s->env].snow : h->snow))
        s->weather = WORLD_WEATHER_SNOW;
}

static int choose_second(struct scene *s, struct num_rng *r, const struct hero_row *h) {
    static const int relations[] = {0, 28, 28, 28, 16};
    int action = s->ent[0].action, cls;
    unsigned mask =
        (h->second_classes ? h->second_classes : second_classes) & places[s->env].classes;
    if (!h->second_classes)
        mask &= ~BIT(s->ent[0].cls); /* two of a kind are hard to tell apart in words */
    if (action == WORLD_ACTION_COLLIDE)
        mask = (C(BALL) | C(CUBE) | C(CYLINDER)) & ~BIT(s->ent[0].cls);
    else if (action == WORLD_ACTION_BATTLE)
        mask = C(PIRATE_SHIP);
    else if (num_int(r, 100) >= h->second || action == WORLD_ACTION_BEHIND ||
             action == WORLD_ACTION_LEAVE || action == WORLD_ACTION_PAINTED ||
             action == WORLD_ACTION_EATEN)
        return 1;
    if (!mask) return 0;
    cls = pick_bit(r, mask);
    s->n_ent = 2;
    dress(s, r, 1, cls, WORLD_ACTION_STAND);
    if (cls == WORLD_CLASS_PIRATE_SHIP && h->second_classes && action == WORLD_ACTION_SAIL)
        s->ent[1].action = WORLD_ACTION_SAIL;
    s->ent[1].rel = (uint8_t)pick_weight(r, relations, WORLD_RELATION_COUNT, ~0u);
    if (cls == WORLD_CLASS_HOUSE || cls == WORLD_CLASS_TREE) s->ent[1].rel = WORLD_RELATION_BEHIND;
    s->ent[1].rel_to = 0;
    return 1;
}

static int choose_camera(struct scene *s, struct num_rng *r, const struct hero_row *h) {
    unsigned act = BIT(s->ent[0].action), only = h->cameras ? h->cameras : ~0u;
    enum mood mood = act & TRAVELS ? MOOD_TRAVEL : MOOD_STAY;
    int kind;
    if (act & (A(BEHIND) | A(COLLIDE) | A(LEAVE) | A(FALL) | A(BOUNCE) | A(THROW) | A(BATTLE)))
        mood = MOOD_WATCH;
    if (act & A(BOUNCE) && num_chance(r, .5f)) mood = MOOD_STAY;
    if (s->frames < 9) mood = MOOD_STILL, only = ~0u;
    if (h->cameras & BIT(WORLD_CAMERA_FPV) && mood != MOOD_STILL && num_chance(r, .5f)) {
        kind = WORLD_CAMERA_FPV;
    } else {
        kind = pick_weight(r, cameras[mood], WORLD_CAMERA_COUNT, only);
    }
    if (kind == ANY) return 0;
    s->cam.kind = (uint8_t)kind;
    s->cam.dir = num_int(r, 2) ? 1 : -1;
    if (kind == WORLD_CAMERA_STATIC || kind == WORLD_CAMERA_FPV || kind == WORLD_CAMERA_FOLLOW)
        s->cam.dir = 0;
    if ((kind == WORLD_CAMERA_DOLLY || kind == WORLD_CAMERA_ZOOM) && num_chance(r, .3f))
        s->cam.dir = 1;
    return 1;
}

/* Is this scene periodic, when its clip is and its camera stays? */
static int can_loop(const struct scene *s) {
    unsigned act = BIT(s->ent[0].action), views = heroes[s->hero].cameras;
    int is_alive = path_is_water((enum world_env)s->env) || s->weather == WORLD_WEATHER_RAIN;
    if (s->frames < 17 || s->weather == WORLD_WEATHER_SNOW) return 0;
    if (views && !(views & BIT(WORLD_CAMERA_STATIC))) return 0;
    if (s->style == WORLD_STYLE_CLAY || s->n_event || s->has_wall) return 0;
    return act & (A(BOUNCE) | A(JUMP) | A(SPIN)) || (act & A(STAND) && is_alive);
}

/* Large pixels show one thing well, and nothing small. */
static int is_too_fine(const struct scene *s) {
    return s->n_ent > 1 || s->cam.kind == WORLD_CAMERA_PLAYER ||
           s->ent[0].action == WORLD_ACTION_BEHIND || s->ent[0].action == WORLD_ACTION_BATTLE;
}

/* Loops, and pictures split into views of cameras that stand in other places. */
static void choose_form(struct scene *s, struct num_rng *r) {
    int loop = num_int(r, 100), split = num_int(r, 100), is_large = s->W >= 192 && s->H >= 128;
    unsigned turned = BIT(WORLD_CAMERA_STATIC) | BIT(WORLD_CAMERA_DOLLY) | BIT(WORLD_CAMERA_ZOOM) |
                      BIT(WORLD_CAMERA_FOLLOW) | BIT(WORLD_CAMERA_CRANE);
    s->is_loop = can_loop(s) && loop < (s->cam.kind == WORLD_CAMERA_STATIC ? 75 : 50);
    if (s->is_loop) s->cam.kind = WORLD_CAMERA_STATIC, s->cam.dir = 0;
    s->n_view = 1;
    if (split >= 8 || s->style != WORLD_STYLE_PLAIN || s->W % 2 || s->H % 2 ||
        (s->W < 96 && s->H < 96))
        return;
    if (!(BIT(s->cam.kind) & turned) || s->ent[0].action == WORLD_ACTION_BEHIND) return;
    s->n_view = is_large && split < 3 ? 4 : 2;
}

/* The eyes of a player, half of the time with something to look at; or a player who builds, seen
 * from outside. */
static int choose_player(struct scene *s, struct num_rng *r) {
    static const unsigned seen = C(TREE) | C(HOUSE) | C(CORGI) | C(PERSON) | C(BALL) | C(CAR) |
                                 C(LANTERN) | C(RED_COAT_WOMAN) | C(CUBE);
    int is_seen = s->frames >= 17 && num_chance(r, .25f);
    s->cam.kind = WORLD_CAMERA_PLAYER;
    if (is_seen || num_chance(r, .5f)) {
        unsigned mask = is_seen ? C(PERSON) | C(RED_COAT_WOMAN) : seen;
        s->n_ent = 1;
        dress(s, r, 0, pick_weight(r, class_weights, WORLD_CLASS_COUNT, mask), WORLD_ACTION_STAND);
    }
    if (!is_seen) return scene_block_moves(s, r);
    s->cam.kind = (uint8_t)pick_weight(r, cameras[MOOD_STAY], WORLD_CAMERA_COUNT,
                                       BIT(WORLD_CAMERA_STATIC) | BIT(WORLD_CAMERA_ORBIT) |
                                           BIT(WORLD_CAMERA_DOLLY) | BIT(WORLD_CAMERA_CRANE));
    if (s->cam.kind != WORLD_CAMERA_STATIC) s->cam.dir = num_int(r, 2) ? 1 : -1;
    return 1;
}

/* A place, and nobody in it. */
static int choose_view(struct scene *s, struct num_rng *r, const struct hero_row *h) {
    if (!choose_camera(s, r, h)) return 0;
    choose_form(s, r);
    return 1;
}

/* Draws what is in the scene; 0 when the choices do not go together. */
static int choose(struct scene *s, struct num_rng *r, enum world_hero only) {
    int weights[WORLD_HERO_COUNT], cls, action;
    unsigned mask;
    for (int i = 0; i < WORLD_HERO_COUNT; i++)
        weights[i] = heroes[i].weight;
    s->hero = (uint8_t)pick_weight(r, weights, WORLD_HERO_COUNT, ~0u);
    if (only != WORLD_HERO_FREE) s->hero = (uint8_t)only;
    choose_place(s, r, &heroes[s->hero]);
    s->style = (uint8_t)pick_weight(r, style_weights, WORLD_STYLE_COUNT, ~0u);
    if (s->hero == WORLD_HERO_BLOCK_PLAYER) return choose_player(s, r);
    if (num_int(r, 100) < heroes[s->hero].empty) return choose_view(s, r, &heroes[s->hero]);
    mask = places[s->env].classes & (heroes[s->hero].classes ? heroes[s->hero].classes : ~0u);
    if (!mask) return 0;
    cls = pick_weight(r, class_weights, WORLD_CLASS_COUNT, mask);
    mask = actions_of(s, cls, heroes[s->hero].actions ? heroes[s->hero].actions : ~0u);
    if (!mask) return 0;
    action = pick_weight(r, action_weights, WORLD_ACTION_COUNT, mask);
    s->n_ent = 1;
    dress(s, r, 0, cls, action);
    if (!choose_second(s, r, &heroes[s->hero]) || !choose_camera(s, r, &heroes[s->hero])) return 0;
    choose_form(s, r);
    return 1;
}

/* ---------------------------------------------------------------- places */

struct room {
    float height, half; /* of the hero, scaled */
    float rise;         /* how far it goes up */
    float view_w, view_h, dist;
};

/* A cube looks the same after a quarter of a turn, other things after a whole one. */
static float spin_speed(const struct scene *s, struct num_rng *r, const struct world_entity *e) {
    float quarter = .5f * NUM_PI, speed = num_range(r, .9f, 1.4f);
    float part = e->cls == WORLD_CLASS_CUBE ? quarter : 4 * quarter;
    return s->is_loop ? path_rate(s, speed / part) * part : speed;
}

static void give_motion(struct scene *s, struct num_rng *r, struct world_entity *e) {
    static const float scales[WORLD_SIZE_COUNT] = {.86f, 1, 1.2f};
    float dur = path_seconds(s);
    e->scale = scales[e->size] * num_range(r, .96f, 1.04f);
    e->phase = num_range(r, 0, 1);
    e->dir = (int8_t)(num_int(r, 2) ? 1 : -1);
    switch ((enum world_action)e->action) {
    case WORLD_ACTION_BOUNCE:
        e->p[0] = num_range(r, .75f, 1.1f);
        e->p[1] = num_range(r, .78f, .95f);
        e->phase = num_range(r, 0, .6f);
        break;
    case WORLD_ACTION_JUMP:
        e->p[0] = num_range(r, .5f, .75f);
        e->p[1] = num_range(r, .62f, .75f);
        break;
    case WORLD_ACTION_FALL:
        e->p[0] = num_range(r, 1.1f, 1.5f);
        e->p[1] = num_clamp(.42f * dur, .7f, 1.3f);
        break;
    case WORLD_ACTION_THROW:
        e->p[0] = num_min(num_range(r, .95f, 1.35f), .08f * PATH_GRAVITY * dur * dur);
        break;
    case WORLD_ACTION_COLLIDE: e->p[0] = e->cls == WORLD_CLASS_BALL ? .8f : .3f; break;
    case WORLD_ACTION_FLY: e->p[0] = num_range(r, .7f, 1.0f); break;
    case WORLD_ACTION_SPIN: e->speed = spin_speed(s, r, e); break;
    default: break;
    }
    if (!(BIT(e->action) & (TRAVELS | A(SPIN) | A(BEHIND) | A(COLLIDE) | A(LEAVE) | A(THROW))))
        e->dir = 0;
}

static void turn(struct num_rng *r, struct world_entity *e) {
    float yaw = classes[e->cls].yaw, a = num_range(r, .06f, .18f);
    int side = e->dir ? e->dir : num_int(r, 2) ? 1 : -1;
    int faces = (BIT(e->cls) & (WALKERS | C(CAR) | C(BIRD) | C(PIRATE_SHIP) | C(SAILBOAT))) != 0;
    int rolls = e->cls == WORLD_CLASS_BALL &&
                (BIT(e->action) & (A(ROLL) | A(BEHIND) | A(COLLIDE) | A(THROW)));
    int moves = (BIT(e->action) & (TRAVELS | A(BEHIND) | A(COLLIDE) | A(LEAVE))) != 0;
    if (!moves) a = num_range(r, .3f * yaw, yaw);
    if (e->action == WORLD_ACTION_COLLIDE) a = 0;
    e->yaw = faces ? (side > 0 ? -a : NUM_PI + a) : (float)side * (moves ? yaw : a);
    if (e->cls == WORLD_CLASS_CUBE) e->yaw = (float)side * num_range(r, .35f, .6f);
    if (rolls || (e->action == WORLD_ACTION_COLLIDE && !faces)) e->yaw = 0;
}

static float half_of(const struct world_entity *e) {
    return shape_of((enum world_class)e->cls)->half_x * e->scale;
}
static float height_of(const struct world_entity *e) {
    return shape_of((enum world_class)e->cls)->height * e->scale;
}

/* How large the picture must be at the hero's distance. */
static void frame(struct scene *s, struct num_rng *r, struct room *m) {
    static const float tall_scales[WORLD_SIZE_COUNT] = {.86f, 1, 1.2f};
    struct world_entity *e = &s->ent[0];
    float aspect = (float)s->W / (float)s->H, tan_half = .36f, need_w, share, medium, wide;
    if (aspect < 1) tan_half *= sqrtf(1 / aspect);
    m->height = height_of(e);
    m->half = half_of(e);
    medium = 1 / tall_scales[e->size]; /* the camera stands as for a medium one: sizes show */
    m->rise = e->action == WORLD_ACTION_BOUNCE || e->action == WORLD_ACTION_JUMP ||
                      e->action == WORLD_ACTION_FALL || e->action == WORLD_ACTION_FLY ||
                      e->action == WORLD_ACTION_THROW
                  ? e->p[0]
                  : 0;
    share = num_range(r, .44f, .54f);
    if (m->height > 3.2f * m->half) share += .08f; /* tall and narrow */
    if (BIT(e->action) & (A(BEHIND) | A(LEAVE))) share -= .08f;
    m->view_h =
        (m->height * medium + (e->action == WORLD_ACTION_FLY ? .3f : .55f) * m->rise) / share;
    wide = BIT(e->action) & (TRAVELS | A(LEAVE) | A(THROW)) ? .44f : .56f;
    if (s->cam.kind == WORLD_CAMERA_FOLLOW || e->action == WORLD_ACTION_FLY) wide = .58f;
    need_w = 2 * m->half * medium / (aspect < 1 ? wide + .12f : wide);
    if (s->n_ent > 1) {
        int beside =
            s->ent[1].rel == WORLD_RELATION_LEFT_OF || s->ent[1].rel == WORLD_RELATION_RIGHT_OF;
        float pair = 2 * m->half + 2 * half_of(&s->ent[1]);
        if (beside || e->action == WORLD_ACTION_COLLIDE)
            need_w = num_max(need_w, (pair + .3f) / .86f);
        if (e->action == WORLD_ACTION_BATTLE) need_w = (pair + 1.1f) / .92f;
        m->view_h = num_max(m->view_h, height_of(&s->ent[1]) / .62f);
    }
    if (s->hero == WORLD_HERO_BLOCK_PLAYER) need_w = num_max(need_w, 2 * m->half + 2.6f);
    if (e->action == WORLD_ACTION_BEHIND) need_w = 2 * m->half / (aspect < 1 ? .36f : .31f);
    if (m->view_h < need_w / aspect) m->view_h = need_w / aspect;
    m->view_h = num_max(m->view_h, 2.3f);
    m->view_w = m->view_h * aspect;
    s->cam.tan_half = tan_half;
    m->dist = m->view_h * .5f / tan_half;
}

/* Without a thing the camera stands as for one of usual size. */
static struct room room_of_view(struct scene *s, struct num_rng *r) {
    float aspect = (float)s->W / (float)s->H;
    struct room m = {.height = 1.6f, .half = 1, .view_h = num_range(r, 3.2f, 4.2f)};
    s->cam.tan_half = aspect < 1 ? .36f * sqrtf(1 / aspect) : .36f;
    m.view_w = m.view_h * aspect;
    m.dist = m.view_h * .5f / s->cam.tan_half;
    return m;
}

/* A fortieth of the width per frame at 12 fps, and never out of the picture unless followed. */
static void set_speed(struct scene *s, struct num_rng *r, const struct room *m) {
    struct world_entity *e = &s->ent[0];
    float pace = e->action == WORLD_ACTION_WALK || e->action == WORLD_ACTION_SAIL ? .20f : .27f;
    float dur = num_max(path_seconds(s), 1), v = pace * m->view_w * num_range(r, .8f, 1);
    if (e->action == WORLD_ACTION_SPIN) return;
    if (e->action == WORLD_ACTION_THROW) e->p[1] = .46f * m->view_w;
    if (e->action == WORLD_ACTION_THROW) e->pos[0] = -(float)e->dir * .1f * m->view_w;
    if (s->cam.kind != WORLD_CAMERA_FOLLOW) v = num_min(v, .60f * m->view_w / dur);
    if (e->action == WORLD_ACTION_WALK) v = num_min(v, 1.5f);
    e->speed = v;
    if (e->action == WORLD_ACTION_ROLL && s->cam.kind != WORLD_CAMERA_FOLLOW)
        e->p[0] = .8f * v / dur; /* friction: from 1.4 to .6 of the speed */
    if (s->n_ent > 1 && s->ent[1].action == WORLD_ACTION_SAIL) s->ent[1].speed = .5f * v;
}

static void place_second(struct scene *s, struct num_rng *r) {
    struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    float ha = half_of(a), hb = half_of(b), gap = num_range(r, .2f, .4f),
          side = num_int(r, 2) ? 1 : -1;
    switch ((enum world_relation)b->rel) {
    case WORLD_RELATION_LEFT_OF:
    case WORLD_RELATION_RIGHT_OF:
        side = b->rel == WORLD_RELATION_RIGHT_OF ? 1 : -1;
        a->pos[0] = -side * (hb + .5f * gap);
        b->pos[0] = side * (ha + .5f * gap);
        if (BIT(a->action) & TRAVELS) b->pos[2] = .9f + .6f * (b->cls == WORLD_CLASS_CAR);
        break;
    case WORLD_RELATION_BEHIND:
        b->pos[2] = num_range(r, 1.7f, 2.2f) + .4f * b->scale;
        b->pos[0] = side * (ha + hb) * num_range(r, .5f, .8f);
        break;
    case WORLD_RELATION_IN_FRONT_OF:
        b->scale *= .72f;
        b->pos[2] = -1.3f;
        b->pos[0] = side * (ha + half_of(b)) * num_range(r, .7f, .85f);
        break;
    default: break;
    }
}

/* Bow against bow. */
static void place_battle(struct scene *s) {
    struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    float side = a->phase < .5f ? -1 : 1, apart = .5f * (half_of(a) + half_of(b)) + .55f;
    a->pos[0] = side * apart;
    b->pos[0] = -side * apart;
    a->yaw = side < 0 ? -.15f : NUM_PI + .15f;
    b->yaw = side < 0 ? NUM_PI + .15f : -.15f;
    b->rel = side < 0 ? WORLD_RELATION_RIGHT_OF : WORLD_RELATION_LEFT_OF;
}

/* Both touch in the middle of the clip. */
static void place_collision(struct scene *s, const struct room *m) {
    struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    float ha = a->cls == WORLD_CLASS_CAR    ? 1.2f * a->scale
               : a->cls == WORLD_CLASS_CUBE ? .6f * a->scale
                                            : .7f * a->scale;
    float hb = (b->cls == WORLD_CLASS_CUBE   ? .6f
                : b->cls == WORLD_CLASS_BALL ? .7f
                                             : .5f) *
               b->scale;
    a->pos[0] = -(float)a->dir * (ha + .06f * m->view_w);
    b->pos[0] = -(float)a->dir * (.06f * m->view_w) + (float)a->dir * hb;
    b->rel = a->dir > 0 ? WORLD_RELATION_RIGHT_OF : WORLD_RELATION_LEFT_OF;
    b->yaw = 0;
    a->speed = num_min(.27f * m->view_w, .8f * m->view_w / num_max(path_seconds(s), 1));
}

/* The wall hides the hero in the middle of the clip and shows it at both ends; 0 when the clip is
 * too short for that. */
static int place_wall(struct scene *s, const struct room *m) {
    struct world_entity *e = &s->ent[0];
    float back = shape_of((enum world_class)e->cls)->half_z * e->scale + .35f;
    float half = m->half * 1.12f * (m->dist - back) / m->dist, reach = 2.15f * m->half;
    float most = .18f * m->view_w * path_seconds(s);
    reach = num_min(reach, num_min(most, .5f * m->view_w - .6f * m->half));
    if (reach < 1.25f * m->half) return 0;
    e->speed = 2 * reach / path_seconds(s);
    s->has_wall = 1;
    s->wall_half[0] = half;
    s->wall_half[1] = .57f * m->height;
    s->wall_half[2] = .1f;
    s->wall_pos[0] = 0;
    s->wall_pos[1] = s->wall_half[1];
    s->wall_pos[2] = -back;
    return 1;
}

static void place_leave(struct scene *s, const struct room *m) {
    struct world_entity *e = &s->ent[0];
    e->pos[0] = (float)e->dir * .12f * m->view_w;
    e->p[0] = .48f * m->view_w + m->half;
}

static void add_strokes(struct scene *s, struct num_rng *r) {
    float dur = path_seconds(s);
    int n = dur < 1.8f ? 2 : dur < 3 ? 3 : 4;
    for (int i = 0; i < n; i++) {
        struct world_event *ev = &s->event[s->n_event++];
        float y = .84f - .68f * ((float)i + .5f) / (float)n + num_range(r, -.04f, .04f);
        float x0 = num_range(r, .08f, .16f), x1 = num_range(r, .84f, .92f);
        ev->kind = WORLD_EVENT_STROKE;
        ev->ent = 0;
        ev->t = dur * (.03f + .95f * (float)i / (float)n);
        ev->p[0] = i & 1 ? x1 : x0;
        ev->p[2] = i & 1 ? x0 : x1;
        ev->p[1] = y;
        ev->p[3] = y + num_range(r, -.07f, .07f);
    }
}

static void add_bites(struct scene *s, struct num_rng *r) {
    static const struct { float x, y; } at[3] = {{.80f, .70f}, {.34f, .98f}, {-.16f, .62f}};
    float dur = path_seconds(s), side = num_int(r, 2) ? 1 : -1;
    s->ent[0].yaw = 0;
    for (int i = 0; i < 3; i++) {
        struct world_event *ev = &s->event[s->n_event++];
        ev->kind = WORLD_EVENT_BITE;
        ev->ent = 0;
        ev->t = dur * (.2f + .27f * (float)i);
        ev->p[0] = side * (at[i].x + num_range(r, -.05f, .05f));
        ev->p[1] = at[i].y;
        ev->p[2] = -.28f;
        ev->p[3] = num_range(r, .46f, .54f);
    }
}

static float rate_of(const struct scene *s, const struct room *m) {
    int kind = s->cam.kind, turns = kind == WORLD_CAMERA_PAN || kind == WORLD_CAMERA_TILT ||
                                    kind == WORLD_CAMERA_ORBIT || kind == WORLD_CAMERA_ZOOM;
    float dur = path_seconds(s), rate = limits[kind].rate;
    if (dur > 0) rate = num_min(rate, limits[kind].whole / dur);
    if (kind == WORLD_CAMERA_FOLLOW) return (float)s->ent[0].dir * s->ent[0].speed;
    if (s->W < s->H && kind == WORLD_CAMERA_PAN) rate *= .6f;
    return turns ? rate : rate * m->dist;
}

static void place_camera(struct scene *s, struct num_rng *r, const struct room *m) {
    struct world_camera_path *c = &s->cam;
    float pitch = num_range(r, .16f, .27f),
          water = path_is_water((enum world_env)s->env) ? .05f : 0;
    if (s->env == E(COFFEE_CUP)) pitch += .12f;
    if (s->env == E(KITCHEN)) pitch += .02f;
    c->at[1] = (.58f - water) * m->height + .55f * m->rise;
    if (s->ent[0].action == WORLD_ACTION_FLY) c->at[1] = .5f * m->height + .8f * m->rise;
    c->eye[1] = c->at[1] + m->dist * pitch;
    c->eye[2] = -m->dist;
    if (c->kind == WORLD_CAMERA_FPV) {
        c->eye[1] += .12f * m->dist;
        c->eye[2] -= .15f * m->dist;
    }
    c->rate = rate_of(s, m);
}

/* Puts everything in its place; 0 when it does not fit into this clip. */
static int place_all(struct scene *s, struct num_rng *r) {
    struct room m;
    struct vec sun;
    s->drift = num_range(r, -60, 60);
    sun.z = num_range(r, -.8f, -.35f); /* one draw a line: C leaves the order of arguments open */
    sun.y = 1;
    sun.x = num_range(r, .25f, .75f);
    if (!num_int(r, 2)) sun.x = -sun.x;
    sun = num_unit(sun);
    s->sun[0] = sun.x;
    s->sun[1] = sun.y;
    s->sun[2] = sun.z;
    if (s->cam.kind == WORLD_CAMERA_PLAYER) return scene_block_place(s, r);
    for (int i = 0; i < s->n_ent; i++) {
        give_motion(s, r, &s->ent[i]);
        turn(r, &s->ent[i]);
    }
    if (s->n_ent == 0) {
        m = room_of_view(s, r);
        place_camera(s, r, &m);
        s->cam.eye[1] = num_range(r, 1.1f, 1.8f) + (s->cam.kind == WORLD_CAMERA_FPV ? .6f : 0);
        s->cam.at[1] = s->cam.eye[1] - num_range(r, -.1f, .5f); /* half of it is sky */
        return 1;
    }
    frame(s, r, &m);
    set_speed(s, r, &m);
    if (s->ent[0].action == WORLD_ACTION_BATTLE)
        place_battle(s);
    else if (s->n_ent > 1)
        place_second(s, r);
    switch ((enum world_action)s->ent[0].action) {
    case WORLD_ACTION_COLLIDE: place_collision(s, &m); break;
    case WORLD_ACTION_LEAVE: place_leave(s, &m); break;
    case WORLD_ACTION_PAINTED: add_strokes(s, r); break;
    case WORLD_ACTION_EATEN: add_bites(s, r); break;
    case WORLD_ACTION_BEHIND:
        if (!place_wall(s, &m)) return 0;
        break;
    default: break;
    }
    place_camera(s, r, &m);
    if (s->env == E(BLOCK_WORLD)) scene_block_events(s, r);
    return 1;
}

/* A split picture is framed for one of its parts. */
static int place(struct scene *s, struct num_rng *r) {
    uint16_t W = s->W, H = s->H;
    int fits;
    if (s->n_view == 4 || (s->n_view == 2 && W >= H)) s->W = W / 2;
    if (s->n_view == 4 || (s->n_view == 2 && W < H)) s->H = H / 2;
    fits = place_all(s, r);
    s->W = W;
    s->H = H;
    return fits;
}

static void blank(struct scene *s, uint64_t seed, const struct world_opts *o) {
    memset(s, 0, sizeof *s); /* padding too: scenes are compared and stored as bytes */
    s->seed = seed;
    s->W = (uint16_t)o->W;
    s->H = (uint16_t)o->H;
    s->frames = (uint16_t)o->frames;
    s->fps = o->fps;
    s->n_view = 1;
}

int scene_draw(struct scene *out, uint64_t seed, const struct world_opts *opts) {
    struct num_rng choice = num_rng_make(seed, PURPOSE_CHOICE),
                   where = num_rng_make(seed, PURPOSE_PLACE);
    int want = opts->split == WORLD_SPLIT_HELD_OUT;
    for (int i = 0; i < TRIES; i++) {
        blank(out, seed, opts);
        if (!choose(out, &choice, (enum world_hero)opts->hero) || scene_is_held_out(out) != want)
            continue;
        if (out->style == WORLD_STYLE_PIXEL_ART && is_too_fine(out)) continue;
        if (place(out, &where)) return 1;
    }
    ASSERT(opts->hero != WORLD_HERO_FREE); /* one try in three succeeds: 400 do not all fail */
    return 0;
}
