/* stage.h - one moment of a scene made ready for rays: camera, light, all solids, their colours.
 *
 * Made once per frame on the caller's stack (about 90 KiB); read-only while rays run. Pure. */
#ifndef TRAIN_WORLD_STAGE_H
#define TRAIN_WORLD_STAGE_H

#include "train/world/block.h"
#include "train/world/paint.h"
#include "train/world/path.h"

enum { STAGE_SOLID_MAX = 128, STAGE_GROUP_MAX = WORLD_ENTITY_MAX + 2, STAGE_LAMP_MAX = 4 };
/* What a ray met; solids are their index. */
enum {
    STAGE_KEY_SKY = -1,
    STAGE_KEY_GROUND = -2,
    STAGE_KEY_BACKDROP = -3,
    STAGE_KEY_BLOCK = -4, /* a block that events move */
    STAGE_KEY_HUD = -5    /* put there by render.c */
};

struct stage {
    const struct scene *scene;
    float t;
    struct path_view view;
    struct paint paint;
    int n_solid, n_group, n_lamp;
    struct solid solid[STAGE_SOLID_MAX];
    struct ball hull[STAGE_SOLID_MAX]; /* bounds of the solids, close together for the cache */
    struct {
        int first, end, id; /* solids first..end-1 show up as this id */
        struct vec c;
        float bound;
    } group[STAGE_GROUP_MAX];
    struct {
        struct vec at, colour;
        float power;
    } lamp[STAGE_LAMP_MAX];
    struct block_grid block; /* of the block world only */
};
struct sight {
    int key;
    float far; /* along the unit ray */
    struct vec colour;
};

/* A ray on its way from what it met to a colour. */
struct stage_meeting {
    int key;
    float far;
    struct vec n;           /* of a solid */
    struct vec back;        /* colour of sky and backdrop */
    struct block_hit block; /* of terrain */
};

void stage_make(struct stage *st, const struct scene *s, float t);
/* What the ray meets. `on` limits the search to these solids (a row of the picture), or NULL: all.
 */
struct stage_list {
    int n;
    uint8_t solid[STAGE_SOLID_MAX];
};
void stage_find(const struct stage *st, struct vec o, struct vec d, const struct stage_list *on,
                struct stage_meeting *out);
/* The colour of what it met: the expensive half of a ray. */
struct vec stage_shine(const struct stage *st, struct vec o, struct vec d,
                       const struct stage_meeting *m);
/* The id of world_render for a key. */
int stage_id(const struct stage *st, int key);

#endif
