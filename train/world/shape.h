/* shape.h - what the object classes look like: a table of solids per class, posed by joints.
 *
 * Every class always gives the same number of solids in the same order, whatever the time, so a
 * solid's index names the same piece in every frame (exact flow rests on that). Knows nothing of
 * environments, cameras or paths: it gets a pose. Pure; any thread. */
#ifndef TRAIN_WORLD_SHAPE_H
#define TRAIN_WORLD_SHAPE_H

#include "train/world/geometry.h"
#include "train/world/world.h"

enum { SHAPE_PIECE_MAX = 32 };
/* How a piece is coloured; the first rows depend on the entity. */
enum shape_role {
    SHAPE_ROLE_MAIN,
    SHAPE_ROLE_TRIM,
    SHAPE_ROLE_BALL,
    SHAPE_ROLE_CUBE,
    SHAPE_ROLE_STRIPE,
    SHAPE_ROLE_CANVAS,
    SHAPE_ROLE_LAMP,
    SHAPE_ROLE_WHITE,
    SHAPE_ROLE_DARK,
    SHAPE_ROLE_WOOD,
    SHAPE_ROLE_PLANK,
    SHAPE_ROLE_SKIN,
    SHAPE_ROLE_HAIR,
    SHAPE_ROLE_TROUSERS,
    SHAPE_ROLE_GLASS,
    SHAPE_ROLE_SILVER,
    SHAPE_ROLE_GREEN,
    SHAPE_ROLE_BREAD,
    SHAPE_ROLE_PATTY,
    SHAPE_ROLE_CHEESE,
    SHAPE_ROLE_TOMATO,
    SHAPE_ROLE_ROOF,
    SHAPE_ROLE_WINDOW,
    SHAPE_ROLE_HEADLIGHT,
    SHAPE_ROLE_BEAK,
    SHAPE_ROLE_COUNT
};
/* Where an entity is and how its joints stand. */
struct shape_pose {
    struct vec pos; /* of the base */
    float yaw;      /* around y; 0 looks to +x, pi to -x */
    float roll;     /* around the entity's own z, through its middle: a rolling ball */
    float lean;     /* the same through its base: a rocking ship */
    float swing;    /* legs and arms, radians at this moment */
    float flap;     /* wings, radians */
    float scale;
    float brush[3]; /* tip of the brush on the canvas, 0..1, and 1 when it is there */
    uint8_t n_bite; /* how many of bite[] are taken */
    struct ball bite[GEOMETRY_BITE_MAX]; /* in the entity's frame, unscaled */
};
struct shape_class {
    float height, half_x, half_z; /* of the unscaled object around its base point */
    float draught;                /* how deep it sits in water */
};

const struct shape_class *shape_of(enum world_class cls);
/* Writes the solids of an entity; `part` of each is its row for shape_role_of. Returns the count.
 */
int shape_build(struct solid out[SHAPE_PIECE_MAX], enum world_class cls,
                const struct shape_pose *pose);
enum shape_role shape_role_of(int part);
/* Fixed colour of a role, 0..1; the entity's own roles are coloured by render.c. */
struct vec shape_role_colour(enum shape_role role);
/* How much light the role gives by itself, 0 for most. */
float shape_role_glow(enum shape_role role);

#endif
