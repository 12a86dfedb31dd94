#include <string.h>

#include "common/base/assert.h"
#include "engine/engine_encode.h"
#include "engine/slot.h"

/* Latents of past that a run in the middle of a clip gets before it is encoded. */
enum { WARM_LATENTS = 3 };

enum err engine_known_make(struct engine *e, struct engine_known *known,
                           const struct canvas *canvas, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t dims[4];
    struct canvas fit = engine_canvas_fit(e, canvas);
    TRY(engine_canvas_check(e, &fit, f));
    engine_latent_dims(e, &fit, dims);
    TRY(engine_take_host(e, &known->latent, 4, dims, f));
    TRY(engine_take_host(e, &known->level, 3, dims, f));
    memset(known->latent.data, 0, tensor_bytes(&known->latent));
    for (int64_t i = 0, n = tensor_count(&known->level); i < n; i++)
        ((float *)known->level.data)[i] = 1.0f;
out:
    return rc;
}

/* A span on its way through the encoder. */
struct feed {
    const struct engine_span *span;
    struct canvas fit;
    int n_skip, n_frames; /* of the span: frames left out, frames used */
    int n_warm;           /* made-up frames before them */
};

static void fill_span(const void *ctx, float *frame, int index) {
    const struct feed *d = ctx;
    const struct canvas *size = &d->span->clip.size;
    int i = d->n_skip + slot_warm_frame(index, d->n_warm, d->n_frames);
    engine_encode_picture(frame, d->span->clip.rgb + (int64_t)i * size->width * size->height * 3,
                          size, d->fit.width, d->fit.height);
}

/* A clip that continues nothing is encoded from its beginning. Any other run gets a past: the same
 * frames backwards in time, whose latents are thrown away. */
static enum err encode_span(struct engine *e, struct engine_known *known,
                            const struct engine_span *span, const struct slot_run *run,
                            const struct canvas *fit, struct fail *f) {
    struct tensor to = tensor_rows(&known->latent, run->first, run->n);
    int64_t n_skip = run->first > 0 ? 1 + WARM_LATENTS : 0;
    struct feed feed = {span, *fit, run->n_skip, run->n_frames, 0};
    if (n_skip > 0) feed.n_warm = grid_pixel_frames(&e->grid, (int)n_skip);
    struct engine_encode_in in = {.width = fit->width,
                                  .height = fit->height,
                                  .L = n_skip + run->n,
                                  .n_skip = n_skip,
                                  .fill = fill_span,
                                  .ctx = &feed};
    return engine_encode(e, to.data, &in, f);
}

/* Whether any pixel of a cell of factor_s x factor_s is to be made anew in one frame of the mask;
 * beyond the wanted picture nothing is known. */
static bool is_touched(const struct engine *e, const uint8_t *mask, const struct canvas *size,
                       int64_t row, int64_t col) {
    int s = e->grid.factor_s;
    for (int64_t y = row * s; y < (row + 1) * s && y < size->height; y++)
        for (int64_t x = col * s; x < (col + 1) * s && x < size->width; x++)
            if (mask[y * size->width + x] >= 128) return true;
    return false;
}

/* Raises the level of the cells of a latent that the region touches in any of its frames. */
static void free_region(const struct engine *e, struct engine_known *known, int64_t latent,
                        const struct engine_region *r, const struct canvas *size) {
    int64_t h = known->level.dim[1], w = known->level.dim[2];
    float *level = (float *)known->level.data + latent * h * w;
    int first = slot_frame(&e->grid, latent), n = latent == 0 ? 1 : e->grid.factor_t;
    for (int i = first; i < first + n; i++) {
        const uint8_t *mask =
            r->mask + (int64_t)(i < r->n_frames ? i : r->n_frames - 1) * size->width * size->height;
        for (int64_t k = 0; k < h * w; k++)
            if (level[k] < (float)r->level && is_touched(e, mask, size, k / w, k % w))
                level[k] = (float)r->level;
        if (r->n_frames == 1) return;
    }
}

static enum err add_span(struct engine *e, struct engine_known *known, const struct canvas *canvas,
                         const struct engine_span *span, const struct engine_region *region,
                         struct fail *f) {
    enum err rc = ERR_OK;
    struct canvas fit = engine_canvas_fit(e, canvas);
    const struct canvas *size = &span->clip.size;
    struct slot_run run =
        slot_find(&e->grid, span->at, size->n_frames, grid_latent_frames(&e->grid, fit.n_frames));
    if (size->width != canvas->width || size->height != canvas->height)
        return FAIL(f, ERR_INPUT, "given frames of %d x %d for a canvas of %d x %d", size->width,
                    size->height, canvas->width, canvas->height);
    if (run.n == 0)
        return FAIL(f, ERR_INPUT,
                    "%d frames at frame %d of %d are too few to go on from: %d are needed, or one",
                    size->n_frames, span->at, canvas->n_frames, 2 * e->grid.factor_t - 1);
    TRY(encode_span(e, known, span, &run, &fit, f));
    struct tensor level = tensor_rows(&known->level, run.first, run.n);
    for (int64_t i = 0, n = tensor_count(&level); i < n; i++)
        ((float *)level.data)[i] = (float)span->level;
    for (int64_t k = 0; region->mask && k < run.n; k++)
        free_region(e, known, run.first + k, region, size);
out:
    return rc;
}

enum err engine_known_from(struct engine *e, struct engine_known *known,
                           const struct canvas *canvas, const struct engine_given *given,
                           struct fail *f) {
    enum err rc = ERR_OK;
    ASSERT(given->n_spans <= ENGINE_SPANS_MAX);
    TRY(engine_known_make(e, known, canvas, f));
    for (int i = 0; i < given->n_spans; i++)
        TRY(add_span(e, known, canvas, &given->span[i], &given->region, f));
out:
    return rc;
}
