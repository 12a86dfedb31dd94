#include "engine/engine_decode.h"

#include <string.h>

#include "common/base/mem.h"

enum err engine_decode_open(struct engine_decode_stream *d, struct engine *e, int64_t h, int64_t w,
                            engine_frame_fn each, void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct vae_shape one = {.T = 1, .H = h, .W = w};
    int64_t height = h * e->grid.factor_s, width = w * e->grid.factor_s;
    *d = (struct engine_decode_stream){.engine = e, .each = each, .ctx = ctx};
    d->rgb = mem_take((size_t)(height * width * e->grid.factor_t), 3);
    if (!d->rgb) TRY(FAIL(f, ERR_NOMEM, "no memory for frames"));
    TRY(pool_take_4d(&e->job, &d->latent, 1, h, w, e->vae->config.z_dim, f));
    TRY(pool_take(&e->job, &d->packed, DTYPE_U8, 4, (int64_t[]){e->grid.factor_t, height, width, 3},
                  f));
    TRY(vae_stream_make(&d->vae, e->vae, VAE_DECODE, &one, &e->job, f));
    d->started_ns = device_now_ns();
out:
    return rc;
}

void engine_decode_close(struct engine_decode_stream *d) {
    mem_free(d->rgb);
    memset(d, 0, sizeof *d);
}

static enum err hand_on(struct engine_decode_stream *d, const struct tensor *frames,
                        struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = d->engine;
    struct tensor packed = tensor_rows(&d->packed, 0, frames->dim[0]);
    int64_t frame_bytes = tensor_count(&packed) / frames->dim[0];
    TRY(op_pack_rgb(&e->dev, &packed, frames, f));
    op_download(&e->dev, d->rgb, &packed);
    for (int64_t i = 0; i < frames->dim[0]; i++)
        TRY(d->each(d->ctx, d->n_done++, d->rgb + i * frame_bytes, f));
    engine_tell(e, ENGINE_PHASE_DECODE, d->n_done, d->n_total, d->started_ns);
out:
    return rc;
}

enum err engine_decode_more(struct engine_decode_stream *d, const float *latents, int64_t n,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = d->engine;
    int64_t values = tensor_count(&d->latent);
    for (int64_t i = 0; i < n; i++) {
        struct tensor frames;
        TRY(engine_still_wanted(e, f));
        op_upload(&e->dev, &d->latent, latents + i * values);
        TRY(vae_stream_decode(&d->vae, &frames, &d->latent, f));
        TRY(hand_on(d, &frames, f));
    }
out:
    return rc;
}

enum err engine_decode(struct engine *e, const struct tensor *latent, engine_frame_fn each,
                       void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    struct engine_decode_stream d;
    TRY(engine_decode_open(&d, e, latent->dim[1], latent->dim[2], each, ctx, f));
    d.n_total = grid_pixel_frames(&e->grid, (int)latent->dim[0]);
    engine_tell(e, ENGINE_PHASE_DECODE, 0, d.n_total, d.started_ns);
    TRY(engine_decode_more(&d, latent->data, latent->dim[0], f));
out:
    engine_decode_close(&d);
    pool_rewind(&e->job, mark);
    return rc;
}

double engine_decode_bytes(const struct engine *e, int64_t h, int64_t w) {
    struct vae_shape one = {.T = 1, .H = h, .W = w};
    double pixels = (double)h * (double)w * e->grid.factor_s * e->grid.factor_s * 3;
    return vae_stream_bytes(e->vae, VAE_DECODE, &one) + pixels * e->grid.factor_t;
}
