#include "common/words/world.h"

#include <string.h>

enum { NAME_MAX_ROWS = 18 };
static const struct {
    int n;
    const char *name[NAME_MAX_ROWS];
} slots[WORLD_SLOT_COUNT] = {
    [WORLD_SLOT_ENV] = {WORLD_ENV_COUNT,
                        {"meadow", "desert", "snow_village", "neon_street", "sea", "beach",
                         "studio", "kitchen", "coffee_cup", "block_world"}},
    [WORLD_SLOT_CLASS] = {WORLD_CLASS_COUNT,
                          {"ball", "cube", "cone", "cylinder", "car", "pirate_ship", "sailboat",
                           "tree", "house", "person", "red_coat_woman", "corgi", "bird", "burger",
                           "canvas", "lantern"}},
    [WORLD_SLOT_COLOUR] = {WORLD_COLOUR_COUNT,
                           {"red", "green", "blue", "yellow", "purple", "orange", "white", "black",
                            "pink", "cyan"}},
    [WORLD_SLOT_SIZE] = {WORLD_SIZE_COUNT, {"small", "medium", "large"}},
    [WORLD_SLOT_MATERIAL] = {WORLD_MATERIAL_COUNT, {"matte", "glossy", "glowing"}},
    [WORLD_SLOT_ACTION] = {WORLD_ACTION_COUNT,
                           {"stand", "bounce", "roll", "slide", "walk", "run", "jump", "spin",
                            "fly", "sail", "fall", "collide", "behind", "leave", "eaten", "painted",
                            "throw", "battle"}},
    [WORLD_SLOT_CAMERA] = {WORLD_CAMERA_COUNT,
                           {"static", "pan", "tilt", "dolly", "truck", "orbit", "crane", "zoom",
                            "fpv", "follow", "player"}},
    [WORLD_SLOT_TIME] = {WORLD_TIME_COUNT, {"day", "sunset", "night"}},
    [WORLD_SLOT_WEATHER] = {WORLD_WEATHER_COUNT, {"clear", "rain", "snow", "fog"}},
    [WORLD_SLOT_STYLE] = {WORLD_STYLE_COUNT,
                          {"plain", "pixel_art", "ink_wash", "black_white", "clay"}},
    [WORLD_SLOT_RELATION] = {WORLD_RELATION_COUNT,
                             {"none", "left_of", "right_of", "behind", "in_front_of"}},
    [WORLD_SLOT_EVENT] = {WORLD_EVENT_COUNT, {"bite", "stroke", "dig", "place"}},
    [WORLD_SLOT_HERO] = {WORLD_HERO_COUNT,
                         {"free", "red_coat", "pirate_cup", "corgi_snow", "coast_flight",
                          "block_player", "painter", "burger", "car_follow", "ball_wall",
                          "snow_street"}},
    [WORLD_SLOT_MOVE] = {WORLD_MOVE_COUNT,
                         {"forward", "back", "left", "right", "dig", "place", "jump"}},
};

const char *world_name(enum world_slot slot, int value) {
    if ((unsigned)slot >= WORLD_SLOT_COUNT || value < 0 || value >= slots[slot].n) return "";
    return slots[slot].name[value];
}

int world_n_names(enum world_slot slot) {
    return (unsigned)slot < WORLD_SLOT_COUNT ? slots[slot].n : 0;
}

int world_find(enum world_slot slot, const char *name) {
    for (int i = 0; i < world_n_names(slot); i++)
        if (strcmp(slots[slot].name[i], name) == 0) return i;
    return -1;
}

int world_is_lapse(const struct scene *s) {
    return s->fps > 0 && s->fps <= WORLD_LAPSE_FPS && s->frames != 1;
}

int world_own_colour(enum world_class cls) {
    switch (cls) {
    case WORLD_CLASS_RED_COAT_WOMAN: return WORLD_COLOUR_RED;
    case WORLD_CLASS_CORGI:
    case WORLD_CLASS_BURGER: return WORLD_COLOUR_ORANGE;
    default: return -1;
    }
}
