#include "worker/known.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/mem.h"

static size_t frame_bytes(const struct plan *plan) {
    return (size_t)plan->canvas.width * (size_t)plan->canvas.height * 3;
}

static enum err fetch_picture(struct known *k, int i, struct footage *from, const struct plan *plan,
                              struct fail *f) {
    struct footage_clip *c = &k->clip[i];
    k->n_whole[i] = c->n_frames = 1;
    c->rgb = mem_take(frame_bytes(plan), 1);
    if (!c->rgb)
        return FAIL(f, ERR_NOMEM, "no memory for a reference of %dx%d", plan->canvas.width,
                    plan->canvas.height);
    return footage_picture(from, c->rgb, plan->asset[i].asset, plan->canvas.width,
                           plan->canvas.height, f);
}

static enum err fetch_clip(struct known *k, int i, struct footage *from, const struct plan *plan,
                           struct fail *f) {
    int n_max = LIMIT_STITCHED_SECONDS * plan->model_fps;
    const struct plan_asset *a = &plan->asset[i];
    const struct footage_want want = {.width = plan->canvas.width,
                                      .height = plan->canvas.height,
                                      .fps = plan->model_fps,
                                      .from = -a->n_tail,
                                      .n_max = a->n_head > 0 ? a->n_head : n_max + 1};
    enum err rc = footage_read(from, &k->clip[i], a->asset, &want, f);
    if (rc != ERR_OK) return rc;
    k->n_whole[i] = k->clip[i].n_whole;
    if (k->n_whole[i] > n_max)
        return FAIL(f, ERR_MEDIA, "the clip is longer than %d seconds", LIMIT_STITCHED_SECONDS);
    return ERR_OK;
}

enum err known_fetch(struct known *out, struct footage *from, const struct plan *plan,
                     struct fail *f) {
    enum err rc = ERR_OK;
    *out = (struct known){0};
    for (int i = 0; i < plan->n_assets; i++)
        if (plan->asset[i].is_clip)
            TRY(fetch_clip(out, i, from, plan, f));
        else
            TRY(fetch_picture(out, i, from, plan, f));
out:
    return rc;
}

/* An asset that is shorter than its span repeats its last frame. */
static enum err lengthen(struct footage_clip *c, int need, size_t frame, struct fail *f) {
    int have = c->n_frames;
    if (need <= have) return ERR_OK;
    uint8_t *more = mem_take((size_t)need, frame);
    if (!more) return FAIL(f, ERR_NOMEM, "no memory for %d frames", need);
    for (int i = 0; i < need; i++)
        memcpy(more + (size_t)i * frame, c->rgb + (size_t)(i < have ? i : have - 1) * frame, frame);
    mem_free(c->rgb);
    c->rgb = more;
    c->n_frames = need;
    return ERR_OK;
}

static enum err place_spans(struct known *k, const struct plan *plan, struct fail *f) {
    enum err rc = ERR_OK;
    size_t frame = frame_bytes(plan);
    const struct task_plan *t = &plan->task;
    for (int i = 0; i < t->n_spans; i++) {
        struct footage_clip *c = &k->clip[t->span[i].asset];
        if (t->span[i].from < c->first)
            return FAIL(f, ERR_BUG, "frame %d of a clip is needed, %d is the first that was read",
                        t->span[i].from, c->first);
        TRY(lengthen(c, t->span[i].from + t->span[i].n - c->first, frame, f));
    }
    for (int i = 0; i < t->n_spans; i++) {
        const struct task_span *s = &t->span[i];
        const struct footage_clip *c = &k->clip[s->asset];
        struct canvas size = {s->n, plan->canvas.width, plan->canvas.height};
        k->span[i] =
            (struct engine_span){.clip = {c->rgb + (size_t)(s->from - c->first) * frame, size},
                                 .at = s->at,
                                 .level = s->level};
    }
    k->given.n_spans = t->n_spans;
    k->given.span = k->span;
out:
    return rc;
}

/* White is made anew: the first byte of each pixel of a picture says it. */
static enum err read_mask(uint8_t *mask, struct footage *from, const struct plan *plan,
                          struct fail *f) {
    size_t n = (size_t)plan->canvas.width * (size_t)plan->canvas.height;
    memset(mask, 255, n);
    if (!plan->mask) return ERR_OK;
    uint8_t *rgb = mem_take(n, 3);
    if (!rgb) return FAIL(f, ERR_NOMEM, "no memory for a mask");
    enum err rc =
        footage_picture(from, rgb, plan->mask, plan->canvas.width, plan->canvas.height, f);
    for (size_t i = 0; rc == ERR_OK && i < n; i++)
        mask[i] = rgb[3 * i];
    mem_free(rgb);
    return rc;
}

/* The same picture for every frame that is edited, nothing for the others. */
static enum err place_region(struct known *k, struct footage *from, const struct plan *plan,
                             struct fail *f) {
    size_t n = (size_t)plan->canvas.width * (size_t)plan->canvas.height;
    bool is_timed = plan->anew_from > 0 || plan->anew_to < plan->canvas.n_frames;
    int n_frames = is_timed ? plan->canvas.n_frames : 1;
    k->mask = mem_take((size_t)n_frames, n);
    if (!k->mask) return FAIL(f, ERR_NOMEM, "no memory for a mask of %d frames", n_frames);
    uint8_t *first = k->mask + (size_t)(is_timed ? plan->anew_from : 0) * n;
    enum err rc = read_mask(first, from, plan, f);
    for (int i = plan->anew_from + 1; rc == ERR_OK && is_timed && i < plan->anew_to; i++)
        memcpy(k->mask + (size_t)i * n, first, n);
    k->given.region =
        (struct engine_region){.mask = k->mask, .n_frames = n_frames, .level = plan->level};
    return rc;
}

enum err known_place(struct known *k, struct footage *from, const struct plan *plan,
                     struct fail *f) {
    enum err rc = ERR_OK;
    TRY(place_spans(k, plan, f));
    if (plan->task.needs_region) TRY(place_region(k, from, plan, f));
out:
    return rc;
}

void known_free(struct known *k) {
    for (int i = 0; i < PLAN_ASSETS_MAX; i++)
        mem_free(k->clip[i].rgb);
    mem_free(k->mask);
    memset(k, 0, sizeof *k);
}
