#include "eval/pair.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "eval/mask.h"

enum { FRAMES_MAX = 64 };
#define LEAST_SHARE (1.0 / 900) /* of the picture: smaller patches are not the thing */
#define SIDE_MIN    .008        /* widths of the picture between two things side by side */
#define DEPTH_MIN   .004        /* heights of the picture between their feet */

static int on_ground(const struct world_entity *e) {
    return e->action != WORLD_ACTION_FLY && e->action != WORLD_ACTION_FALL &&
           e->action != WORLD_ACTION_BOUNCE && e->action != WORLD_ACTION_JUMP &&
           e->action != WORLD_ACTION_THROW;
}

/* Mirrors double a thing downwards, water and the rim of a cup hide its lower end. */
static int shows_feet(const struct scene *s) {
    static const unsigned wet =
        1u << WORLD_ENV_NEON_STREET | 1u << WORLD_ENV_COFFEE_CUP | 1u << WORLD_ENV_SEA;
    const struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    return !(wet & 1u << s->env) && a->cls != b->cls && on_ground(a) && on_ground(b);
}

int pair_fits(const struct scene *s) {
    if (s->n_ent < 2 || s->n_view > 1 || s->is_loop) return 0;
    if (s->style != WORLD_STYLE_PLAIN && s->style != WORLD_STYLE_CLAY) return 0;
    const struct world_entity *a = &s->ent[0], *b = &s->ent[1];
    if (b->rel_to != 0 || b->rel == WORLD_RELATION_NONE || a->colour == b->colour) return 0;
    if (a->action == WORLD_ACTION_COLLIDE || a->action == WORLD_ACTION_BATTLE) return 0;
    return b->rel <= WORLD_RELATION_RIGHT_OF || shows_feet(s);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median place of entity `ent` in the frames of `clip`; 0 when it is mostly not seen. */
static enum err find(double at[2], int *is_seen, const struct reel *clip, const struct scene *s,
                     int ent, struct fail *f) {
    enum err rc = ERR_OK;
    double x[FRAMES_MAX], y[FRAMES_MAX];
    int n = 0;
    struct mask_palette *p = mem_take(1, sizeof *p);
    struct mask_spot *spot = mem_take((size_t)clip->n_frames, sizeof *spot);
    if (!p || !spot) TRY(FAIL(f, ERR_NOMEM, "no memory for the place of a thing"));
    TRY(mask_learn(p, s, ent, f));
    TRY(mask_trace(spot, p, clip, (int)(LEAST_SHARE * clip->width * clip->height), f));
    for (int i = 0; i < clip->n_frames && n < FRAMES_MAX; i++) {
        if (spot[i].area <= 0) continue;
        x[n] = spot[i].x / clip->width;
        y[n++] = (double)spot[i].bottom / clip->height;
    }
    *is_seen = 2 * n >= clip->n_frames;
    if (!*is_seen) goto out;
    qsort(x, (size_t)n, sizeof *x, compare);
    qsort(y, (size_t)n, sizeof *y, compare);
    at[0] = x[n / 2];
    at[1] = y[n / 2];
out:
    mem_free(p);
    mem_free(spot);
    return rc;
}

enum err pair_look(int *is_right, const struct reel *clip, const struct scene *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct reel start = *clip; /* the first quarter */
    double a[2] = {0}, b[2] = {0};
    int has_a, has_b;
    *is_right = 0;
    start.n_frames = (clip->n_frames + 3) / 4;
    TRY(find(a, &has_a, &start, s, 0, f));
    TRY(find(b, &has_b, &start, s, 1, f));
    if (!has_a || !has_b) goto out;
    double side = b[0] - a[0], depth = b[1] - a[1];
    switch (s->ent[1].rel) {
    case WORLD_RELATION_LEFT_OF: *is_right = side < -SIDE_MIN; break;
    case WORLD_RELATION_RIGHT_OF: *is_right = side > SIDE_MIN; break;
    case WORLD_RELATION_BEHIND: *is_right = depth < -DEPTH_MIN; break;
    case WORLD_RELATION_IN_FRONT_OF: *is_right = depth > DEPTH_MIN; break;
    default: break;
    }
out:
    return rc;
}
