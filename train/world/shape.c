#include "train/world/shape.h"

#include "common/base/assert.h"

enum joint {
    FIXED,
    LEG_A, /* turns around z at its upper end by +swing */
    LEG_B, /* by -swing */
    ARM_A,
    ARM_B,
    WING_L, /* turns around x at its inner end */
    WING_R,
    TILT,    /* fixed turn around z by `turn` */
    TWIST,   /* fixed turn around y by `turn` */
    LYING,   /* the y axis of the solid points to z: wheels */
    FORWARD, /* the y axis of the solid points to x: beaks */
    BRUSH,   /* stands where the pose says the brush is */
};

static const struct shape_class classes[WORLD_CLASS_COUNT] = {
    [WORLD_CLASS_BALL] = {1.40f, 0.70f, 0.70f, 0.35f},
    [WORLD_CLASS_CUBE] = {1.20f, 0.75f, 0.75f, 0.40f},
    [WORLD_CLASS_CONE] = {1.70f, 0.72f, 0.72f, 0.30f},
    [WORLD_CLASS_CYLINDER] = {1.50f, 0.52f, 0.52f, 0.30f},
    [WORLD_CLASS_CAR] = {1.25f, 1.25f, 0.55f, 0.30f},
    [WORLD_CLASS_PIRATE_SHIP] = {2.30f, 1.35f, 0.45f, 0.12f},
    [WORLD_CLASS_SAILBOAT] = {2.05f, 1.05f, 0.36f, 0.08f},
    [WORLD_CLASS_TREE] = {2.10f, 0.85f, 0.85f, 0},
    [WORLD_CLASS_HOUSE] = {1.90f, 0.95f, 0.80f, 0},
    [WORLD_CLASS_PERSON] = {1.80f, 0.40f, 0.45f, 0},
    [WORLD_CLASS_RED_COAT_WOMAN] = {1.80f, 0.42f, 0.45f, 0},
    [WORLD_CLASS_CORGI] = {1.40f, 0.95f, 0.36f, 0},
    [WORLD_CLASS_BIRD] = {0.90f, 0.85f, 1.10f, 0.10f},
    [WORLD_CLASS_BURGER] = {1.15f, 0.90f, 0.90f, 0.10f},
    [WORLD_CLASS_CANVAS] = {2.00f, 0.95f, 0.45f, 0},
    [WORLD_CLASS_LANTERN] = {1.50f, 0.55f, 0.55f, 0.20f},
};

#define S       GEOMETRY_SPHERE
#define B       GEOMETRY_BOX
#define C       GEOMETRY_CONE
#define P       GEOMETRY_PRISM
#define W       GEOMETRY_WEDGE
#define K       GEOMETRY_CAPSULE
#define R(name) SHAPE_ROLE_##name
/* One solid: class, kind, role, joint, centre, half sizes, radius at the top, y range kept, turn.
 */
static const struct piece {
    uint8_t cls, kind, role, joint;
    float c[3], h[3], top, lo, hi, turn;
} pieces[] = {
    {WORLD_CLASS_BALL, S, R(BALL), FIXED, {0, .7f, 0}, {.7f, .7f, .7f}, 0, -1, 1, 0},

    {WORLD_CLASS_CUBE, B, R(CUBE), FIXED, {0, .6f, 0}, {.6f, .6f, .6f}, 0, -1, 1, 0},

    {WORLD_CLASS_CONE, C, R(STRIPE), FIXED, {0, .88f, 0}, {.6f, .82f, .6f}, .08f, -1, 1, 0},
    {WORLD_CLASS_CONE, B, R(MAIN), FIXED, {0, .05f, 0}, {.68f, .06f, .68f}, 0, -1, 1, 0},

    {WORLD_CLASS_CYLINDER, C, R(STRIPE), FIXED, {0, .75f, 0}, {.5f, .75f, .5f}, 1, -1, 1, 0},

    {WORLD_CLASS_CAR, B, R(MAIN), FIXED, {0, .5f, 0}, {1.2f, .25f, .5f}, 0, -1, 1, 0},
    {WORLD_CLASS_CAR, C, R(GLASS), FIXED, {-.1f, .95f, 0}, {.8f, .24f, .5f}, .68f, -1, 1, 0},
    {WORLD_CLASS_CAR, S, R(MAIN), FIXED, {-.1f, 1.14f, 0}, {.6f, .1f, .4f}, 0, -1, 1, 0},
    {WORLD_CLASS_CAR, C, R(DARK), LYING, {.72f, .27f, -.42f}, {.28f, .12f, .28f}, 1, -1, 1, 0},
    {WORLD_CLASS_CAR, C, R(DARK), LYING, {-.72f, .27f, -.42f}, {.28f, .12f, .28f}, 1, -1, 1, 0},
    {WORLD_CLASS_CAR, C, R(DARK), LYING, {.72f, .27f, .42f}, {.28f, .12f, .28f}, 1, -1, 1, 0},
    {WORLD_CLASS_CAR, C, R(DARK), LYING, {-.72f, .27f, .42f}, {.28f, .12f, .28f}, 1, -1, 1, 0},
    {WORLD_CLASS_CAR, S, R(SILVER), FIXED, {.72f, .27f, -.53f}, {.13f, .13f, .05f}, 0, -1, 1, 0},
    {WORLD_CLASS_CAR, S, R(SILVER), FIXED, {-.72f, .27f, -.53f}, {.13f, .13f, .05f}, 0, -1, 1, 0},
    {WORLD_CLASS_CAR, S, R(SILVER), FIXED, {.72f, .27f, .53f}, {.13f, .13f, .05f}, 0, -1, 1, 0},
    {WORLD_CLASS_CAR, S, R(SILVER), FIXED, {-.72f, .27f, .53f}, {.13f, .13f, .05f}, 0, -1, 1, 0},
    {WORLD_CLASS_CAR,
     S,
     R(HEADLIGHT),
     FIXED,
     {1.18f, .55f, -.32f},
     {.08f, .11f, .14f},
     0,
     -1,
     1,
     0},
    {WORLD_CLASS_CAR, S, R(HEADLIGHT), FIXED, {1.18f, .55f, .32f}, {.08f, .11f, .14f}, 0, -1, 1, 0},

    {WORLD_CLASS_PIRATE_SHIP, S, R(PLANK), FIXED, {0, .66f, 0}, {1.22f, .7f, .46f}, 0, -1, 0, 0},
    {WORLD_CLASS_PIRATE_SHIP, B, R(WOOD), FIXED, {-.78f, .74f, 0}, {.34f, .2f, .33f}, 0, -1, 1, 0},
    {WORLD_CLASS_PIRATE_SHIP, S, R(CHEESE), FIXED, {0, .57f, 0}, {1.19f, .07f, .44f}, 0, -1, 1, 0},
    {WORLD_CLASS_PIRATE_SHIP,
     K,
     R(WOOD),
     TILT,
     {1.15f, .82f, 0},
     {.05f, .4f, .05f},
     0,
     -1,
     1,
     -1.1f},
    {WORLD_CLASS_PIRATE_SHIP, K, R(WOOD), FIXED, {.42f, 1.2f, 0}, {.06f, .75f, .06f}, 0, -1, 1, 0},
    {WORLD_CLASS_PIRATE_SHIP, K, R(WOOD), FIXED, {-.4f, 1.35f, 0}, {.06f, .85f, .06f}, 0, -1, 1, 0},
    {WORLD_CLASS_PIRATE_SHIP,
     B,
     R(MAIN),
     TWIST,
     {.5f, 1.18f, -.08f},
     {.42f, .3f, .03f},
     0,
     -1,
     1,
     .4f},
    {WORLD_CLASS_PIRATE_SHIP,
     B,
     R(MAIN),
     TWIST,
     {-.38f, 1.26f, -.08f},
     {.48f, .34f, .03f},
     0,
     -1,
     1,
     .4f},
    {WORLD_CLASS_PIRATE_SHIP,
     B,
     R(MAIN),
     TWIST,
     {.48f, 1.74f, -.08f},
     {.3f, .2f, .03f},
     0,
     -1,
     1,
     .4f},
    {WORLD_CLASS_PIRATE_SHIP,
     B,
     R(MAIN),
     TWIST,
     {-.38f, 1.88f, -.08f},
     {.34f, .22f, .03f},
     0,
     -1,
     1,
     .4f},
    {WORLD_CLASS_PIRATE_SHIP, B, R(DARK), FIXED, {-.57f, 2.2f, 0}, {.17f, .1f, .02f}, 0, -1, 1, 0},

    {WORLD_CLASS_SAILBOAT, S, R(WHITE), FIXED, {0, .42f, 0}, {1.0f, .48f, .36f}, 0, -1, 0, 0},
    {WORLD_CLASS_SAILBOAT, S, R(MAIN), FIXED, {0, .41f, 0}, {1.02f, .09f, .38f}, 0, -1, 1, 0},
    {WORLD_CLASS_SAILBOAT, K, R(WOOD), FIXED, {.08f, 1.2f, 0}, {.04f, .82f, .04f}, 0, -1, 1, 0},
    {WORLD_CLASS_SAILBOAT, W, R(MAIN), TWIST, {-.32f, 1.28f, 0}, {-.36f, .72f, .03f}, 0, -1, 1, 0},
    {WORLD_CLASS_SAILBOAT, W, R(TRIM), TWIST, {.5f, 1.12f, 0}, {.34f, .56f, .03f}, 0, -1, 1, 0},

    {WORLD_CLASS_TREE, C, R(WOOD), FIXED, {0, .45f, 0}, {.17f, .5f, .17f}, .7f, -1, 1, 0},
    {WORLD_CLASS_TREE, S, R(MAIN), FIXED, {-.28f, 1.18f, 0}, {.55f, .5f, .55f}, 0, -1, 1, 0},
    {WORLD_CLASS_TREE, S, R(MAIN), FIXED, {.3f, 1.15f, .05f}, {.52f, .48f, .52f}, 0, -1, 1, 0},
    {WORLD_CLASS_TREE, S, R(MAIN), FIXED, {0, 1.58f, 0}, {.58f, .54f, .58f}, 0, -1, 1, 0},

    {WORLD_CLASS_HOUSE, B, R(MAIN), FIXED, {0, .55f, 0}, {.8f, .56f, .62f}, 0, -1, 1, 0},
    {WORLD_CLASS_HOUSE, P, R(ROOF), FIXED, {0, 1.45f, 0}, {.98f, .42f, .74f}, 0, -1, 1, 0},
    {WORLD_CLASS_HOUSE, B, R(WOOD), FIXED, {0, .34f, -.62f}, {.16f, .34f, .03f}, 0, -1, 1, 0},
    {WORLD_CLASS_HOUSE, B, R(WINDOW), FIXED, {-.48f, .62f, -.62f}, {.17f, .17f, .03f}, 0, -1, 1, 0},
    {WORLD_CLASS_HOUSE, B, R(WINDOW), FIXED, {.48f, .62f, -.62f}, {.17f, .17f, .03f}, 0, -1, 1, 0},
    {WORLD_CLASS_HOUSE, B, R(WOOD), FIXED, {.5f, 1.62f, .1f}, {.11f, .26f, .11f}, 0, -1, 1, 0},

    {WORLD_CLASS_PERSON, K, R(TROUSERS), LEG_A, {0, .42f, -.13f}, {.14f, .29f, .14f}, 0, -1, 1, 0},
    {WORLD_CLASS_PERSON, K, R(TROUSERS), LEG_B, {0, .42f, .13f}, {.14f, .29f, .14f}, 0, -1, 1, 0},
    {WORLD_CLASS_PERSON, K, R(MAIN), FIXED, {0, 1.02f, 0}, {.29f, .2f, .29f}, 0, -1, 1, 0},
    {WORLD_CLASS_PERSON, K, R(MAIN), ARM_A, {0, .98f, -.33f}, {.1f, .25f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_PERSON, K, R(MAIN), ARM_B, {0, .98f, .33f}, {.1f, .25f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_PERSON, S, R(SKIN), FIXED, {.02f, 1.54f, 0}, {.25f, .26f, .25f}, 0, -1, 1, 0},
    {WORLD_CLASS_PERSON, S, R(HAIR), FIXED, {-.05f, 1.64f, 0}, {.26f, .2f, .27f}, 0, -1, 1, 0},

    {WORLD_CLASS_RED_COAT_WOMAN,
     K,
     R(SKIN),
     LEG_A,
     {0, .34f, -.11f},
     {.1f, .26f, .1f},
     0,
     -1,
     1,
     0},
    {WORLD_CLASS_RED_COAT_WOMAN, K, R(SKIN), LEG_B, {0, .34f, .11f}, {.1f, .26f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_RED_COAT_WOMAN, C, R(MAIN), FIXED, {0, .9f, 0}, {.42f, .44f, .4f}, .5f, -1, 1, 0},
    {WORLD_CLASS_RED_COAT_WOMAN,
     K,
     R(MAIN),
     ARM_A,
     {0, 1.0f, -.28f},
     {.1f, .26f, .1f},
     0,
     -1,
     1,
     0},
    {WORLD_CLASS_RED_COAT_WOMAN, K, R(MAIN), ARM_B, {0, 1.0f, .28f}, {.1f, .26f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_RED_COAT_WOMAN,
     S,
     R(SKIN),
     FIXED,
     {.03f, 1.52f, 0},
     {.23f, .25f, .23f},
     0,
     -1,
     1,
     0},
    {WORLD_CLASS_RED_COAT_WOMAN,
     S,
     R(HAIR),
     FIXED,
     {-.08f, 1.5f, 0},
     {.24f, .33f, .27f},
     0,
     -1,
     1,
     0},

    {WORLD_CLASS_CORGI, S, R(MAIN), FIXED, {-.1f, .58f, 0}, {.64f, .32f, .34f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, S, R(WHITE), FIXED, {.38f, .56f, 0}, {.28f, .32f, .31f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, K, R(WHITE), LEG_A, {.36f, .24f, -.19f}, {.11f, .15f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, K, R(WHITE), LEG_B, {.36f, .24f, .19f}, {.11f, .15f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, K, R(MAIN), LEG_B, {-.5f, .24f, -.19f}, {.12f, .15f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, K, R(MAIN), LEG_A, {-.5f, .24f, .19f}, {.12f, .15f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, S, R(MAIN), FIXED, {.6f, .98f, 0}, {.33f, .31f, .31f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, S, R(WHITE), FIXED, {.84f, .88f, 0}, {.21f, .15f, .17f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, S, R(DARK), FIXED, {1.03f, .92f, 0}, {.06f, .06f, .08f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, C, R(MAIN), FIXED, {.5f, 1.3f, -.18f}, {.15f, .22f, .09f}, .1f, -1, 1, 0},
    {WORLD_CLASS_CORGI, C, R(MAIN), FIXED, {.5f, 1.3f, .18f}, {.15f, .22f, .09f}, .1f, -1, 1, 0},
    {WORLD_CLASS_CORGI, S, R(DARK), FIXED, {.78f, 1.05f, -.22f}, {.06f, .06f, .06f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, S, R(DARK), FIXED, {.78f, 1.05f, .22f}, {.06f, .06f, .06f}, 0, -1, 1, 0},
    {WORLD_CLASS_CORGI, S, R(WHITE), FIXED, {-.76f, .72f, 0}, {.14f, .14f, .14f}, 0, -1, 1, 0},

    {WORLD_CLASS_BIRD, S, R(MAIN), FIXED, {0, .45f, 0}, {.6f, .29f, .28f}, 0, -1, 1, 0},
    {WORLD_CLASS_BIRD, S, R(MAIN), FIXED, {.55f, .64f, 0}, {.26f, .25f, .25f}, 0, -1, 1, 0},
    {WORLD_CLASS_BIRD, C, R(BEAK), FORWARD, {.9f, .62f, 0}, {.1f, .17f, .1f}, 0, -1, 1, 0},
    {WORLD_CLASS_BIRD, S, R(DARK), FIXED, {.67f, .7f, -.2f}, {.06f, .06f, .06f}, 0, -1, 1, 0},
    {WORLD_CLASS_BIRD, S, R(DARK), FIXED, {.67f, .7f, .2f}, {.06f, .06f, .06f}, 0, -1, 1, 0},
    {WORLD_CLASS_BIRD, B, R(TRIM), TILT, {-.68f, .52f, 0}, {.26f, .04f, .18f}, 0, -1, 1, -.25f},
    {WORLD_CLASS_BIRD, S, R(TRIM), WING_L, {-.02f, .55f, -.62f}, {.36f, .07f, .55f}, 0, -1, 1, 0},
    {WORLD_CLASS_BIRD, S, R(TRIM), WING_R, {-.02f, .55f, .62f}, {.36f, .07f, .55f}, 0, -1, 1, 0},

    {WORLD_CLASS_BURGER, C, R(BREAD), FIXED, {0, .13f, 0}, {.8f, .13f, .8f}, 1, -1, 1, 0},
    {WORLD_CLASS_BURGER, C, R(PATTY), FIXED, {0, .36f, 0}, {.85f, .11f, .85f}, 1, -1, 1, 0},
    {WORLD_CLASS_BURGER, B, R(CHEESE), TWIST, {0, .49f, 0}, {.68f, .03f, .68f}, 0, -1, 1, .5f},
    {WORLD_CLASS_BURGER, C, R(TOMATO), FIXED, {0, .56f, 0}, {.78f, .06f, .78f}, 1, -1, 1, 0},
    {WORLD_CLASS_BURGER, S, R(GREEN), FIXED, {0, .66f, 0}, {.93f, .1f, .93f}, 0, -1, 1, 0},
    {WORLD_CLASS_BURGER, S, R(BREAD), FIXED, {0, .68f, 0}, {.86f, .52f, .86f}, 0, 0, 1, 0},

    {WORLD_CLASS_CANVAS,
     K,
     R(WOOD),
     TILT,
     {-.5f, .95f, .06f},
     {.07f, 1.02f, .07f},
     0,
     -1,
     1,
     -.16f},
    {WORLD_CLASS_CANVAS, K, R(WOOD), TILT, {.5f, .95f, .06f}, {.07f, 1.02f, .07f}, 0, -1, 1, .16f},
    {WORLD_CLASS_CANVAS, B, R(WOOD), FIXED, {0, .55f, -.04f}, {.8f, .06f, .12f}, 0, -1, 1, 0},
    {WORLD_CLASS_CANVAS, B, R(CANVAS), FIXED, {0, 1.22f, -.06f}, {.92f, .62f, .04f}, 0, -1, 1, 0},
    {WORLD_CLASS_CANVAS, K, R(WOOD), BRUSH, {0, 0, 0}, {.05f, .3f, .05f}, 0, -1, 1, 0},
    {WORLD_CLASS_CANVAS, S, R(MAIN), BRUSH, {0, 0, 0}, {.09f, .09f, .09f}, 0, -1, 1, 0},

    {WORLD_CLASS_LANTERN, S, R(LAMP), FIXED, {0, .72f, 0}, {.52f, .56f, .52f}, 0, -1, 1, 0},
    {WORLD_CLASS_LANTERN, C, R(DARK), FIXED, {0, .12f, 0}, {.3f, .12f, .3f}, 1, -1, 1, 0},
    {WORLD_CLASS_LANTERN, C, R(DARK), FIXED, {0, 1.3f, 0}, {.3f, .1f, .3f}, .7f, -1, 1, 0},
    {WORLD_CLASS_LANTERN, S, R(DARK), FIXED, {0, 1.45f, 0}, {.09f, .09f, .09f}, 0, -1, 1, 0},
};
#undef S
#undef B
#undef C
#undef P
#undef W
#undef K
#undef R
enum { N_PIECE = sizeof pieces / sizeof pieces[0] };

static const struct {
    struct vec colour;
    float glow;
} roles[SHAPE_ROLE_COUNT] = {
    [SHAPE_ROLE_WHITE] = {{.95f, .94f, .91f}, 0},
    [SHAPE_ROLE_DARK] = {{.13f, .12f, .14f}, 0},
    [SHAPE_ROLE_WOOD] = {{.44f, .27f, .14f}, 0},
    [SHAPE_ROLE_PLANK] = {{.66f, .40f, .20f}, 0},
    [SHAPE_ROLE_SKIN] = {{.95f, .74f, .58f}, 0},
    [SHAPE_ROLE_HAIR] = {{.20f, .12f, .08f}, 0},
    [SHAPE_ROLE_TROUSERS] = {{.17f, .19f, .34f}, 0},
    [SHAPE_ROLE_GLASS] = {{.58f, .76f, .86f}, 0},
    [SHAPE_ROLE_SILVER] = {{.78f, .79f, .82f}, 0},
    [SHAPE_ROLE_GREEN] = {{.42f, .72f, .22f}, 0},
    [SHAPE_ROLE_BREAD] = {{.90f, .62f, .28f}, 0},
    [SHAPE_ROLE_PATTY] = {{.36f, .19f, .10f}, 0},
    [SHAPE_ROLE_CHEESE] = {{.98f, .80f, .25f}, 0},
    [SHAPE_ROLE_TOMATO] = {{.87f, .20f, .14f}, 0},
    [SHAPE_ROLE_ROOF] = {{.48f, .25f, .20f}, 0},
    [SHAPE_ROLE_WINDOW] = {{.99f, .86f, .50f}, .45f},
    [SHAPE_ROLE_HEADLIGHT] = {{1, .95f, .70f}, .7f},
    [SHAPE_ROLE_BEAK] = {{.98f, .62f, .12f}, 0},
};

const struct shape_class *shape_of(enum world_class cls) {
    ASSERT((unsigned)cls < WORLD_CLASS_COUNT);
    return &classes[cls];
}

enum shape_role shape_role_of(int part) {
    ASSERT(part >= 0 && part < N_PIECE);
    return (enum shape_role)pieces[part].role;
}

struct vec shape_role_colour(enum shape_role role) {
    return roles[role].colour;
}

float shape_role_glow(enum shape_role role) {
    return roles[role].glow;
}

static void turn_z(struct vec *v, float s, float c) {
    *v = num_vec(v->x * c - v->y * s, v->x * s + v->y * c, v->z);
}

static void turn_all_z(struct solid *k, struct vec pivot, float a) {
    float s = num_sin(a), c = num_cos(a);
    struct vec q = num_sub(k->c, pivot);
    turn_z(&q, s, c);
    k->c = num_add(q, pivot);
    turn_z(&k->ax, s, c);
    turn_z(&k->ay, s, c);
    turn_z(&k->az, s, c);
}

static void turn_all_x(struct solid *k, struct vec pivot, float a) {
    float s = num_sin(a), c = num_cos(a);
    struct vec q = num_sub(k->c, pivot);
    k->c = num_add(pivot, num_vec(q.x, q.y * c - q.z * s, q.y * s + q.z * c));
    k->ay = num_vec(0, c, s);
    k->az = num_vec(0, -s, c);
}

/* The brush stands on the canvas where the stroke ends now, or is folded away to nothing. */
static void stand_brush(struct solid *k, const struct shape_pose *pose) {
    float x = -.84f + 1.68f * pose->brush[0], y = .60f + 1.24f * pose->brush[1];
    int is_handle = k->kind == GEOMETRY_CAPSULE;
    if (pose->brush[2] <= 0) {
        k->h = num_vec(0, 0, 0);
        return;
    }
    k->c = num_vec(x, y, -.14f);
    if (!is_handle) return;
    k->c = num_vec(x + .2f, y + .24f, -.2f);
    k->ax = num_vec(.7071068f, -.7071068f, 0);
    k->ay = num_vec(.7071068f, .7071068f, 0);
}

static void bend(struct solid *k, const struct piece *row, const struct shape_pose *pose) {
    struct vec upper = num_vec(k->c.x, k->c.y + k->h.y, k->c.z);
    float s = num_sin(row->turn), c = num_cos(row->turn);
    switch ((enum joint)row->joint) {
    case FIXED: break;
    case LEG_A: turn_all_z(k, upper, pose->swing); break;
    case LEG_B: turn_all_z(k, upper, -pose->swing); break;
    case ARM_A: turn_all_z(k, upper, -.8f * pose->swing); break;
    case ARM_B: turn_all_z(k, upper, .8f * pose->swing); break;
    case WING_L: turn_all_x(k, num_vec(k->c.x, k->c.y, -.1f), pose->flap); break;
    case WING_R: turn_all_x(k, num_vec(k->c.x, k->c.y, .1f), -pose->flap); break;
    case TILT: turn_all_z(k, k->c, row->turn); break;
    case TWIST:
        k->ax = num_vec(c, 0, s);
        k->az = num_vec(-s, 0, c);
        break;
    case LYING:
        k->ay = num_vec(0, 0, 1);
        k->az = num_vec(0, -1, 0);
        break;
    case FORWARD:
        k->ay = num_vec(1, 0, 0);
        k->ax = num_vec(0, -1, 0);
        break;
    case BRUSH: stand_brush(k, pose); break;
    }
}

static struct vec by_yaw(struct vec v, float s, float c) {
    return num_vec(v.x * c - v.z * s, v.y, v.x * s + v.z * c);
}

static void into_world(struct solid *k, const struct shape_pose *pose, float ys, float yc) {
    k->c = num_add(pose->pos, num_mul(by_yaw(k->c, ys, yc), pose->scale));
    k->ax = by_yaw(k->ax, ys, yc);
    k->ay = by_yaw(k->ay, ys, yc);
    k->az = by_yaw(k->az, ys, yc);
    k->h = num_mul(k->h, pose->scale);
    geometry_ready(k);
    k->n_bite = pose->n_bite;
    for (int i = 0; i < pose->n_bite; i++) {
        k->bite[i].c = num_add(pose->pos, num_mul(by_yaw(pose->bite[i].c, ys, yc), pose->scale));
        k->bite[i].r = pose->bite[i].r * pose->scale;
    }
}

int shape_build(struct solid out[SHAPE_PIECE_MAX], enum world_class cls,
                const struct shape_pose *pose) {
    float ys = num_sin(pose->yaw), yc = num_cos(pose->yaw);
    struct vec middle = num_vec(0, classes[cls].height * 0.5f, 0), base = num_vec(0, 0, 0);
    int n = 0;
    ASSERT((unsigned)cls < WORLD_CLASS_COUNT);
    for (int i = 0; i < N_PIECE; i++) {
        const struct piece *row = &pieces[i];
        struct solid *k = &out[n];
        if (row->cls != cls) continue;
        ASSERT(n < SHAPE_PIECE_MAX);
        *k = (struct solid){.kind = row->kind,
                            .part = (uint8_t)i,
                            .top = row->top,
                            .cut_lo = row->lo,
                            .cut_hi = row->hi};
        k->c = num_of(row->c);
        k->h = num_of(row->h);
        k->ax = num_vec(1, 0, 0);
        k->ay = num_vec(0, 1, 0);
        k->az = num_vec(0, 0, 1);
        bend(k, row, pose);
        if (pose->roll < 0 || pose->roll > 0) turn_all_z(k, middle, -pose->roll);
        if (pose->lean < 0 || pose->lean > 0) turn_all_z(k, base, pose->lean);
        into_world(k, pose, ys, yc);
        n++;
    }
    return n;
}
