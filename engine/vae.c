#include "engine/vae.h"

#include <stddef.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/names.h"

static enum err upload_reals(struct vae *v, struct tensor *out, struct pool *pool,
                             const float *values, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(pool_take_1d(pool, out, v->config.z_dim, f));
    op_upload(v->dev, out, values);
out:
    return rc;
}

/* The statistics of the latents, ready for op_affine in both directions. */
static enum err make_scales(struct vae *v, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    float std[JSON_INTS_MAX], mean[JSON_INTS_MAX], inv[JSON_INTS_MAX], neg[JSON_INTS_MAX];

    for (int i = 0; i < v->config.z_dim; i++) {
        std[i] = (float)v->config.std.v[i];
        mean[i] = (float)v->config.mean.v[i];
        inv[i] = (float)(1.0 / v->config.std.v[i]);
        neg[i] = (float)(-v->config.mean.v[i] / v->config.std.v[i]);
    }
    TRY(upload_reals(v, &v->std, pool, std, f));
    TRY(upload_reals(v, &v->mean, pool, mean, f));
    TRY(upload_reals(v, &v->inv_std, pool, inv, f));
    TRY(upload_reals(v, &v->neg_mean, pool, neg, f));
out:
    return rc;
}

static const struct weight_row quant_rows[] = {
    {"quant_conv.weight",
     offsetof(struct vae, quant),
     WEIGHT_MATRIX,
     5,
     {WEIGHT_SIZE(1), WEIGHT_SIZE(1), 1, 1, 1}},
    {"quant_conv.bias", offsetof(struct vae, quant_b), WEIGHT_PLAIN, 1, {WEIGHT_SIZE(1)}},
};
static const struct weight_row post_rows[] = {
    {"post_quant_conv.weight",
     offsetof(struct vae, post),
     WEIGHT_MATRIX,
     5,
     {WEIGHT_SIZE(0), WEIGHT_SIZE(0), 1, 1, 1}},
    {"post_quant_conv.bias", offsetof(struct vae, post_b), WEIGHT_PLAIN, 1, {WEIGHT_SIZE(0)}},
};

/* The decoder is loaded first, and the tensors of the encoder are looked at; then it is the other
 * way round, and what was checked is left alone. */
static enum err bind(struct vae *v, enum vae_direction loaded, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t sizes[] = {v->config.z_dim, 2 * (int64_t)v->config.z_dim};

    v->weights.only_checks = loaded != VAE_ENCODE;
    TRY(vae_net_encoder(&v->encoder, &v->config, &v->weights, f));
    TRY(weights_bind(&v->weights, v, "", quant_rows, COUNT_OF(quant_rows), sizes, f));
    v->weights.only_checks = false;
    if (loaded == VAE_ENCODE) {
        weights_ignore(&v->weights, "decoder.");
        weights_ignore(&v->weights, "post_quant_conv.");
        return ERR_OK;
    }
    TRY(vae_net_decoder(&v->decoder, &v->config, &v->weights, f));
    TRY(weights_bind(&v->weights, v, "", post_rows, COUNT_OF(post_rows), sizes, f));
out:
    return rc;
}

static enum err load_half(struct vae *v, enum vae_direction direction, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(weights_open(&v->weights, v->dev, v->pool, v->folder, "diffusion_pytorch_model", f));
    TRY(names_to_ours(&v->weights.file, NAMES_VAE, f));
    TRY(bind(v, direction, f));
    TRY(weights_finish(&v->weights, f));
out:
    weights_close(&v->weights); /* all tensors were copied: the files are not needed any more */
    return rc;
}

static enum err load_encoder(struct vae *v, struct fail *f) {
    enum err rc = ERR_OK;
    if (v->has_encoder) return ERR_OK;
    TRY(load_half(v, VAE_ENCODE, f));
    v->quant = tensor_rows(&v->quant, 0, v->config.z_dim);
    v->quant_b = tensor_rows(&v->quant_b, 0, v->config.z_dim);
    v->has_encoder = true;
out:
    return rc;
}

static enum err load(struct vae *v, const char *folder, struct fail *f) {
    enum err rc = ERR_OK;
    size_t n = strlen(folder) + 1;
    v->folder = mem_take(n, 1);
    if (!v->folder) return FAIL(f, ERR_NOMEM, "no memory for a VAE");
    memcpy(v->folder, folder, n);
    TRY(vae_net_config(&v->config, folder, f));
    TRY(load_half(v, VAE_DECODE, f));
    TRY(make_scales(v, v->pool, f));
out:
    return rc;
}

enum err vae_open(struct vae **out, struct device *dev, struct pool *pool, const char *folder,
                  struct fail *f) {
    enum err rc = ERR_OK;
    struct vae *v = mem_take(1, sizeof *v);

    *out = NULL;
    if (!v) return FAIL(f, ERR_NOMEM, "no memory for a VAE");
    v->dev = dev;
    v->pool = pool;
    TRY(load(v, folder, f));
    *out = v;
    v = NULL;
out:
    vae_close(v);
    return rc;
}

void vae_close(struct vae *v) {
    if (v) mem_free(v->folder);
    mem_free(v);
}

/* Shape of the biggest chunk on the input side of the layers. */
static struct vae_shape chunk_shape(const struct vae *v, enum vae_direction direction,
                                    const struct vae_shape *latent) {
    const struct vae_config *c = &v->config;
    int64_t scale = c->factor_s / c->patch;
    if (direction == VAE_DECODE)
        return (struct vae_shape){latent->T, latent->H, latent->W, c->z_dim};
    return (struct vae_shape){latent->T * c->factor_t, latent->H * scale, latent->W * scale,
                              c->in_channels};
}

enum err vae_stream_make(struct vae_stream *s, struct vae *v, enum vae_direction direction,
                         const struct vae_shape *latent, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    const struct vae_config *c = &v->config;
    const struct vae_net *net = direction == VAE_ENCODE ? &v->encoder : &v->decoder;
    struct vae_shape in = chunk_shape(v, direction, latent), out;
    int n_in = direction == VAE_DECODE ? 2 : c->patch > 1;

    ASSERT(latent->T > 0 && latent->H > 0 && latent->W > 0);
    *s = (struct vae_stream){.vae = v, .direction = direction};
    if (direction == VAE_ENCODE) TRY(load_encoder(v, f));
    TRY(vae_run_make(&s->run, &out, net, pool, &in, f));
    for (int i = 0; i < n_in; i++)
        TRY(pool_take_4d(pool, &s->in[i], in.T, in.H, in.W, in.C, f));
    if (direction == VAE_ENCODE || c->patch > 1)
        TRY(pool_take_4d(pool, &s->head, out.T, out.H, out.W, out.C, f));
    if (direction == VAE_DECODE)
        TRY(pool_take_4d(pool, &s->result, out.T, out.H * c->patch, out.W * c->patch, 3, f));
    else
        TRY(pool_take_4d(pool, &s->result, latent->T, latent->H, latent->W, c->z_dim, f));
out:
    return rc;
}

void vae_stream_restart(struct vae_stream *s) {
    vae_run_restart(&s->run);
    s->n_latents = 0;
}

double vae_stream_bytes(const struct vae *v, enum vae_direction direction,
                        const struct vae_shape *latent) {
    const struct vae_config *c = &v->config;
    struct vae_shape in = chunk_shape(v, direction, latent);
    double places = (double)latent->T * (double)latent->H * (double)latent->W;
    double pixels = places * c->factor_t * c->factor_s * c->factor_s * 3;
    double n = direction == VAE_DECODE ? 2 * places * c->z_dim + pixels : 3 * places * c->z_dim;
    if (c->patch > 1) n += pixels;
    return n * sizeof(float) +
           vae_run_bytes(direction == VAE_DECODE ? &v->decoder : &v->encoder, v->dev, &in);
}

int64_t vae_stream_frames(const struct vae_stream *s, int64_t n) {
    int64_t factor = s->vae->config.factor_t;
    return s->n_latents == 0 ? 1 + factor * (n - 1) : factor * n;
}

static struct patch pixel_patch(const struct vae *v) {
    int n = v->config.patch;
    return (struct patch){.t = 1, .h = n, .w = n, .order = PATCH_C_T_W_H};
}

enum err vae_stream_decode(struct vae_stream *s, struct tensor *frames, const struct tensor *latent,
                           struct fail *f) {
    enum err rc = ERR_OK;
    struct vae *v = s->vae;
    struct patch patch = pixel_patch(v);
    int64_t n = latent->dim[0], n_frames = vae_stream_frames(s, n);
    struct tensor mu = tensor_rows(&s->in[0], 0, n), z = tensor_rows(&s->in[1], 0, n);
    struct tensor head = s->head.data ? tensor_rows(&s->head, 0, n_frames) : s->head;

    ASSERT(s->direction == VAE_DECODE && n > 0 && (n == 1 || s->n_latents > 0));
    TRY(op_affine(v->dev, &mu, latent, &v->std, &v->mean, f));
    TRY(op_linear(v->dev, &z, &mu, &v->post, &v->post_b, ACT_NONE, f));
    *frames = tensor_rows(&s->result, 0, n_frames);
    TRY(vae_run_chunk(&s->run, head.data ? &head : frames, &z, f));
    if (head.data) TRY(op_unpatchify(v->dev, frames, &head, &patch, f));
    s->n_latents += n;
out:
    return rc;
}

enum err vae_stream_encode(struct vae_stream *s, struct tensor *latent, const struct tensor *pixels,
                           struct fail *f) {
    enum err rc = ERR_OK;
    struct vae *v = s->vae;
    struct patch patch = pixel_patch(v);
    int64_t n_frames = pixels->dim[0];
    int64_t n = s->n_latents == 0 ? 1 : n_frames / v->config.factor_t;
    struct tensor x = *pixels, y = tensor_rows(&s->head, 0, n);

    ASSERT(s->direction == VAE_ENCODE && n > 0 && n_frames == vae_stream_frames(s, n));
    *latent = tensor_rows(&s->result, 0, n);
    if (s->in[0].data) {
        x = tensor_rows(&s->in[0], 0, n_frames);
        TRY(op_patchify(v->dev, &x, pixels, &patch, f));
    }
    TRY(vae_run_chunk(&s->run, &y, &x, f));
    TRY(op_linear(v->dev, latent, &y, &v->quant, &v->quant_b, ACT_NONE, f));
    TRY(op_affine(v->dev, latent, latent, &v->inv_std, &v->neg_mean, f));
    s->n_latents += n;
out:
    return rc;
}

enum err vae_decode(struct vae *v, const struct tensor *latent, struct pool *pool,
                    vae_frames_fn each, void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(pool);
    struct vae_shape one_latent = {.T = 1, .H = latent->dim[1], .W = latent->dim[2]};
    struct vae_stream s;
    int64_t first = 0;

    TRY(vae_stream_make(&s, v, VAE_DECODE, &one_latent, pool, f));
    for (int64_t i = 0; i < latent->dim[0]; i++) {
        struct tensor one = tensor_rows(latent, i, 1), frames;
        TRY(vae_stream_decode(&s, &frames, &one, f));
        TRY(each(ctx, &frames, first, f));
        first += frames.dim[0];
    }
out:
    pool_rewind(pool, mark);
    return rc;
}

enum err vae_encode(struct vae *v, struct tensor *latent, struct pool *pool, vae_pixels_fn fill,
                    void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(pool);
    struct vae_shape one_latent = {.T = 1, .H = latent->dim[1], .W = latent->dim[2]};
    int64_t factor_s = v->config.factor_s, first = 0;
    struct vae_stream s;
    struct tensor pixels;

    TRY(vae_stream_make(&s, v, VAE_ENCODE, &one_latent, pool, f));
    TRY(pool_take_4d(pool, &pixels, v->config.factor_t, one_latent.H * factor_s,
                     one_latent.W * factor_s, 3, f));
    for (int64_t i = 0; i < latent->dim[0]; i++) {
        struct tensor chunk = tensor_rows(&pixels, 0, vae_stream_frames(&s, 1)), one;
        struct tensor to = tensor_rows(latent, i, 1);
        TRY(fill(ctx, &chunk, first, f));
        TRY(vae_stream_encode(&s, &one, &chunk, f));
        TRY(op_copy(v->dev, &to, &one, f));
        first += chunk.dim[0];
    }
out:
    pool_rewind(pool, mark);
    return rc;
}
