/* random_scene.h - scenes over the whole vocabulary, wider than the sampler of scene.c draws: every
 * style, weather, event and relation, up to four entities, twins, and persons that cast no sense.
 */
#ifndef TESTS_UNIT_RANDOM_SCENE_H
#define TESTS_UNIT_RANDOM_SCENE_H

#include <string.h>

#include "common/words/world.h"

static inline int random_scene_below(uint64_t *state, int n) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (int)((*state >> 33) % (uint64_t)n);
}

static inline int random_scene_is_directed(int action) {
    return action == WORLD_ACTION_ROLL || action == WORLD_ACTION_SLIDE ||
           action == WORLD_ACTION_WALK || action == WORLD_ACTION_RUN ||
           action == WORLD_ACTION_FLY || action == WORLD_ACTION_SAIL ||
           action == WORLD_ACTION_COLLIDE || action == WORLD_ACTION_BEHIND ||
           action == WORLD_ACTION_LEAVE || action == WORLD_ACTION_THROW;
}

static inline void random_scene_entity(struct scene *s, int i, uint64_t *r) {
    struct world_entity *e = &s->ent[i];
    int is_twin = i > 0 && random_scene_below(r, 3) == 0;
    e->cls = is_twin ? s->ent[0].cls : (uint8_t)random_scene_below(r, WORLD_CLASS_COUNT);
    int own = world_own_colour((enum world_class)e->cls);
    e->colour = (uint8_t)(own >= 0 ? own : random_scene_below(r, WORLD_COLOUR_COUNT));
    e->size = (uint8_t)random_scene_below(r, WORLD_SIZE_COUNT);
    e->material = (uint8_t)random_scene_below(r, WORLD_MATERIAL_COUNT);
    e->action = (uint8_t)random_scene_below(r, WORLD_ACTION_EATEN);
    if (e->cls == WORLD_CLASS_BALL && random_scene_below(r, 8) == 0) e->action = WORLD_ACTION_THROW;
    if (e->cls == WORLD_CLASS_BURGER && random_scene_below(r, 2)) e->action = WORLD_ACTION_EATEN;
    if (e->cls == WORLD_CLASS_CANVAS && random_scene_below(r, 2)) e->action = WORLD_ACTION_PAINTED;
    if (e->cls == WORLD_CLASS_PIRATE_SHIP && random_scene_below(r, 2))
        e->action = WORLD_ACTION_BATTLE;
    if ((e->action == WORLD_ACTION_COLLIDE || e->action == WORLD_ACTION_BATTLE) &&
        (i > 0 || s->n_ent < 2))
        e->action = WORLD_ACTION_STAND;
    if (random_scene_is_directed(e->action)) e->dir = random_scene_below(r, 2) ? 1 : -1;
    if (e->action == WORLD_ACTION_BEHIND) s->has_wall = 1;
    e->rel_to = -1;
    if (i == 0 || random_scene_below(r, 2)) return;
    e->rel = (uint8_t)(1 + random_scene_below(r, WORLD_RELATION_COUNT - 1));
    e->rel_to = (int8_t)random_scene_below(r, i);
}

static inline struct scene random_scene(uint64_t seed) {
    struct scene s;
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1, *r = &state;
    memset(&s, 0, sizeof(s));
    s.env = (uint8_t)random_scene_below(r, WORLD_ENV_COUNT);
    s.time = (uint8_t)random_scene_below(r, WORLD_TIME_COUNT);
    s.weather = (uint8_t)random_scene_below(r, WORLD_WEATHER_COUNT);
    s.style = (uint8_t)random_scene_below(r, WORLD_STYLE_COUNT);
    s.is_loop = random_scene_below(r, 10) == 0;
    s.has_wall = random_scene_below(r, 10) == 0;
    s.cam.kind = (uint8_t)random_scene_below(r, WORLD_CAMERA_COUNT);
    if (s.cam.kind != WORLD_CAMERA_STATIC && s.cam.kind < WORLD_CAMERA_FPV)
        s.cam.dir = random_scene_below(r, 2) ? 1 : -1;
    s.n_view = s.style == WORLD_STYLE_PLAIN && random_scene_below(r, 3) == 0
                   ? (uint8_t)(2 * (1 + random_scene_below(r, 2)))
                   : 1;
    if (s.cam.kind == WORLD_CAMERA_PLAYER) s.n_move = (uint8_t)random_scene_below(r, 5);
    for (int i = 0; i < s.n_move; i++)
        s.move[i].kind = (uint8_t)random_scene_below(r, WORLD_MOVE_COUNT);
    s.n_event = random_scene_below(r, 8) == 0 ? 2 : 0;
    for (int i = 0; i < s.n_event; i++)
        s.event[i].kind = (uint8_t)random_scene_below(r, WORLD_EVENT_COUNT);
    s.n_ent = (uint8_t)random_scene_below(r, s.n_move ? 2 : 5);
    for (int i = 0; i < s.n_ent; i++)
        random_scene_entity(&s, i, r);
    s.fps = random_scene_below(r, 8) == 0 ? 4 : 12;
    return s;
}

#endif
