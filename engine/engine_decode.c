#include "engine/engine_decode.h"

#include <string.h>

#include "common/base/mem.h"

bool engine_decode_is_tiled(const struct engine *e, enum vae_direction direction,
                            const int64_t dims[4]) {
    struct vae_shape one = {.T = 1, .H = dims[1], .W = dims[2]}, all = one;
    struct vae_tile_opts o = vae_tile_default(e->vae);
    double whole = vae_stream_bytes(e->vae, direction, &one), max = (double)e->job_budget.max_bytes;
    all.T = dims[0];
    double tiles = vae_tile_bytes(e->vae, direction, &o, &all);
    return whole > max / 2 && tiles < whole && tiles < max;
}

static enum err go_on(void *ctx, struct fail *f) {
    return engine_still_wanted(ctx, f);
}

static enum err open_tiles(struct engine_decode_stream *d, const int64_t dims[4], struct fail *f) {
    struct engine *e = d->engine;
    struct vae_shape all = {.T = dims[0], .H = dims[1], .W = dims[2]};
    struct vae_tile_opts o = vae_tile_default(e->vae);
    o.go_on = go_on;
    o.ctx = e;
    engine_say(e, "engine.tiles", "frames are decoded in tiles: whole ones take too much memory");
    return vae_tile_open(&d->tiles, e->vae, VAE_DECODE, &o, &all, &e->job, f);
}

enum err engine_decode_open(struct engine_decode_stream *d, struct engine *e, const int64_t dims[4],
                            engine_frame_fn each, void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct vae_shape one = {.T = 1, .H = dims[1], .W = dims[2]};
    int64_t height = one.H * e->grid.factor_s, width = one.W * e->grid.factor_s;
    *d = (struct engine_decode_stream){.engine = e, .each = each, .ctx = ctx};
    d->rgb = mem_take((size_t)(height * width * e->grid.factor_t), 3);
    if (!d->rgb) TRY(FAIL(f, ERR_NOMEM, "no memory for frames"));
    TRY(pool_take_4d(&e->job, &d->latent, 1, one.H, one.W, e->vae->config.z_dim, f));
    TRY(pool_take(&e->job, &d->packed, DTYPE_U8, 4, (int64_t[]){e->grid.factor_t, height, width, 3},
                  f));
    if (e->taehv)
        TRY(taehv_stream_make(&d->taehv, e->taehv, VAE_DECODE, &one, &e->job, f));
    else if (engine_decode_is_tiled(e, VAE_DECODE, dims))
        TRY(open_tiles(d, dims, f));
    else
        TRY(vae_stream_make(&d->vae, e->vae, VAE_DECODE, &one, &e->job, f));
    d->started_ns = device_now_ns();
out:
    return rc;
}

void engine_decode_close(struct engine_decode_stream *d) {
    vae_tile_close(d->tiles);
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
    TRY(op_check(&e->dev, f));
    for (int64_t i = 0; i < frames->dim[0]; i++)
        TRY(d->each(d->ctx, d->n_done++, d->rgb + i * frame_bytes, f));
    engine_tell(e, ENGINE_PHASE_DECODE, d->n_done, d->n_total, d->started_ns);
out:
    return rc;
}

static enum err on_frames(void *ctx, const struct tensor *frames, int64_t first, struct fail *f) {
    (void)first;
    return hand_on(ctx, frames, f);
}

static enum err more_tiles(struct engine_decode_stream *d, const float *latents, int64_t n,
                           struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = d->engine;
    struct pool_mark mark = pool_mark(&e->job);
    const int64_t *dim = d->latent.dim;
    struct tensor all;
    TRY(pool_take_4d(&e->job, &all, n, dim[1], dim[2], dim[3], f));
    op_upload(&e->dev, &all, latents);
    TRY(vae_tile_decode(d->tiles, &all, on_frames, d, f));
out:
    pool_rewind(&e->job, mark);
    return rc;
}

enum err engine_decode_more(struct engine_decode_stream *d, const float *latents, int64_t n,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = d->engine;
    int64_t values = tensor_count(&d->latent);
    if (d->tiles) return more_tiles(d, latents, n, f);
    for (int64_t i = 0; i < n; i++) {
        struct tensor frames;
        TRY(engine_still_wanted(e, f));
        op_upload(&e->dev, &d->latent, latents + i * values);
        if (e->taehv)
            TRY(taehv_stream_decode(&d->taehv, &frames, &d->latent, f));
        else
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
    TRY(engine_decode_open(&d, e, latent->dim, each, ctx, f));
    d.n_total = grid_pixel_frames(&e->grid, (int)latent->dim[0]);
    engine_tell(e, ENGINE_PHASE_DECODE, 0, d.n_total, d.started_ns);
    TRY(engine_decode_more(&d, latent->data, latent->dim[0], f));
out:
    engine_decode_close(&d);
    pool_rewind(&e->job, mark);
    return rc;
}

double engine_decode_bytes(const struct engine *e, const int64_t dims[4]) {
    struct vae_shape one = {.T = 1, .H = dims[1], .W = dims[2]}, all = one;
    double pixels = (double)dims[1] * (double)dims[2] * e->grid.factor_s * e->grid.factor_s * 3;
    struct vae_tile_opts o = vae_tile_default(e->vae);
    all.T = dims[0];
    double packed = pixels * e->grid.factor_t;
    if (e->taehv) return packed + taehv_stream_bytes(e->taehv, VAE_DECODE, &one);
    return packed + (engine_decode_is_tiled(e, VAE_DECODE, dims)
                         ? vae_tile_bytes(e->vae, VAE_DECODE, &o, &all)
                         : vae_stream_bytes(e->vae, VAE_DECODE, &one));
}
