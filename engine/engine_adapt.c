#include "engine/engine_adapt.h"

#include <string.h>

#include "common/base/mem.h"
#include "engine/engine_encode.h"
#include "engine/extra.h"
#include "engine/vace.h"

enum err engine_adapt_find(enum adapter_kind *out, const struct engine *e, struct fail *f) {
    const struct dit_caps *c = &e->dit->caps;
    int z = e->vae->config.z_dim, s = e->grid.factor_s;
    if (c->vace_channels && c->vace_channels == 2 * z + s * s && !c->extra_channels)
        *out = ADAPTER_CONTROL;
    else if (c->extra_channels == z + e->grid.factor_t && !c->vace_channels)
        *out = ADAPTER_CHANNELS;
    else if (c->extra_channels == z && !c->vace_channels)
        *out = ADAPTER_SOURCE;
    else if (!c->extra_channels && !c->vace_channels)
        *out = e->folder.has_token_times ? ADAPTER_TOKENS : ADAPTER_REPAINT;
    else
        return FAIL(f, ERR_UNSUPPORTED,
                    "%.120s: %d channels beside %d of the latent, %d of control: of no known kind",
                    e->folder.path, c->extra_channels, z, c->vace_channels);
    return ERR_OK;
}

static unsigned needs_of_span(const struct canvas *canvas, const struct engine_span *s,
                              bool has_region) {
    int end = s->at + s->clip.size.n_frames;
    bool is_whole = s->at == 0 && end >= canvas->n_frames;
    if (s->level > 0) return is_whole && !has_region ? ADAPTER_SOFT : ADAPTER_MIXED;
    if (is_whole && has_region) return ADAPTER_REGION;
    if (s->at == 0) return ADAPTER_HEAD;
    return end >= canvas->n_frames ? ADAPTER_TAIL : ADAPTER_MIDDLE;
}

unsigned engine_adapt_needs(const struct canvas *canvas, const struct engine_given *given) {
    unsigned needs = 0;
    for (int i = 0; given && i < given->n_spans; i++)
        needs |= needs_of_span(canvas, &given->span[i], given->region.mask != NULL);
    if (given && given->region.mask) {
        needs |= ADAPTER_REGION;
        if (given->region.level < 1) needs |= ADAPTER_MIXED;
    }
    if (given && given->guide) needs |= ADAPTER_GUIDE;
    if (given && given->n_references > 0) needs |= ADAPTER_REFERENCE;
    return needs ? needs : ADAPTER_NOTHING;
}

enum err engine_adapt_check(const struct canvas *canvas, const struct engine_given *given,
                            bool is_loop, struct fail *f) {
    const struct engine_clip *guide = given ? given->guide : NULL;
    if (guide && (guide->size.width != canvas->width || guide->size.height != canvas->height))
        return FAIL(f, ERR_INPUT, "a clip to follow of %d x %d for a canvas of %d x %d",
                    guide->size.width, guide->size.height, canvas->width, canvas->height);
    if (guide && guide->size.n_frames < canvas->n_frames)
        return FAIL(f, ERR_INPUT, "the clip to follow has %d frames, %d are to be made",
                    guide->size.n_frames, canvas->n_frames);
    if (!given || given->n_references == 0) return ERR_OK;
    if (given->n_references > ENGINE_REFERENCES_MAX)
        return FAIL(f, ERR_INPUT, "%d pictures for reference, %d are allowed", given->n_references,
                    ENGINE_REFERENCES_MAX);
    if (is_loop) return FAIL(f, ERR_INPUT, "a loop has no place for pictures for reference");
    return ERR_OK;
}

/* A given frame of the window, or NULL; *size gets its size. */
static const uint8_t *find_frame(const struct engine_adapt_view *v, int index,
                                 const struct canvas **size) {
    if (index < v->n_head) {
        *size = &v->fit;
        return v->head + (int64_t)index * v->fit.width * v->fit.height * 3;
    }
    for (int i = 0; v->given && i < v->given->n_spans; i++) {
        const struct engine_span *s = &v->given->span[i];
        int k = v->first + index - s->at;
        if (s->level > 0 || k < 0 || k >= s->clip.size.n_frames) continue;
        *size = &s->clip.size;
        return s->clip.rgb + (int64_t)k * s->clip.size.width * s->clip.size.height * 3;
    }
    return NULL;
}

static const uint8_t *find_mask(const struct engine_adapt_view *v, int index) {
    const struct engine_region *r = v->given && index >= v->n_head ? &v->given->region : NULL;
    if (!r || !r->mask) return NULL;
    int frame = v->first + index < r->n_frames ? v->first + index : r->n_frames - 1;
    return r->mask + (int64_t)frame * v->wanted.width * v->wanted.height;
}

/* Whether a pixel of the made canvas is to be generated. */
static bool is_anew(const struct engine_adapt_view *v, const uint8_t *mask, int x, int y) {
    if (!mask) return false;
    if (x >= v->wanted.width) x = v->wanted.width - 1;
    if (y >= v->wanted.height) y = v->wanted.height - 1;
    return mask[(int64_t)y * v->wanted.width + x] >= 128;
}

/* Known pixels, and mid grey where something shall be made. */
static void fill_known_pixels(const void *ctx, float *frame, int index) {
    const struct engine_adapt_view *v = ctx;
    const struct canvas *size;
    const uint8_t *rgb = find_frame(v, index, &size), *mask = find_mask(v, index);
    int W = v->fit.width, H = v->fit.height;
    if (!rgb) {
        extra_grey(frame, (int64_t)W * H);
        return;
    }
    engine_encode_picture(frame, rgb, size, W, H);
    for (int y = 0; mask && y < H; y++)
        for (int x = 0; x < W; x++)
            if (is_anew(v, mask, x, y)) extra_grey(frame + ((int64_t)y * W + x) * 3, 1);
}

/* What is to be made, as the guide has it, and mid grey where frames are given. */
static void fill_unknown_pixels(const void *ctx, float *frame, int index) {
    const struct engine_adapt_view *v = ctx;
    const struct canvas *size;
    const struct engine_clip *guide = v->given ? v->given->guide : NULL;
    bool is_given = find_frame(v, index, &size) != NULL;
    const uint8_t *mask = find_mask(v, index);
    int W = v->fit.width, H = v->fit.height;
    if (!guide || (is_given && !mask)) {
        extra_grey(frame, (int64_t)W * H);
        return;
    }
    size = &guide->size;
    engine_encode_picture(frame,
                          guide->rgb + (int64_t)(v->first + index) * size->width * size->height * 3,
                          size, W, H);
    for (int y = 0; is_given && y < H; y++)
        for (int x = 0; x < W; x++)
            if (!is_anew(v, mask, x, y)) extra_grey(frame + ((int64_t)y * W + x) * 3, 1);
}

/* A picture for reference, whole, in the middle of a white frame. */
struct boxed {
    const float *canvas;
    int64_t n;
};

static void fill_boxed(const void *ctx, float *frame, int index) {
    const struct boxed *b = ctx;
    (void)index;
    memcpy(frame, b->canvas, (size_t)b->n * sizeof *frame);
}

/* Latents of a made-up clip, for mem_free(). */
static enum err encode_made_up(struct engine *e, float **out, const struct engine_adapt_view *v,
                               void (*fill)(const void *, float *, int), struct fail *f) {
    int64_t dims[4];
    engine_latent_dims(e, &v->fit, dims);
    struct engine_encode_in in = {
        .width = v->fit.width, .height = v->fit.height, .L = dims[0], .fill = fill, .ctx = v};
    size_t n = (size_t)(dims[0] * dims[1] * dims[2] * dims[3]);
    *out = mem_take(n, sizeof **out);
    if (!*out) return FAIL(f, ERR_NOMEM, "no memory for %zu latent values", n);
    return engine_encode(e, *out, &in, f);
}

static enum err take_volume(struct engine *e, struct tensor *out, const struct canvas *fit,
                            int n_front, int channels, struct fail *f) {
    int64_t dims[4];
    engine_latent_dims(e, fit, dims);
    dims[0] += n_front;
    dims[3] = channels;
    return engine_take_host(e, out, 4, dims, f);
}

/* The picture that image tokens are made of: the first frame, and the last when the model has
 * places for two. */
static enum err fill_picture(struct engine *e, struct engine_known *known,
                             const struct engine_adapt_view *v, struct fail *f) {
    int64_t n_rows = vision_n_rows(e->vision);
    int n_wanted = e->dit->caps.image_rows == 2 * n_rows ? 2 : 1;
    for (int i = 0; i < n_wanted; i++) {
        const struct canvas *size = NULL;
        const uint8_t *rgb = find_frame(v, i == 0 ? 0 : v->fit.n_frames - 1, &size);
        if (!rgb)
            return FAIL(f, ERR_UNSUPPORTED, "%.100s cannot do without a %s frame", e->caps.name,
                        i == 0 ? "first" : "last");
        known->picture[i] = (struct engine_clip){rgb, {1, size->width, size->height}};
    }
    return ERR_OK;
}

static enum err fill_channels(struct engine *e, struct engine_known *known,
                              const struct engine_adapt_view *v, struct fail *f) {
    enum err rc = ERR_OK;
    float *picture = NULL;
    int n = v->fit.n_frames;
    bool *is_known = mem_take((size_t)n, sizeof *is_known);
    if (!is_known) TRY(FAIL(f, ERR_NOMEM, "no memory for a mask"));
    for (int i = 0; i < n; i++) {
        const struct canvas *size;
        is_known[i] = find_frame(v, i, &size) != NULL;
    }
    TRY(take_volume(e, &known->extra, &v->fit, 0, e->dit->caps.extra_channels, f));
    TRY(encode_made_up(e, &picture, v, fill_known_pixels, f));
    struct extra_parts parts = {.L = known->extra.dim[0],
                                .h = known->extra.dim[1],
                                .w = known->extra.dim[2],
                                .C = e->vae->config.z_dim,
                                .factor_t = e->grid.factor_t,
                                .is_known = is_known,
                                .picture = picture};
    extra_fill(known->extra.data, &parts);
    if (e->vision) TRY(fill_picture(e, known, v, f));
out:
    mem_free(picture);
    mem_free(is_known);
    return rc;
}

/* 1 where something shall be made, [T,H,W]. */
static void fill_mask(float *out, const struct engine_adapt_view *v) {
    for (int i = 0; i < v->fit.n_frames; i++) {
        const struct canvas *size;
        const uint8_t *mask = find_mask(v, i);
        bool is_given = find_frame(v, i, &size) != NULL;
        for (int y = 0; y < v->fit.height; y++)
            for (int x = 0; x < v->fit.width; x++)
                *out++ = !is_given || is_anew(v, mask, x, y) ? 1.0f : 0.0f;
    }
}

/* out [n,h,w,C] for mem_free(), NULL without references. */
static enum err encode_references(struct engine *e, float **out, const float *at[],
                                  const struct engine_adapt_view *v, struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_given *given = v->given;
    int W = v->fit.width, H = v->fit.height, n = given ? given->n_references : 0;
    int64_t dims[4];
    float *canvas = NULL;
    *out = NULL;
    if (n == 0) return ERR_OK;
    engine_latent_dims(e, &v->fit, dims);
    int64_t each = dims[1] * dims[2] * dims[3];
    struct boxed boxed = {.n = (int64_t)W * H * 3};
    struct engine_encode_in in = {
        .width = W, .height = H, .L = 1, .fill = fill_boxed, .ctx = &boxed};
    *out = mem_take((size_t)(n * each), sizeof **out);
    boxed.canvas = canvas = mem_take((size_t)boxed.n, sizeof *canvas);
    if (!*out || !canvas) TRY(FAIL(f, ERR_NOMEM, "no memory for pictures"));
    for (int i = 0; i < n; i++) {
        const struct engine_clip *c = &given->reference[i];
        TRY(vace_letterbox(canvas, H, W,
                           &(struct vace_picture){c->rgb, c->size.width, c->size.height}, f));
        TRY(engine_encode(e, *out + i * each, &in, f));
        at[i] = *out + i * each;
    }
out:
    mem_free(canvas);
    return rc;
}

static enum err fill_control(struct engine *e, struct engine_known *known,
                             const struct engine_adapt_view *v, struct fail *f) {
    enum err rc = ERR_OK;
    float *inactive = NULL, *reactive = NULL, *references = NULL;
    const float *reference[ENGINE_REFERENCES_MAX];
    size_t n_pixels = (size_t)v->fit.n_frames * (size_t)v->fit.width * (size_t)v->fit.height;
    float *mask = mem_take(n_pixels, sizeof *mask);
    if (!mask) TRY(FAIL(f, ERR_NOMEM, "no memory for a mask"));
    known->n_front = v->given ? v->given->n_references : 0;
    TRY(take_volume(e, &known->control, &v->fit, known->n_front, e->dit->caps.vace_channels, f));
    TRY(encode_made_up(e, &inactive, v, fill_known_pixels, f));
    TRY(encode_made_up(e, &reactive, v, fill_unknown_pixels, f));
    TRY(encode_references(e, &references, reference, v, f));
    fill_mask(mask, v);
    struct vace_parts parts = {.T = v->fit.n_frames,
                               .L = known->control.dim[0] - known->n_front,
                               .h = known->control.dim[1],
                               .w = known->control.dim[2],
                               .C = e->vae->config.z_dim,
                               .s = e->grid.factor_s,
                               .inactive = inactive,
                               .reactive = reactive,
                               .mask = mask,
                               .reference = reference,
                               .n_references = known->n_front};
    vace_control(known->control.data, &parts);
out:
    mem_free(mask);
    mem_free(inactive);
    mem_free(reactive);
    mem_free(references);
    return rc;
}

enum err engine_adapt_fill(struct engine *e, struct engine_known *known,
                           const struct engine_adapt_view *view, struct fail *f) {
    switch (e->adapter) {
    case ADAPTER_CHANNELS: return fill_channels(e, known, view, f);
    case ADAPTER_CONTROL: return fill_control(e, known, view, f);
    case ADAPTER_SOURCE: /* its channels are the latents that would be started from */
        known->extra = known->latent;
        for (int64_t i = 0, n = tensor_count(&known->level); i < n; i++)
            ((float *)known->level.data)[i] = 1.0f;
        return ERR_OK;
    default: return ERR_OK;
    }
}
