/* world.h - what a scene of the synthetic world is made of: the closed vocabulary of the embedded
 * model, as numbers and as names.
 *
 * The renderer draws a `struct scene` (train/world/world.h), caption.h says it in words, parse.h
 * reads words back, and the service turns a prompt into one (upsample.h). Nothing here draws or
 * speaks. Constant data and pure functions; any thread.
 *
 * Axes: x right, y up, z away from the first camera; the ground is y = 0; one unit is about
 * the size of a hero object. Time is in seconds, frame f is at time f / fps. */
#ifndef COMMON_WORDS_WORLD_H
#define COMMON_WORDS_WORLD_H

#include <stdint.h>

enum {
    WORLD_ENTITY_MAX = 6,
    WORLD_EVENT_MAX = 8,
    WORLD_MOVE_MAX = 6,
    WORLD_SIDE_MAX = 1024,
    WORLD_FRAME_MAX = 1200
};
/* A clip of at most so many frames a second is said to be a time-lapse. */
#define WORLD_LAPSE_FPS 8.0f
/* Ids written by world_render. Entity i is WORLD_ID_ENTITY + i. HUD is what a player's screen shows
 * over the picture; BLOCK is a block that an event moves. */
enum {
    WORLD_ID_SKY,
    WORLD_ID_GROUND,
    WORLD_ID_BACKDROP,
    WORLD_ID_WALL,
    WORLD_ID_HUD,
    WORLD_ID_BLOCK,
    WORLD_ID_SHOT, /* cannon balls, their fire and smoke */
    WORLD_ID_ENTITY = 10
};

/* The numbers are stored in records and goldens: append only. */
enum world_env {
    WORLD_ENV_MEADOW,
    WORLD_ENV_DESERT,
    WORLD_ENV_SNOW_VILLAGE,
    WORLD_ENV_NEON_STREET,
    WORLD_ENV_SEA,
    WORLD_ENV_BEACH,
    WORLD_ENV_STUDIO,
    WORLD_ENV_KITCHEN,
    WORLD_ENV_COFFEE_CUP,
    WORLD_ENV_BLOCK_WORLD,
    WORLD_ENV_COUNT
};
enum world_class {
    WORLD_CLASS_BALL,
    WORLD_CLASS_CUBE,
    WORLD_CLASS_CONE,
    WORLD_CLASS_CYLINDER,
    WORLD_CLASS_CAR,
    WORLD_CLASS_PIRATE_SHIP,
    WORLD_CLASS_SAILBOAT,
    WORLD_CLASS_TREE,
    WORLD_CLASS_HOUSE,
    WORLD_CLASS_PERSON,
    WORLD_CLASS_RED_COAT_WOMAN,
    WORLD_CLASS_CORGI,
    WORLD_CLASS_BIRD,
    WORLD_CLASS_BURGER,
    WORLD_CLASS_CANVAS,
    WORLD_CLASS_LANTERN,
    WORLD_CLASS_COUNT
};
enum world_colour {
    WORLD_COLOUR_RED,
    WORLD_COLOUR_GREEN,
    WORLD_COLOUR_BLUE,
    WORLD_COLOUR_YELLOW,
    WORLD_COLOUR_PURPLE,
    WORLD_COLOUR_ORANGE,
    WORLD_COLOUR_WHITE,
    WORLD_COLOUR_BLACK,
    WORLD_COLOUR_PINK,
    WORLD_COLOUR_CYAN,
    WORLD_COLOUR_COUNT
};
enum world_size { WORLD_SIZE_SMALL, WORLD_SIZE_MEDIUM, WORLD_SIZE_LARGE, WORLD_SIZE_COUNT };
enum world_material {
    WORLD_MATERIAL_MATTE,
    WORLD_MATERIAL_GLOSSY,
    WORLD_MATERIAL_GLOWING,
    WORLD_MATERIAL_COUNT
};
/* Actions with a direction (roll, slide, walk, run, fly, sail, behind, leave, collide, throw) move
 * towards `dir`: -1 left, +1 right, as seen at the start. BEHIND: goes behind the wall and comes
 * out on the other side. LEAVE: leaves the picture and comes back. COLLIDE: runs into entity 1,
 * which is pushed away. EATEN: bite by bite. PAINTED: stroke by stroke. THROW: flies in an arc,
 * lands, hops and rolls to rest. BATTLE: exchanges cannon balls with entity 1. */
enum world_action {
    WORLD_ACTION_STAND,
    WORLD_ACTION_BOUNCE,
    WORLD_ACTION_ROLL,
    WORLD_ACTION_SLIDE,
    WORLD_ACTION_WALK,
    WORLD_ACTION_RUN,
    WORLD_ACTION_JUMP,
    WORLD_ACTION_SPIN,
    WORLD_ACTION_FLY,
    WORLD_ACTION_SAIL,
    WORLD_ACTION_FALL,
    WORLD_ACTION_COLLIDE,
    WORLD_ACTION_BEHIND,
    WORLD_ACTION_LEAVE,
    WORLD_ACTION_EATEN,
    WORLD_ACTION_PAINTED,
    WORLD_ACTION_THROW,
    WORLD_ACTION_BATTLE,
    WORLD_ACTION_COUNT
};
/* `dir` of the camera: PAN, TRUCK, ORBIT -1 left +1 right; TILT, CRANE -1 down +1 up;
 * DOLLY, ZOOM -1 out +1 in (dolly moves the camera, zoom changes its lens); FPV flies forward
 * over the ground; FOLLOW keeps the moving hero in the middle; PLAYER are the eyes of a player in
 * the block world, who does what scene.move says; STATIC, FPV, FOLLOW, PLAYER have dir 0. */
enum world_camera {
    WORLD_CAMERA_STATIC,
    WORLD_CAMERA_PAN,
    WORLD_CAMERA_TILT,
    WORLD_CAMERA_DOLLY,
    WORLD_CAMERA_TRUCK,
    WORLD_CAMERA_ORBIT,
    WORLD_CAMERA_CRANE,
    WORLD_CAMERA_ZOOM,
    WORLD_CAMERA_FPV,
    WORLD_CAMERA_FOLLOW,
    WORLD_CAMERA_PLAYER,
    WORLD_CAMERA_COUNT
};
enum world_time { WORLD_TIME_DAY, WORLD_TIME_SUNSET, WORLD_TIME_NIGHT, WORLD_TIME_COUNT };
enum world_weather {
    WORLD_WEATHER_CLEAR,
    WORLD_WEATHER_RAIN,
    WORLD_WEATHER_SNOW,
    WORLD_WEATHER_FOG,
    WORLD_WEATHER_COUNT
};
enum world_style {
    WORLD_STYLE_PLAIN,
    WORLD_STYLE_PIXEL_ART,
    WORLD_STYLE_INK_WASH,
    WORLD_STYLE_BLACK_WHITE,
    WORLD_STYLE_CLAY,
    WORLD_STYLE_COUNT
};
/* Where entity i stands with respect to entity rel_to, as seen at the start. */
enum world_relation {
    WORLD_RELATION_NONE,
    WORLD_RELATION_LEFT_OF,
    WORLD_RELATION_RIGHT_OF,
    WORLD_RELATION_BEHIND,
    WORLD_RELATION_IN_FRONT_OF,
    WORLD_RELATION_COUNT
};
/* State changes that stay: after time t the bite is gone, the stroke is there, the block is moved.
 */
enum world_event_kind {
    WORLD_EVENT_BITE,
    WORLD_EVENT_STROKE,
    WORLD_EVENT_DIG,
    WORLD_EVENT_PLACE,
    WORLD_EVENT_COUNT
};
/* What a player does, one after another (camera PLAYER). */
enum world_move {
    WORLD_MOVE_FORWARD,
    WORLD_MOVE_BACK,
    WORLD_MOVE_LEFT, /* turns */
    WORLD_MOVE_RIGHT,
    WORLD_MOVE_DIG,
    WORLD_MOVE_PLACE,
    WORLD_MOVE_JUMP,
    WORLD_MOVE_COUNT
};
/* Which sampler made the scene: free combination or one of the hero scenes. Words never depend on
 * it. */
enum world_hero {
    WORLD_HERO_FREE,
    WORLD_HERO_RED_COAT,
    WORLD_HERO_PIRATE_CUP,
    WORLD_HERO_CORGI_SNOW,
    WORLD_HERO_COAST_FLIGHT,
    WORLD_HERO_BLOCK_PLAYER,
    WORLD_HERO_PAINTER,
    WORLD_HERO_BURGER,
    WORLD_HERO_CAR_FOLLOW,
    WORLD_HERO_BALL_WALL,
    WORLD_HERO_SNOW_STREET,
    WORLD_HERO_COUNT
};
enum world_split { WORLD_SPLIT_TRAIN, WORLD_SPLIT_HELD_OUT };

struct world_entity {
    uint8_t cls, colour, size, material, action; /* enum values of the lists above */
    int8_t dir;                                  /* -1 left, +1 right, 0 when the action has none */
    uint8_t rel;                                 /* enum world_relation to entity rel_to */
    int8_t rel_to;                               /* -1 when rel is NONE */
    float scale;                                 /* world size factor */
    float pos[3]; /* where the base stands at the middle of the clip */
    float yaw;    /* radians, 0 looks to +x */
    float speed;  /* units per second along dir */
    float phase;  /* 0..1, where a periodic action starts */
    float p[4];   /* action's own numbers: see path.c */
};
struct world_event {
    uint8_t kind; /* enum world_event_kind */
    int8_t ent;
    float t; /* seconds */
    /* bite: centre x,y,z and radius in the entity's frame; stroke: x0,y0,x1,y1 in 0..1; dig and
     * place: the block's cell x,y,z, its middle is half a unit further on each axis */
    float p[4];
};
struct world_step {
    uint8_t kind; /* enum world_move */
    float t0, t1; /* seconds; a block of DIG and PLACE changes in the middle */
};
struct world_camera_path {
    uint8_t kind; /* enum world_camera */
    int8_t dir;
    float eye[3], at[3]; /* at the middle of the clip */
    float tan_half;      /* tangent of half the vertical field of view */
    float rate; /* travel per second: radians (pan, tilt, orbit), units, or a factor (zoom) */
};
struct scene {
    uint64_t seed;
    uint8_t env, time, weather, style, hero;
    uint8_t has_wall; /* 1: the wall of action BEHIND stands at wall_pos */
    uint8_t is_loop;  /* 1: frame `frames` equals frame 0 */
    uint8_t n_ent;    /* entity 0 is the main one; 0 entities: a view of the place only */
    uint8_t n_event;
    uint8_t n_move;
    uint8_t n_view; /* 1; 2 or 4: the picture is split, every part is a camera of the same scene */
    uint8_t wall_colour; /* 0 brown bricks, the only one so far */
    uint16_t W, H, frames;
    float fps;
    float sun[3]; /* unit vector towards the light */
    float drift;  /* shifts every texture and backdrop */
    float wall_pos[3], wall_half[3];
    struct world_camera_path cam;
    struct world_entity ent[WORLD_ENTITY_MAX];
    struct world_event event[WORLD_EVENT_MAX];
    struct world_step move[WORLD_MOVE_MAX];
};

/* Names. One row per enum; world_name gives "" outside the list, world_find -1 when unknown.
 * Names are stable identifiers ("neon_street"); the words of captions belong to caption.h. */
enum world_slot {
    WORLD_SLOT_ENV,
    WORLD_SLOT_CLASS,
    WORLD_SLOT_COLOUR,
    WORLD_SLOT_SIZE,
    WORLD_SLOT_MATERIAL,
    WORLD_SLOT_ACTION,
    WORLD_SLOT_CAMERA,
    WORLD_SLOT_TIME,
    WORLD_SLOT_WEATHER,
    WORLD_SLOT_STYLE,
    WORLD_SLOT_RELATION,
    WORLD_SLOT_EVENT,
    WORLD_SLOT_HERO,
    WORLD_SLOT_MOVE,
    WORLD_SLOT_COUNT
};
const char *world_name(enum world_slot slot, int value);
int world_n_names(enum world_slot slot);
int world_find(enum world_slot slot, const char *name);

/* 1 when the clip shows more time than it takes: few frames a second, and more than one. */
int world_is_lapse(const struct scene *s);

/* The colour a class always has and that captions need not say (corgi, burger, red-coat woman),
 * or -1 when any colour may be drawn. */
int world_own_colour(enum world_class cls);

#endif
