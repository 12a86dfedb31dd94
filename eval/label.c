#include "eval/label.h"

#include <string.h>

#include "common/base/assert.h"

enum { LEFT = -1, RIGHT = 1 };

static const char *const groups[] = {"static", "turns_left", "turns_right", "down",   "up",
                                     "closer", "away",       "flight",      "follow", "player"};
enum { STILL, TURNS_LEFT, TURNS_RIGHT, DOWN, UP, CLOSER, AWAY, FLIGHT, FOLLOW, PLAYER };

static const struct camera_row {
    const char *name;
    uint8_t kind;
    int8_t dir, group;
} cameras[] = {
    {"static", WORLD_CAMERA_STATIC, 0, STILL},
    {"pan_left", WORLD_CAMERA_PAN, LEFT, TURNS_LEFT},
    {"pan_right", WORLD_CAMERA_PAN, RIGHT, TURNS_RIGHT},
    {"tilt_down", WORLD_CAMERA_TILT, -1, DOWN},
    {"tilt_up", WORLD_CAMERA_TILT, 1, UP},
    {"dolly_out", WORLD_CAMERA_DOLLY, -1, AWAY},
    {"dolly_in", WORLD_CAMERA_DOLLY, 1, CLOSER},
    {"truck_left", WORLD_CAMERA_TRUCK, LEFT, TURNS_LEFT},
    {"truck_right", WORLD_CAMERA_TRUCK, RIGHT, TURNS_RIGHT},
    {"orbit_left", WORLD_CAMERA_ORBIT, LEFT, TURNS_LEFT},
    {"orbit_right", WORLD_CAMERA_ORBIT, RIGHT, TURNS_RIGHT},
    {"crane_down", WORLD_CAMERA_CRANE, -1, DOWN},
    {"crane_up", WORLD_CAMERA_CRANE, 1, UP},
    {"zoom_out", WORLD_CAMERA_ZOOM, -1, AWAY},
    {"zoom_in", WORLD_CAMERA_ZOOM, 1, CLOSER},
    {"fpv", WORLD_CAMERA_FPV, 0, FLIGHT},
    {"follow", WORLD_CAMERA_FOLLOW, 0, FOLLOW},
    {"player", WORLD_CAMERA_PLAYER, 0, PLAYER},
};

static const char *const motions[] = {"none",   "stays", "crosses", "hops",  "falls",   "thrown",
                                      "pushes", "hides", "leaves",  "eaten", "painted", "fights"};
enum { NONE, STAYS, CROSSES, HOPS, FALLS, THROWN, PUSHES, HIDES, LEAVES, EATEN, PAINTED, FIGHTS };

static const int8_t motion_of[WORLD_ACTION_COUNT] = {
    [WORLD_ACTION_STAND] = STAYS,  [WORLD_ACTION_BOUNCE] = HOPS,
    [WORLD_ACTION_ROLL] = CROSSES, [WORLD_ACTION_SLIDE] = CROSSES,
    [WORLD_ACTION_WALK] = CROSSES, [WORLD_ACTION_RUN] = CROSSES,
    [WORLD_ACTION_JUMP] = HOPS,    [WORLD_ACTION_SPIN] = STAYS,
    [WORLD_ACTION_FLY] = CROSSES,  [WORLD_ACTION_SAIL] = CROSSES,
    [WORLD_ACTION_FALL] = FALLS,   [WORLD_ACTION_COLLIDE] = PUSHES,
    [WORLD_ACTION_BEHIND] = HIDES, [WORLD_ACTION_LEAVE] = LEAVES,
    [WORLD_ACTION_EATEN] = EATEN,  [WORLD_ACTION_PAINTED] = PAINTED,
    [WORLD_ACTION_THROW] = THROWN, [WORLD_ACTION_BATTLE] = FIGHTS,
};

static const char *const directions[] = {"left", "none", "right"};
static const char *const layouts[] = {"left_of", "right_of", "behind", "in_front_of"};

/* A head takes its names from the world, and perhaps "none" after them, or from a list here. */
static const struct head_row {
    const char *name;
    int slot; /* enum world_slot, or -1 */
    int has_none;
    const char *const *list;
    int n_list;
} heads[LABEL_HEAD_COUNT] = {
    [LABEL_ENVIRONMENT] = {"environment", WORLD_SLOT_ENV, 0, NULL, 0},
    [LABEL_TIME] = {"time", WORLD_SLOT_TIME, 0, NULL, 0},
    [LABEL_WEATHER] = {"weather", WORLD_SLOT_WEATHER, 0, NULL, 0},
    [LABEL_STYLE] = {"style", WORLD_SLOT_STYLE, 0, NULL, 0},
    [LABEL_CLASS] = {"class", WORLD_SLOT_CLASS, 1, NULL, 0},
    [LABEL_COLOUR] = {"colour", WORLD_SLOT_COLOUR, 0, NULL, 0},
    [LABEL_ACTION] = {"action", WORLD_SLOT_ACTION, 1, NULL, 0},
    [LABEL_MOTION] = {"motion", -1, 0, motions, COUNT_OF(motions)},
    [LABEL_DIRECTION] = {"direction", -1, 0, directions, COUNT_OF(directions)},
    [LABEL_CAMERA] = {"camera", -1, 0, groups, COUNT_OF(groups)},
    [LABEL_CAMERA_KIND] = {"camera_kind", -1, 0, NULL, COUNT_OF(cameras)},
    [LABEL_SECOND] = {"second", WORLD_SLOT_CLASS, 1, NULL, 0},
    [LABEL_LAYOUT] = {"layout", -1, 0, layouts, COUNT_OF(layouts)},
};

const char *label_head_name(enum label_head head) {
    return heads[head].name;
}

int label_head_find(const char *name) {
    for (int h = 0; h < LABEL_HEAD_COUNT; h++)
        if (strcmp(heads[h].name, name) == 0) return h;
    return -1;
}

int label_n_values(enum label_head head) {
    const struct head_row *h = &heads[head];
    return h->slot < 0 ? h->n_list : world_n_names((enum world_slot)h->slot) + h->has_none;
}

const char *label_value_name(enum label_head head, int value) {
    const struct head_row *h = &heads[head];
    ASSERT(value >= 0 && value < label_n_values(head));
    if (head == LABEL_CAMERA_KIND) return cameras[value].name;
    if (h->list) return h->list[value];
    return value < world_n_names((enum world_slot)h->slot)
               ? world_name((enum world_slot)h->slot, value)
               : "none";
}

static void label_camera(const struct scene *s, struct label_set *out) {
    for (int i = 0; i < COUNT_OF(cameras); i++)
        if (cameras[i].kind == s->cam.kind && cameras[i].dir == s->cam.dir) {
            out->value[LABEL_CAMERA] = cameras[i].group;
            out->value[LABEL_CAMERA_KIND] = (int8_t)i;
        }
}

/* Colours that pictures show and words have to say: not those a class always has, not in black and
 * white, and of a canvas only its paint. */
static int says_colour(const struct scene *s, const struct world_entity *e) {
    if (world_own_colour((enum world_class)e->cls) >= 0) return 0;
    if (s->style == WORLD_STYLE_BLACK_WHITE || s->style == WORLD_STYLE_INK_WASH) return 0;
    return e->cls != WORLD_CLASS_CANVAS || e->action == WORLD_ACTION_PAINTED;
}

/* Names of a pair are in the order of the list of classes, so that the picture alone decides. */
static void label_pair(const struct scene *s, struct label_set *out) {
    static const int8_t opposite[] = {1, 0, 3, 2}; /* of `layouts` */
    const struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    out->value[LABEL_SECOND] = WORLD_CLASS_COUNT;
    if (s->n_ent < 2) return;
    out->value[LABEL_CLASS] = out->value[LABEL_COLOUR] = LABEL_OPEN;
    out->value[LABEL_SECOND] = (int8_t)(a->cls > b->cls ? a->cls : b->cls);
    if (b->rel_to != 0 || b->rel == WORLD_RELATION_NONE || a->cls == b->cls) return;
    int layout = b->rel - WORLD_RELATION_LEFT_OF;
    out->value[LABEL_LAYOUT] = a->cls < b->cls ? (int8_t)layout : opposite[layout];
}

static void label_main(const struct scene *s, struct label_set *out) {
    const struct world_entity *e = &s->ent[0];
    if (s->n_ent == 0) {
        out->value[LABEL_CLASS] = WORLD_CLASS_COUNT;
        out->value[LABEL_ACTION] = WORLD_ACTION_COUNT;
        out->value[LABEL_MOTION] = NONE;
        return;
    }
    out->value[LABEL_CLASS] = (int8_t)e->cls;
    out->value[LABEL_ACTION] = (int8_t)e->action;
    out->value[LABEL_MOTION] = motion_of[e->action];
    out->value[LABEL_DIRECTION] = (int8_t)(e->dir + 1);
    if (says_colour(s, e)) out->value[LABEL_COLOUR] = (int8_t)e->colour;
}

void label_of(const struct scene *s, struct label_set *out) {
    memset(out->value, LABEL_OPEN, sizeof out->value);
    out->value[LABEL_ENVIRONMENT] = (int8_t)s->env;
    out->value[LABEL_TIME] = (int8_t)s->time;
    out->value[LABEL_WEATHER] = (int8_t)s->weather;
    out->value[LABEL_STYLE] = (int8_t)s->style;
    label_main(s, out);
    label_pair(s, out);
    /* A loop goes to and fro, and each part of a split picture has a camera of its own. */
    if (!s->is_loop && s->n_view == 1)
        label_camera(s, out);
    else
        out->value[LABEL_DIRECTION] = LABEL_OPEN;
    if (s->n_view > 1) out->value[LABEL_LAYOUT] = LABEL_OPEN;
}

void label_of_still(const struct scene *s, struct label_set *out) {
    static const enum label_head moving[] = {LABEL_ACTION, LABEL_MOTION, LABEL_DIRECTION,
                                             LABEL_CAMERA, LABEL_CAMERA_KIND};
    label_of(s, out);
    for (int i = 0; i < COUNT_OF(moving); i++)
        out->value[moving[i]] = LABEL_OPEN;
}
