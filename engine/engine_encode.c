#include "engine/engine_encode.h"

#include "common/base/mem.h"
#include "engine/engine_decode.h"

/* Gives made-up frames to the VAE. */
struct encoding {
    struct engine *engine;
    const struct engine_encode_in *in;
    float *host; /* frames of one latent */
    int n_frames;
    int64_t started_ns;
};

static enum err on_pixels(void *ctx, struct tensor *pixels, int64_t first, struct fail *f) {
    struct encoding *c = ctx;
    struct engine *e = c->engine;
    int64_t frame = tensor_count(pixels) / pixels->dim[0];
    enum err rc = engine_still_wanted(e, f);
    if (rc != ERR_OK) return rc;
    for (int64_t i = 0; i < pixels->dim[0]; i++)
        c->in->fill(c->in->ctx, c->host + i * frame, (int)(first + i));
    op_upload(&e->dev, pixels, c->host);
    engine_tell(e, ENGINE_PHASE_ENCODE, (int)first, c->n_frames, c->started_ns);
    return ERR_OK;
}

static enum err go_on(void *ctx, struct fail *f) {
    return engine_still_wanted(ctx, f);
}

/* Frames that are too big for the memory of the job go in tiles. */
static enum err encode(struct engine *e, struct tensor *latent, struct encoding *c,
                       struct fail *f) {
    enum err rc = ERR_OK;
    struct vae_shape all = {.T = latent->dim[0], .H = latent->dim[1], .W = latent->dim[2]};
    struct pool_mark mark = pool_mark(&e->step);
    struct vae_tile_opts o = vae_tile_default(e->vae);
    struct vae_tile *tiles = NULL;

    if (!engine_decode_is_tiled(e, VAE_ENCODE, latent->dim))
        return vae_encode(e->vae, latent, &e->step, on_pixels, c, f);
    engine_say(e, "engine.tiles", "frames are encoded in tiles: whole ones take too much memory");
    o.go_on = go_on;
    o.ctx = e;
    TRY(vae_tile_open(&tiles, e->vae, VAE_ENCODE, &o, &all, &e->step, f));
    TRY(vae_tile_encode(tiles, latent, on_pixels, c, f));
out:
    vae_tile_close(tiles);
    pool_rewind(&e->step, mark);
    return rc;
}

enum err engine_encode(struct engine *e, float *out, const struct engine_encode_in *in,
                       struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    struct tensor encoded;
    int n_frames = grid_pixel_frames(&e->grid, (int)in->L);
    struct encoding c = {
        .engine = e, .in = in, .n_frames = n_frames, .started_ns = device_now_ns()};
    size_t frame = (size_t)in->width * (size_t)in->height * 3;
    TRY(pool_take_4d(&e->job, &encoded, in->L, in->height / e->grid.factor_s,
                     in->width / e->grid.factor_s, e->vae->config.z_dim, f));
    c.host = mem_take((size_t)e->grid.factor_t * frame, sizeof *c.host);
    if (!c.host) TRY(FAIL(f, ERR_NOMEM, "no memory for %d frames", e->grid.factor_t));
    TRY(encode(e, &encoded, &c, f));
    struct tensor wanted = tensor_rows(&encoded, in->n_skip, in->L - in->n_skip);
    op_download(&e->dev, out, &wanted);
    TRY(op_check(&e->dev, f));
    engine_tell(e, ENGINE_PHASE_ENCODE, n_frames, n_frames, c.started_ns);
out:
    mem_free(c.host);
    pool_rewind(&e->job, mark);
    return rc;
}

void engine_encode_picture(float *frame, const uint8_t *rgb, const struct canvas *size, int width,
                           int height) {
    for (int y = 0; y < height; y++) {
        const uint8_t *row =
            rgb + (int64_t)(y < size->height ? y : size->height - 1) * size->width * 3;
        for (int x = 0; x < width; x++, frame += 3) {
            const uint8_t *p = row + (int64_t)(x < size->width ? x : size->width - 1) * 3;
            for (int c = 0; c < 3; c++)
                frame[c] = (float)p[c] * (2.0f / 255.0f) - 1.0f;
        }
    }
}

static void fill_clip(const void *ctx, float *frame, int index) {
    const struct engine_clip *clip = ctx;
    const struct canvas *s = &clip->size;
    const uint8_t *rgb = clip->rgb + (int64_t)index * s->width * s->height * 3;
    engine_encode_picture(frame, rgb, s, s->width, s->height);
}

enum err engine_encode_video(struct engine *e, struct tensor *latent,
                             const struct engine_clip *clip, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t dims[4];
    TRY(engine_canvas_check(e, &clip->size, f));
    engine_latent_dims(e, &clip->size, dims);
    TRY(engine_take_host(e, latent, 4, dims, f));
    struct engine_encode_in in = {.width = clip->size.width,
                                  .height = clip->size.height,
                                  .L = dims[0],
                                  .fill = fill_clip,
                                  .ctx = clip};
    TRY(engine_encode(e, latent->data, &in, f));
out:
    return rc;
}
