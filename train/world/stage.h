/* stage.h - one moment of a scene made ready for rays: camera, light, all solids, their colours.
 *
 * Made once per frame on the caller's stack (about 40 KiB); read-only while rays run. Pure. */
#ifndef TRAIN_WORLD_STAGE_H
#define TRAIN_WORLD_STAGE_H

#include "train/world/paint.h"
#include "train/world/path.h"

enum { STAGE_SOLID_MAX = 128, STAGE_GROUP_MAX = WORLD_ENTITY_MAX + 1, STAGE_LAMP_MAX = 4 };
/* What a ray met; solids are their index. */
enum { STAGE_KEY_SKY = -1, STAGE_KEY_GROUND = -2, STAGE_KEY_BACKDROP = -3 };

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
};
struct sight {
    int key;
    float far; /* along the unit ray */
    struct vec colour;
};

void stage_make(struct stage *st, const struct scene *s, float t);
/* What the ray sees. `on` limits the search to these solids (a row of the picture), or NULL: all.
 */
struct stage_list {
    int n;
    uint8_t solid[STAGE_SOLID_MAX];
};
void stage_look(const struct stage *st, struct vec o, struct vec d, const struct stage_list *on,
                struct sight *out);
/* The id of world_render for a key. */
int stage_id(const struct stage *st, int key);

#endif
