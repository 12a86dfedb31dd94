#include "engine/taehv.h"

#include <math.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

enum { LEAD_FRAMES = TAEHV_FACTOR_T - 1 }; /* of the first latent, before the first frame */

static enum err load(struct taehv *t, struct pool *pool, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    static const float halves[3] = {0.5f, 0.5f, 0.5f};
    TRY(weights_open(&t->weights, t->dev, pool, path, "diffusion_pytorch_model", f));
    TRY(taehv_net_load(&t->encoder, &t->decoder, &t->shape, &t->weights, f));
    TRY(weights_finish(&t->weights, f));
    TRY(pool_take_1d(pool, &t->half, COUNT_OF(halves), f));
    op_upload(t->dev, &t->half, halves);
    t->factor_s = t->shape.patch << TAEHV_STAGES;
out:
    weights_close(&t->weights);
    return rc;
}

enum err taehv_open(struct taehv **out, struct device *dev, struct pool *pool, const char *path,
                    struct fail *f) {
    enum err rc = ERR_OK;
    struct taehv *t = mem_take(1, sizeof *t);

    *out = NULL;
    if (!t) return FAIL(f, ERR_NOMEM, "no memory for a tiny autoencoder");
    t->dev = dev;
    TRY(load(t, pool, path, f));
    *out = t;
    t = NULL;
out:
    taehv_close(t);
    return rc;
}

void taehv_close(struct taehv *t) {
    mem_free(t);
}

/* A tensor and the work buffer that it lives in; -1: it is somebody else's. */
struct held {
    struct tensor t;
    int at;
};

struct flow {
    struct taehv_stream *s;
    struct device *dev;
    const struct taehv_net *net;
    struct held x;
};

static struct held hold(struct flow *w, int64_t T, int64_t H, int64_t W, int64_t C) {
    int at = 0;
    while (w->s->busy >> at & 1)
        at++;
    ASSERT(at < TAEHV_WORK_MAX);
    int64_t dims[] = {T, H, W, C};
    struct held h = {tensor_of(w->s->work[at].data, device_activation(w->dev), 4, dims), at};
    ASSERT(tensor_bytes(&h.t) <= tensor_bytes(&w->s->work[at]));
    w->s->busy |= 1u << at;
    return h;
}

static void let_go(struct flow *w, const struct held *h) {
    if (h->at >= 0) w->s->busy &= ~(1u << h->at);
}

static void pass_on(struct flow *w, struct held next) {
    let_go(w, &w->x);
    w->x = next;
}

static struct held hold_like(struct flow *w, int64_t C) {
    const int64_t *d = w->x.t.dim;
    return hold(w, d[0], d[1], d[2], C);
}

static struct conv_opts opts_of(const struct tensor *weight, const struct tensor *bias) {
    return (struct conv_opts){
        .w = weight, .b = bias->data ? bias : NULL, .stride_t = 1, .stride_s = 1};
}

static enum err run_conv(struct flow *w, const struct taehv_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    const int64_t *d = w->x.t.dim;
    struct conv_opts o = opts_of(&l->a, &l->a_b);
    int64_t H = l->is_doubled ? 2 * d[1] : l->is_halved ? d[1] / 2 : d[1];
    int64_t W = l->is_doubled ? 2 * d[2] : l->is_halved ? d[2] / 2 : d[2];
    bool is_last = l == &w->net->layer[w->net->n_layers - 1];
    struct held y = {.at = -1};

    o.is_doubled = l->is_doubled;
    o.stride_s = l->is_halved ? 2 : 1;
    o.is_centred = l->is_halved;
    o.act = l->has_relu ? ACT_RELU : ACT_NONE;
    if (is_last)
        y.t = tensor_rows(&w->s->head, w->s->n_out, d[0]);
    else
        y = hold(w, d[0], H, W, l->c_out);
    w->s->n_out += is_last ? d[0] : 0;
    TRY(op_conv(w->dev, &y.t, &w->x.t, &o, f));
    pass_on(w, y);
out:
    return rc;
}

/* The last frame of x is the frame before of the next call. */
static enum err remember(struct flow *w, const struct taehv_layer *l, const struct tensor *x,
                         struct fail *f) {
    struct tensor last = tensor_rows(x, x->dim[0] - 1, 1);
    return op_copy(w->dev, &w->s->past[l->slot], &last, f);
}

static enum err run_block(struct flow *w, const struct taehv_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts a = opts_of(&l->a, &l->a_b), b = opts_of(&l->b, &l->b_b);
    struct conv_opts c = opts_of(&l->c, &l->c_b);
    struct held y = hold_like(w, l->c_out), z = hold_like(w, l->c_out);

    a.cache = &w->s->past[l->slot];
    a.act = b.act = ACT_RELU;
    c.add = &w->x.t;
    TRY(op_conv(w->dev, &y.t, &w->x.t, &a, f));
    TRY(op_conv(w->dev, &z.t, &y.t, &b, f));
    TRY(op_conv(w->dev, &y.t, &z.t, &c, f));
    TRY(op_act(w->dev, &y.t, &y.t, ACT_RELU, f));
    TRY(remember(w, l, &w->x.t, f));
    let_go(w, &z);
    pass_on(w, y);
out:
    return rc;
}

static enum err run_super(struct flow *w, const struct taehv_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts a = opts_of(&l->a, &l->a_b), b = opts_of(&l->b, &l->b_b);
    struct held now = hold_like(w, l->c_in), before = hold_like(w, l->c_in);
    struct held wide = hold_like(w, 4 * l->c_in);

    ASSERT(w->x.t.dim[0] == 1);
    TRY(op_depthwise(w->dev, &now.t, &w->x.t, &l->by_channel[0], f));
    TRY(op_depthwise(w->dev, &before.t, &w->s->past[l->slot], &l->by_channel[1], f));
    a.cache = &before.t;
    a.act = ACT_RELU;
    TRY(op_conv(w->dev, &wide.t, &now.t, &a, f));
    b.add = &w->x.t;
    TRY(op_conv(w->dev, &now.t, &wide.t, &b, f));
    TRY(remember(w, l, &w->x.t, f));
    let_go(w, &before);
    let_go(w, &wide);
    pass_on(w, now);
out:
    return rc;
}

static enum err run_pool(struct flow *w, const struct taehv_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    const int64_t *d = w->x.t.dim;
    struct conv_opts o = opts_of(&l->a, &l->a_b);
    struct held y = hold(w, d[0] / l->frames, d[1], d[2], l->c_out);
    o.stride_t = l->frames;
    TRY(op_conv(w->dev, &y.t, &w->x.t, &o, f));
    pass_on(w, y);
out:
    return rc;
}

static enum err run_grow(struct flow *w, const struct taehv_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    const int64_t *d = w->x.t.dim;
    struct conv_opts o = opts_of(&l->a, &l->a_b);
    struct held y = hold_like(w, l->frames * l->c_out);
    TRY(op_conv(w->dev, &y.t, &w->x.t, &o, f));
    pass_on(w, y);
    if (l->frames == 1) goto out;
    d = w->x.t.dim;
    y = hold(w, l->frames * d[0], d[1], d[2], l->c_out);
    TRY(op_time_split(w->dev, &y.t, &w->x.t, f));
    pass_on(w, y);
out:
    return rc;
}

static enum err run_shuffle(struct flow *w, const struct taehv_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    const int64_t *d = w->x.t.dim;
    struct patch square = {.t = 1, .h = 2, .w = 2, .order = PATCH_C_T_H_W};
    struct held y = hold(w, d[0], 2 * d[1], 2 * d[2], l->c_out);
    TRY(op_unpatchify(w->dev, &y.t, &w->x.t, &square, f));
    pass_on(w, y);
out:
    return rc;
}

typedef enum err (*layer_fn)(struct flow *w, const struct taehv_layer *l, struct fail *f);

static const layer_fn runners[TAEHV_KIND_COUNT] = {
    [TAEHV_CONV] = run_conv, [TAEHV_BLOCK] = run_block, [TAEHV_SUPER] = run_super,
    [TAEHV_POOL] = run_pool, [TAEHV_GROW] = run_grow,   [TAEHV_SHUFFLE] = run_shuffle,
};

/* Where one frame has become two, each goes on alone. The depth is that of the list. */
static enum err run_layers(struct flow *w, int first, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = first; i < w->net->n_layers; i++) {
        const struct taehv_layer *l = &w->net->layer[i];
        TRY(runners[l->kind](w, l, f));
        if (l->kind != TAEHV_GROW || l->frames == 1) continue;
        for (int64_t t = 0; t < w->x.t.dim[0]; t++) {
            struct flow one = *w;
            one.x = (struct held){tensor_rows(&w->x.t, t, 1), -1};
            TRY(run_layers(&one, i + 1, f));
            let_go(&one, &one.x);
        }
        break;
    }
out:
    return rc;
}

/* Shape after a layer; *biggest: values of a work buffer. */
static void plan_layer(const struct taehv_layer *l, struct vae_shape *s, int64_t *biggest) {
    int64_t widest = l->kind == TAEHV_SUPER ? 4 * l->c_in : l->frames * l->c_in;
    int64_t before = s->T * s->H * s->W * widest;
    if (l->is_doubled || l->kind == TAEHV_SHUFFLE) s->H *= 2, s->W *= 2;
    if (l->is_halved) s->H /= 2, s->W /= 2;
    if (l->kind == TAEHV_POOL) s->T /= l->frames;
    s->C = l->c_out;
    int64_t after = s->T * s->H * s->W * l->c_out;
    if (before > *biggest) *biggest = before;
    if (after > *biggest) *biggest = after;
}

static struct vae_shape chunk_shape(const struct taehv *t, enum vae_direction direction,
                                    const struct vae_shape *latent) {
    int64_t scale = (int64_t)1 << TAEHV_STAGES;
    if (direction == VAE_DECODE) return (struct vae_shape){1, latent->H, latent->W, t->shape.z_dim};
    return (struct vae_shape){TAEHV_FACTOR_T, latent->H * scale, latent->W * scale,
                              3 * (int64_t)t->shape.patch * t->shape.patch};
}

/* x and what a layer makes of it; what waits after growing. */
static int n_buffers(const struct taehv_net *net, enum vae_direction direction) {
    return (net->is_super ? 4 : 3) + (direction == VAE_DECODE ? TAEHV_STAGES - 1 : 0);
}

double taehv_stream_bytes(const struct taehv *t, enum vae_direction direction,
                          const struct vae_shape *latent) {
    const struct taehv_net *net = direction == VAE_DECODE ? &t->decoder : &t->encoder;
    struct vae_shape s = chunk_shape(t, direction, latent);
    int64_t biggest = 0, places = latent->H * latent->W;
    double each = (double)tensor_dtype_bytes(device_activation(t->dev)), bytes = 0;
    for (int i = 0; i < net->n_layers; i++) {
        bool is_block = net->layer[i].kind == TAEHV_BLOCK || net->layer[i].kind == TAEHV_SUPER;
        if (is_block) bytes += (double)(s.H * s.W * net->layer[i].c_in) * each;
        plan_layer(&net->layer[i], &s, &biggest);
    }
    double pixels = (double)places * t->factor_s * t->factor_s * 3 * TAEHV_FACTOR_T;
    return bytes + n_buffers(net, direction) * (double)biggest * each +
           (2 * pixels + 2.0 * (double)(places * t->shape.z_dim)) * sizeof(float);
}

static enum err take_volumes(struct taehv_stream *s, const struct vae_shape *latent,
                             const struct vae_shape *in, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    const struct taehv *t = s->taehv;
    int64_t T = TAEHV_FACTOR_T, scale = (int64_t)1 << TAEHV_STAGES;
    int64_t H = latent->H * scale, W = latent->W * scale, p = t->shape.patch;
    TRY(pool_take_4d(pool, &s->in, in->T, in->H, in->W, in->C, f));
    if (s->direction == VAE_ENCODE) {
        TRY(pool_take_4d(pool, &s->head, 1, latent->H, latent->W, t->shape.z_dim, f));
        TRY(pool_take_4d(pool, &s->result, T, H * p, W * p, 3, f));
        return ERR_OK;
    }
    TRY(pool_take_4d(pool, &s->head, T, H, W, 3 * p * p, f));
    if (p > 1) TRY(pool_take_4d(pool, &s->result, T, H * p, W * p, 3, f));
out:
    return rc;
}

enum err taehv_stream_make(struct taehv_stream *s, struct taehv *t, enum vae_direction direction,
                           const struct vae_shape *latent, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    const struct taehv_net *net = direction == VAE_DECODE ? &t->decoder : &t->encoder;
    struct vae_shape in = chunk_shape(t, direction, latent), at = in;
    enum dtype type = device_activation(t->dev);
    int64_t biggest = 0;

    ASSERT(latent->H > 0 && latent->W > 0);
    *s = (struct taehv_stream){.taehv = t, .direction = direction};
    for (int i = 0; i < net->n_layers; i++) {
        const struct taehv_layer *l = &net->layer[i];
        if (l->kind == TAEHV_BLOCK || l->kind == TAEHV_SUPER) {
            int64_t dims[] = {1, at.H, at.W, l->c_in};
            TRY(pool_take(pool, &s->past[l->slot], type, 4, dims, f));
            op_fill(t->dev, &s->past[l->slot], 0.0f);
        }
        plan_layer(l, &at, &biggest);
    }
    for (int i = 0; i < n_buffers(net, direction); i++)
        TRY(pool_take(pool, &s->work[i], type, 1, &biggest, f));
    TRY(take_volumes(s, latent, &in, pool, f));
out:
    return rc;
}

/* 3 tanh(x/3): the numbers of a latent are few, so they pass through the host. */
static enum err bound(struct taehv_stream *s, const struct tensor *latent, struct fail *f) {
    int64_t n = tensor_count(latent);
    float *host = mem_take((size_t)n, sizeof *host);
    if (!host) return FAIL(f, ERR_NOMEM, "no memory for a latent");
    op_download(s->taehv->dev, host, latent);
    for (int64_t i = 0; i < n; i++)
        host[i] = 3.0f * tanhf(host[i] / 3.0f);
    op_upload(s->taehv->dev, &s->in, host);
    mem_free(host);
    return ERR_OK;
}

enum err taehv_stream_decode(struct taehv_stream *s, struct tensor *frames,
                             const struct tensor *latent, struct fail *f) {
    enum err rc = ERR_OK;
    const struct taehv *t = s->taehv;
    int p = t->shape.patch, lead = s->n_latents == 0 ? LEAD_FRAMES : 0;
    struct patch patch = {.t = 1, .h = p, .w = p, .order = PATCH_C_T_H_W};
    struct flow w = {.s = s, .dev = t->dev, .net = &t->decoder, .x = {s->in, -1}};

    ASSERT(s->direction == VAE_DECODE && latent->dim[0] == 1);
    if (t->decoder.is_super)
        TRY(op_copy(t->dev, &s->in, latent, f));
    else
        TRY(bound(s, latent, f));
    s->busy = 0;
    s->n_out = 0;
    TRY(run_layers(&w, 0, f));
    ASSERT(s->n_out == TAEHV_FACTOR_T);
    if (p > 1) TRY(op_unpatchify(t->dev, &s->result, &s->head, &patch, f));
    *frames = tensor_rows(p > 1 ? &s->result : &s->head, lead, TAEHV_FACTOR_T - lead);
    s->n_latents++;
out:
    return rc;
}

enum err taehv_stream_encode(struct taehv_stream *s, struct tensor *latent,
                             const struct tensor *pixels, struct fail *f) {
    enum err rc = ERR_OK;
    const struct taehv *t = s->taehv;
    int p = t->shape.patch;
    struct patch patch = {.t = 1, .h = p, .w = p, .order = PATCH_C_T_H_W};
    struct flow w = {.s = s, .dev = t->dev, .net = &t->encoder, .x = {s->in, -1}};

    ASSERT(s->direction == VAE_ENCODE && pixels->dim[0] == TAEHV_FACTOR_T);
    TRY(op_affine(t->dev, &s->result, pixels, &t->half, &t->half, f));
    TRY(op_patchify(t->dev, &s->in, &s->result, &patch, f));
    s->busy = 0;
    s->n_out = 0;
    TRY(run_layers(&w, 0, f));
    *latent = s->head;
    s->n_latents++;
out:
    return rc;
}
