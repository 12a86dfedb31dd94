#include "eval/mask.h"

#include "common/base/mem.h"
#include "train/world/world.h"

enum { LESSONS = 6 };
#define LEAST_SHARE (1.0 / 250) /* of the picture: smaller patches are not the thing */
#define IS_THING    .6f         /* share of a colour from which a pixel counts */
#define ALSO_LARGE  .25 /* of the largest patch: belongs to it, for instance behind a mast */

static int level_of(uint8_t c) {
    return c >> 4;
}

static int colour_of(const uint8_t *rgb) {
    return (level_of(rgb[0]) * MASK_LEVELS + level_of(rgb[1])) * MASK_LEVELS + level_of(rgb[2]);
}

/* Colours beside a seen one count a little: shades vary. */
static void count(float *seen, const uint8_t *rgb) {
    int at[3] = {level_of(rgb[0]), level_of(rgb[1]), level_of(rgb[2])};
    static const int weight[3] = {MASK_LEVELS * MASK_LEVELS, MASK_LEVELS, 1};
    int c = colour_of(rgb);
    seen[c] += 1;
    for (int k = 0; k < 3; k++) {
        if (at[k] > 0) seen[c - weight[k]] += .25f;
        if (at[k] + 1 < MASK_LEVELS) seen[c + weight[k]] += .25f;
    }
}

static void learn_frame(float *thing, float *place, double sum[2], const uint8_t *rgb,
                        const uint8_t *ids, int n, int id) {
    for (int i = 0; i < n; i++) {
        int is_thing = ids[i] == id;
        count(is_thing ? thing : place, rgb + 3 * i);
        sum[is_thing]++;
    }
}

enum err mask_learn(struct mask_palette *out, const struct scene *s, int ent, struct fail *f) {
    enum err rc = ERR_OK;
    int n = s->W * s->H;
    double sum[2] = {1, 1};
    uint8_t *rgb = mem_take((size_t)n, 3), *ids = mem_take((size_t)n, 1);
    float *seen = mem_take(2 * MASK_COLOURS, sizeof *seen), *thing = seen,
          *place = seen + MASK_COLOURS;
    *out = (struct mask_palette){0};
    if (!rgb || !ids || !seen) TRY(FAIL(f, ERR_NOMEM, "no memory for the colours of a thing"));
    for (int i = 0; i < LESSONS; i++) {
        world_render(s, i * (s->frames - 1) / (LESSONS - 1), rgb, ids, NULL, NULL);
        learn_frame(thing, place, sum, rgb, ids, n, WORLD_ID_ENTITY + ent);
    }
    for (int i = 0; i < MASK_COLOURS; i++) {
        double a = thing[i] / sum[1], b = place[i] / sum[0];
        out->share[i] = a + b > 0 ? (float)(a / (a + b)) : 0;
    }
out:
    mem_free(rgb);
    mem_free(ids);
    mem_free(seen);
    return rc;
}

struct patch {
    int n, x0, y0, x1, y1;
    double x, y;
};

/* Takes the patch around pixel `at` out of the picture: its pixels become `label`. */
static struct patch fill(int *label, int *stack, int W, int H, int at, int mark) {
    struct patch p = {.x0 = W, .y0 = H, .x1 = -1, .y1 = -1};
    int n = 0;
    stack[n++] = at;
    label[at] = mark;
    while (n > 0) {
        int i = stack[--n], x = i % W, y = i / W;
        int beside[4] = {x > 0 ? i - 1 : -1, x + 1 < W ? i + 1 : -1, y > 0 ? i - W : -1,
                         y + 1 < H ? i + W : -1};
        p.n++;
        p.x += x + .5;
        p.y += y + .5;
        p.x0 = x < p.x0 ? x : p.x0;
        p.x1 = x > p.x1 ? x : p.x1;
        p.y0 = y < p.y0 ? y : p.y0;
        p.y1 = y > p.y1 ? y : p.y1;
        for (int k = 0; k < 4; k++)
            if (beside[k] >= 0 && label[beside[k]] == 0) {
                label[beside[k]] = mark;
                stack[n++] = beside[k];
            }
    }
    return p;
}

static void add(struct mask_spot *spot, const struct patch *p) {
    int is_first = spot->area <= 0;
    spot->x = (spot->x * spot->area + p->x) / (spot->area + p->n);
    spot->y = (spot->y * spot->area + p->y) / (spot->area + p->n);
    spot->area += p->n;
    if (is_first || p->x0 < spot->left) spot->left = p->x0;
    if (is_first || p->x1 > spot->right) spot->right = p->x1;
    if (is_first || p->y0 < spot->top) spot->top = p->y0;
    if (is_first || p->y1 > spot->bottom) spot->bottom = p->y1;
}

enum { PATCHES_MAX = 64 };

static struct mask_spot find(int *label, int *stack, int W, int H, int least) {
    struct patch list[PATCHES_MAX];
    struct mask_spot spot = {0};
    int n = 0, most = 0;
    for (int i = 0; i < W * H; i++) {
        struct patch p;
        if (label[i] != 0) continue;
        p = fill(label, stack, W, H, i, 1);
        if (p.n < least || n == PATCHES_MAX) continue;
        if (p.n > most) most = p.n;
        list[n++] = p;
    }
    for (int i = 0; i < n; i++)
        if (list[i].n >= ALSO_LARGE * most) add(&spot, &list[i]);
    return spot;
}

enum err mask_trace(struct mask_spot *out, const struct mask_palette *p, const struct reel *clip,
                    int least, struct fail *f) {
    int n = clip->width * clip->height;
    int *label = mem_take(2 * (size_t)n, sizeof *label), *stack = label + n;
    if (!label) return FAIL(f, ERR_NOMEM, "no memory for the mask of a frame");
    for (int t = 0; t < clip->n_frames; t++) {
        const uint8_t *rgb = reel_frame(clip, t);
        for (int i = 0; i < n; i++)
            label[i] = p->share[colour_of(rgb + 3 * i)] < IS_THING;
        out[t] = find(label, stack, clip->width, clip->height, least);
    }
    mem_free(label);
    return ERR_OK;
}

enum err mask_follow(struct mask_spot **out, const struct reel *clip, const struct scene *s,
                     int ent, struct fail *f) {
    enum err rc = ERR_OK;
    struct mask_palette *p = mem_take(1, sizeof *p);
    *out = mem_take((size_t)clip->n_frames, sizeof **out);
    if (!p || !*out) TRY(FAIL(f, ERR_NOMEM, "no memory for the way of a thing"));
    TRY(mask_learn(p, s, ent, f));
    TRY(mask_trace(*out, p, clip, (int)(LEAST_SHARE * clip->width * clip->height), f));
out:
    mem_free(p);
    return rc;
}
