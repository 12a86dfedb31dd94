#include "engine/vae_tile.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/vae_state.h"

enum { TILE_PIXELS = 256, STRIDE_PIXELS = 192, SEGMENT_LATENTS = 9, TILES_MAX = 4096 };

/* Frames are kept in 16 bits, -4..4 in steps of 1/8192: a thirtieth of a level of 255. */
static const float fixed_one = 8192.0f;

/* Tiles along one side: n of them, `size` latents each, over `total`. */
struct axis {
    int64_t total, size, n;
    float *weight; /* [n][out values of a tile]: share of a tile in each of its rows */
};

/* What goes through the tiles: `rows`, `columns`, `channels` of a frame on both sides. */
struct side {
    int64_t scale; /* rows of a frame for each row of latents */
    int64_t channels;
};

struct vae_tile {
    struct vae *v;
    enum vae_direction direction;
    struct axis down, across;
    struct side from, to;
    struct pool *pool;
    struct vae_tile_opts opts;
    struct vae_stream stream;
    int64_t n_frames;       /* of a segment, on the side of pixels */
    int64_t segment;        /* latents */
    float *source, *result; /* host: a segment whole; one tile of one chunk */
    float *target;          /* of an encoding: the latents of a segment */
    int16_t *frames;        /* of a decoding: the frames of a segment */
    void **past;            /* of each tile; NULL: no segment before */
    size_t past_bytes;
    int64_t L, n_latents, n_frames_done; /* of the clip: all, done */
};

struct vae_tile_opts vae_tile_default(const struct vae *v) {
    int64_t tile = TILE_PIXELS / v->config.factor_s, stride = STRIDE_PIXELS / v->config.factor_s;
    return (struct vae_tile_opts){
        .tile = tile < 2 ? 2 : tile, .stride = stride < 1 ? 1 : stride, .segment = SEGMENT_LATENTS};
}

static struct axis axis_of(int64_t total, const struct vae_tile_opts *o) {
    struct axis a = {.total = total, .size = total < o->tile ? total : o->tile, .n = 1};
    if (total > a.size) a.n = (total - a.size + o->stride - 1) / o->stride + 1;
    return a;
}

static int64_t place(const struct axis *a, int64_t i) {
    return a->n == 1 ? 0 : (i * (a->total - a->size) + (a->n - 1) / 2) / (a->n - 1);
}

/* Rises over what it shares with the tile before, falls over what it shares with the next one.
 * Rows of one patch have one share. */
static float ramp(const struct axis *a, int64_t i, int64_t row, int64_t scale, int64_t patch) {
    int64_t at = place(a, i);
    float rise = 1, fall = 1;
    row -= row % patch;
    if (i > 0) {
        int64_t shared = (place(a, i - 1) + a->size - at) * scale;
        if (row < shared) rise = (float)row / (float)shared;
    }
    if (i + 1 < a->n) {
        int64_t next = (place(a, i + 1) - at) * scale, shared = a->size * scale - next;
        if (row >= next) fall = 1.0f - (float)(row - next) / (float)shared;
    }
    return rise * fall;
}

/* Shares of all tiles in a row add up to 1, also where three of them meet. */
static enum err make_weights(struct axis *a, int64_t scale, int64_t patch, struct fail *f) {
    int64_t rows = a->size * scale;
    float *sum = mem_take((size_t)(a->total * scale), sizeof *sum);
    a->weight = mem_take((size_t)(a->n * rows), sizeof *a->weight);
    if (!sum || !a->weight) {
        mem_free(sum);
        return FAIL(f, ERR_NOMEM, "no memory for %lld tiles", (long long)a->n);
    }
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < a->n; i++)
            for (int64_t r = 0; r < rows; r++) {
                float *w = &a->weight[i * rows + r], *s = &sum[place(a, i) * scale + r];
                if (pass == 0)
                    *s += *w = ramp(a, i, r, scale, patch);
                else
                    *w /= *s;
            }
    mem_free(sum);
    return ERR_OK;
}

static int64_t frame_values(const struct vae_tile *t, const struct side *s) {
    return t->down.total * t->across.total * s->scale * s->scale * s->channels;
}

static int64_t tile_values(const struct vae_tile *t, const struct side *s) {
    return t->down.size * t->across.size * s->scale * s->scale * s->channels;
}

/* Cuts the tile at (y,x) out of `n` frames from `first` on. */
static void cut(const struct vae_tile *t, float *to, int64_t first, int64_t n, int64_t y,
                int64_t x) {
    const struct side *s = &t->from;
    int64_t whole = t->across.total * s->scale * s->channels;
    int64_t row = t->across.size * s->scale * s->channels;
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = 0; r < t->down.size * s->scale; r++, to += row)
            memcpy(to,
                   t->source + (first + i) * frame_values(t, s) +
                       (place(&t->down, y) * s->scale + r) * whole +
                       place(&t->across, x) * s->scale * s->channels,
                   (size_t)row * sizeof *to);
}

static int16_t to_fixed(float v) {
    v *= fixed_one;
    return (int16_t)(v > 32767.0f ? 32767.0f : v < -32768.0f ? -32768.0f : v);
}

/* Adds the share of the tile at (y,x), whose n frames are in t->result, from frame `first` on. */
static void blend(const struct vae_tile *t, int64_t first, int64_t n, int64_t y, int64_t x) {
    const struct side *s = &t->to;
    int64_t C = s->channels, W = t->across.size * s->scale, H = t->down.size * s->scale;
    const float *from = t->result, *down = t->down.weight + y * H,
                *across = t->across.weight + x * W;
    for (int64_t i = 0; i < n; i++)
        for (int64_t r = 0; r < H; r++) {
            int64_t at = (first + i) * frame_values(t, s) +
                         ((place(&t->down, y) * s->scale + r) * t->across.total * s->scale +
                          place(&t->across, x) * s->scale) *
                             C;
            for (int64_t c = 0; c < W * C; c++, from++) {
                float share = *from * down[r] * across[c / C];
                if (t->frames)
                    t->frames[at + c] = (int16_t)(t->frames[at + c] + to_fixed(share));
                else
                    t->target[at + c] += share;
            }
        }
}

void vae_tile_close(struct vae_tile *t) {
    if (!t) return;
    mem_free(t->down.weight);
    mem_free(t->across.weight);
    mem_free(t->source);
    mem_free(t->result);
    mem_free(t->target);
    mem_free(t->frames);
    for (int64_t i = 0; t->past && i < t->down.n * t->across.n; i++)
        mem_free(t->past[i]);
    mem_free(t->past);
    mem_free(t);
}

static int64_t frames_of(const struct vae *v, int64_t latents) {
    return latents * v->config.factor_t;
}

static void tiler_plan(struct vae_tile *t, struct vae *v, enum vae_direction direction,
                       const struct vae_tile_opts *o, int64_t L, int64_t H, int64_t W) {
    struct side pixels = {v->config.factor_s, 3}, latents = {1, v->config.z_dim};
    bool is_decode = direction == VAE_DECODE;
    *t = (struct vae_tile){.v = v, .direction = direction, .opts = *o, .L = L};
    t->down = axis_of(H, o);
    t->across = axis_of(W, o);
    t->from = is_decode ? latents : pixels;
    t->to = is_decode ? pixels : latents;
    t->segment = L < o->segment ? L : o->segment;
    t->n_frames = frames_of(v, t->segment);
}

double vae_tile_bytes(const struct vae *v, enum vae_direction direction,
                      const struct vae_tile_opts *o, const struct vae_shape *latent) {
    struct vae_tile t;
    tiler_plan(&t, (struct vae *)v, direction, o, latent->T, latent->H, latent->W);
    struct vae_shape one = {.T = 1, .H = t.down.size, .W = t.across.size};
    bool is_decode = direction == VAE_DECODE;
    double from = (double)frame_values(&t, &t.from) * sizeof(float);
    double to = (double)frame_values(&t, &t.to) * (is_decode ? sizeof(int16_t) : sizeof(float));
    double stream = vae_stream_bytes(v, direction, &one), past = 0;
    if (latent->T > t.segment) past = stream * (double)(t.down.n * t.across.n);
    /* Two tiles of a chunk go in and out; the last chunk of frames is once more on the device. */
    double chunk = (double)v->config.factor_t *
                   (double)frame_values(&t, &(struct side){v->config.factor_s, 3}) * sizeof(float);
    return stream + past + chunk + (double)(is_decode ? t.segment : t.n_frames) * from +
           (double)(is_decode ? t.n_frames : t.segment) * to;
}

static float *take_floats(int64_t n, bool *is_short) {
    float *p = mem_take((size_t)n, sizeof *p);
    if (!p) *is_short = true;
    return p;
}

static enum err take_memory(struct vae_tile *t, struct fail *f) {
    bool is_short = false, is_decode = t->direction == VAE_DECODE;
    int64_t factor = t->v->config.factor_t;
    int64_t from = frame_values(t, &t->from), to = frame_values(t, &t->to);
    int64_t tile = tile_values(t, &t->from) + tile_values(t, &t->to);

    t->source = take_floats((is_decode ? t->segment : t->n_frames) * from, &is_short);
    t->result = take_floats(factor * tile, &is_short);
    if (is_decode)
        t->frames = mem_take((size_t)(t->n_frames * to), sizeof *t->frames);
    else
        t->target = take_floats(t->segment * to, &is_short);
    t->past = mem_take((size_t)(t->down.n * t->across.n), sizeof *t->past);
    if (is_short || !t->past || (is_decode && !t->frames))
        return FAIL(f, ERR_NOMEM, "no memory for %lld frames in tiles", (long long)t->n_frames);
    return ERR_OK;
}

enum err vae_tile_open(struct vae_tile **out, struct vae *v, enum vae_direction direction,
                       const struct vae_tile_opts *o, const struct vae_shape *latent,
                       struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t patch = direction == VAE_DECODE ? v->config.patch : 1;
    struct vae_tile *t = mem_take(1, sizeof *t);

    *out = NULL;
    if (!t) return FAIL(f, ERR_NOMEM, "no memory for tiles");
    ASSERT(o->tile > 0 && o->stride > 0 && o->stride <= o->tile && o->segment > 0);
    tiler_plan(t, v, direction, o, latent->T, latent->H, latent->W);
    t->pool = pool;
    if (t->down.n > TILES_MAX / t->across.n)
        TRY(FAIL(f, ERR_LIMIT, "%lld x %lld tiles are too many", (long long)t->down.n,
                 (long long)t->across.n));
    struct vae_shape one = {.T = 1, .H = t->down.size, .W = t->across.size};
    TRY(vae_stream_make(&t->stream, v, direction, &one, pool, f));
    t->past_bytes = vae_state_bytes(&t->stream);
    TRY(make_weights(&t->down, t->to.scale, patch, f));
    TRY(make_weights(&t->across, t->to.scale, patch, f));
    TRY(take_memory(t, f));
    *out = t;
    t = NULL;
out:
    vae_tile_close(t);
    return rc;
}

/* One chunk, one latent, of a tile. `in` frames are in t->result, what comes out replaces them. */
static enum err run_chunk(struct vae_tile *t, int64_t n_in, int64_t *n_out, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(t->pool);
    struct tensor in, out;
    TRY(pool_take_4d(t->pool, &in, n_in, t->down.size * t->from.scale,
                     t->across.size * t->from.scale, t->from.channels, f));
    op_upload(t->v->dev, &in, t->result);
    if (t->direction == VAE_DECODE)
        TRY(vae_stream_decode(&t->stream, &out, &in, f));
    else
        TRY(vae_stream_encode(&t->stream, &out, &in, f));
    op_download(t->v->dev, t->result, &out);
    *n_out = out.dim[0];
out:
    pool_rewind(t->pool, mark);
    return rc;
}

/* The past of a tile comes back before its segment and goes away after it. */
static enum err begin_tile(struct vae_tile *t, int64_t tile, struct fail *f) {
    if (t->past[tile]) return vae_state_restore(&t->stream, t->past[tile], t->past_bytes, f);
    vae_stream_restart(&t->stream);
    return ERR_OK;
}

static enum err end_tile(struct vae_tile *t, int64_t tile, bool is_last, struct fail *f) {
    if (is_last) return ERR_OK;
    if (!t->past[tile]) t->past[tile] = mem_take(t->past_bytes, 1);
    if (!t->past[tile]) return FAIL(f, ERR_NOMEM, "no memory for the past of a tile");
    vae_state_save(&t->stream, t->past[tile]);
    return ERR_OK;
}

/* n latents in all tiles; gives the number of their frames. */
static enum err run_segment(struct vae_tile *t, int64_t n, int64_t *n_frames, struct fail *f) {
    enum err rc = ERR_OK;
    bool is_decode = t->direction == VAE_DECODE, is_last = t->n_latents + n >= t->L;
    for (int64_t tile = 0; tile < t->down.n * t->across.n; tile++) {
        int64_t y = tile / t->across.n, x = tile % t->across.n, at = 0;
        TRY(begin_tile(t, tile, f));
        for (int64_t i = 0; i < n; i++) {
            int64_t chunk = vae_stream_frames(&t->stream, 1), n_out;
            if (t->opts.go_on) TRY(t->opts.go_on(t->opts.ctx, f));
            cut(t, t->result, is_decode ? i : at, is_decode ? 1 : chunk, y, x);
            TRY(run_chunk(t, is_decode ? 1 : chunk, &n_out, f));
            blend(t, is_decode ? at : i, n_out, y, x);
            at += chunk;
        }
        *n_frames = at;
        TRY(end_tile(t, tile, is_last, f));
    }
out:
    return rc;
}

/* Hands out the frames of a segment, those of one latent at a time. */
static enum err give_frames(struct vae_tile *t, int64_t n, vae_frames_fn each, void *ctx,
                            struct fail *f) {
    enum err rc = ERR_OK;
    int64_t values = frame_values(t, &t->to), factor = t->v->config.factor_t;
    struct pool_mark mark = pool_mark(t->pool);
    struct tensor frames;
    float *host = mem_take((size_t)(factor * values), sizeof *host);
    if (!host) return FAIL(f, ERR_NOMEM, "no memory for frames");
    TRY(pool_take_4d(t->pool, &frames, factor, t->down.total * t->to.scale,
                     t->across.total * t->to.scale, t->to.channels, f));
    for (int64_t at = 0; at < n;) {
        int64_t now = t->n_frames_done == 0 ? 1 : factor;
        struct tensor part = tensor_rows(&frames, 0, now);
        for (int64_t i = 0; i < now * values; i++)
            host[i] = (float)t->frames[at * values + i] / fixed_one;
        op_upload(t->v->dev, &part, host);
        TRY(each(ctx, &part, t->n_frames_done, f));
        at += now;
        t->n_frames_done += now;
    }
    memset(t->frames, 0, (size_t)(n * values) * sizeof *t->frames);
out:
    mem_free(host);
    pool_rewind(t->pool, mark);
    return rc;
}

enum err vae_tile_decode(struct vae_tile *t, const struct tensor *latent, vae_frames_fn each,
                         void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t n_frames = 0;
    ASSERT(t->direction == VAE_DECODE && latent->dim[1] == t->down.total &&
           latent->dim[2] == t->across.total && t->n_latents + latent->dim[0] <= t->L);
    for (int64_t at = 0, n; at < latent->dim[0]; at += n) {
        n = latent->dim[0] - at < t->segment ? latent->dim[0] - at : t->segment;
        struct tensor part = tensor_rows(latent, at, n);
        op_download(t->v->dev, t->source, &part);
        TRY(run_segment(t, n, &n_frames, f));
        TRY(give_frames(t, n_frames, each, ctx, f));
        t->n_latents += n;
    }
out:
    return rc;
}

/* Takes the frames of n latents, those of one latent at a time. */
static enum err take_pixels(struct vae_tile *t, int64_t n, vae_pixels_fn fill, void *ctx,
                            struct fail *f) {
    enum err rc = ERR_OK;
    int64_t factor = t->v->config.factor_t, values = frame_values(t, &t->from), at = 0;
    struct pool_mark mark = pool_mark(t->pool);
    struct tensor pixels;
    TRY(pool_take_4d(t->pool, &pixels, factor, t->down.total * t->from.scale,
                     t->across.total * t->from.scale, t->from.channels, f));
    for (int64_t i = 0; i < n; i++) {
        int64_t now = t->n_frames_done == 0 ? 1 : factor;
        struct tensor part = tensor_rows(&pixels, 0, now);
        TRY(fill(ctx, &part, t->n_frames_done, f));
        op_download(t->v->dev, t->source + at * values, &part);
        at += now;
        t->n_frames_done += now;
    }
out:
    pool_rewind(t->pool, mark);
    return rc;
}

enum err vae_tile_encode(struct vae_tile *t, struct tensor *latent, vae_pixels_fn fill, void *ctx,
                         struct fail *f) {
    enum err rc = ERR_OK;
    int64_t n_frames = 0;
    ASSERT(t->direction == VAE_ENCODE && latent->dim[1] == t->down.total &&
           latent->dim[2] == t->across.total && t->n_latents + latent->dim[0] <= t->L);
    for (int64_t at = 0, n; at < latent->dim[0]; at += n) {
        n = latent->dim[0] - at < t->segment ? latent->dim[0] - at : t->segment;
        struct tensor part = tensor_rows(latent, at, n);
        TRY(take_pixels(t, n, fill, ctx, f));
        TRY(run_segment(t, n, &n_frames, f));
        op_upload(t->v->dev, &part, t->target);
        memset(t->target, 0, (size_t)(n * frame_values(t, &t->to)) * sizeof *t->target);
        t->n_latents += n;
    }
out:
    return rc;
}
