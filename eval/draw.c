#include "eval/draw.h"

#include "common/base/assert.h"

static int is_wanted(const struct scene *s, const struct draw_want *w) {
    struct label_set labels;
    if (w->n_view && s->n_view != w->n_view) return 0;
    if (w->loop && s->is_loop != (w->loop > 0)) return 0;
    if (w->head < 0) return 1;
    label_of(s, &labels);
    int value = labels.value[w->head];
    return w->value < 0 ? value != LABEL_OPEN : value == w->value;
}

enum err draw_find(struct scene *out, uint64_t *seed, const struct draw_want *want,
                   struct fail *f) {
    for (int i = 0; i < DRAW_TRIES_MAX; i++) {
        enum err rc = world_scene_make(out, *seed + (uint64_t)i, &want->opts, f);
        if (rc != ERR_OK) return rc;
        if (!is_wanted(out, want)) continue;
        *seed += (uint64_t)i;
        return ERR_OK;
    }
    const char *head = want->head < 0 ? "scene" : label_head_name((enum label_head)want->head);
    const char *value = want->head < 0 || want->value < 0
                            ? "any"
                            : label_value_name((enum label_head)want->head, want->value);
    return FAIL(f, ERR_NOT_FOUND, "none of %d scenes from seed %llu on has %s %s", DRAW_TRIES_MAX,
                (unsigned long long)*seed, head, value);
}

/* Heads that are rare or hard as the world draws them; a head that stands twice is asked twice as
 * often. */
static const enum label_head asked[] = {
    LABEL_CLASS,   LABEL_ACTION, LABEL_CAMERA_KIND, LABEL_LAYOUT, LABEL_COLOUR,      LABEL_ACTION,
    LABEL_WEATHER, LABEL_CLASS,  LABEL_SECOND,      LABEL_STYLE,  LABEL_CAMERA_KIND, LABEL_LAYOUT,
};

enum err draw_mixed(struct scene *out, uint64_t first_seed, int64_t i, struct fail *f) {
    static const struct {
        int W, H;
    } sizes[] = {{128, 80}, {128, 80}, {128, 80}, {80, 128}, {96, 96}};
    static const int frames[] = {33, 33, 33, 49, 33, 33, 17};
    int64_t k = i / COUNT_OF(sizes);
    struct draw_want want = {.opts = {.W = sizes[i % COUNT_OF(sizes)].W,
                                      .H = sizes[i % COUNT_OF(sizes)].H,
                                      .frames = frames[k % COUNT_OF(frames)],
                                      .fps = 12},
                             .head = -1,
                             .value = -1};
    uint64_t seed = first_seed + (uint64_t)i * DRAW_SEED_STEP;
    if (i % 2) {
        int64_t n = i / 2;
        want.head = asked[n % COUNT_OF(asked)];
        want.value = (int)(n / COUNT_OF(asked) % label_n_values((enum label_head)want.head));
    }
    enum err rc = draw_find(out, &seed, &want, f);
    if (rc != ERR_NOT_FOUND || want.head < 0) return rc;
    want.head = -1; /* a value that the world knows but does not draw */
    return draw_find(out, &seed, &want, f);
}
