/* op_volume.c - the ops over channels-last volumes; the other half of op.c. */
#include "common/base/assert.h"
#include "engine/op.h"

#define WANT(cond, ...) \
    do { \
        if (!(cond)) return FAIL(f, ERR_BUG, __VA_ARGS__); \
    } while (0)

#define TIMED(id, call) \
    do { \
        int64_t start_ns = device_now_ns(); \
        call; \
        device_spend(dev, id, start_ns); \
    } while (0)

static int is_volume(const struct tensor *t) {
    return t->data && t->dtype == DTYPE_F32 && t->n_dims == 4;
}

static int has_shape(const struct tensor *t, int64_t T, int64_t H, int64_t W, int64_t C) {
    return t->dim[0] == T && t->dim[1] == H && t->dim[2] == W && t->dim[3] == C;
}

static enum err volume_fail(const char *op, const struct tensor *out, const struct tensor *x,
                            struct fail *f) {
    char to[TENSOR_SHAPE_TEXT_MAX], tx[TENSOR_SHAPE_TEXT_MAX];
    return FAIL(f, ERR_BUG, "%s: out %s does not go with x %s", op, tensor_shape_text(out, to),
                tensor_shape_text(x, tx));
}

static enum err conv_check(const struct tensor *out, const struct tensor *x,
                           const struct conv_opts *o, struct fail *f) {
    const struct tensor *w = o->w, *c = o->cache;
    WANT(w && w->data && w->n_dims == 5 && w->dim[4] == x->dim[3],
         "conv: the kernel does not read %lld channels", (long long)x->dim[3]);
    WANT(!o->b || tensor_count(o->b) == w->dim[0], "conv: the bias does not have %lld entries",
         (long long)w->dim[0]);
    WANT(!c || (is_volume(c) && has_shape(c, c->dim[0], x->dim[1], x->dim[2], x->dim[3])),
         "conv: the cached frames differ from the new ones");
    WANT(o->stride_t >= 1 && o->stride_t <= 2 && o->stride_s >= 1 && o->stride_s <= 2 &&
             o->n_zero >= 0,
         "conv: bad strides");
    WANT(o->stride_s == 1 || (x->dim[1] % 2 == 0 && x->dim[2] % 2 == 0),
         "conv: odd sides cannot be halved");
    int64_t T = o->n_zero + (c ? c->dim[0] : 0) + x->dim[0] - w->dim[1];
    WANT(T >= 0, "conv: %lld frames are missing", (long long)-T);
    if (!has_shape(out, T / o->stride_t + 1, x->dim[1] / o->stride_s, x->dim[2] / o->stride_s,
                   w->dim[0]))
        return volume_fail("conv", out, x, f);
    return ERR_OK;
}

enum err op_conv(struct device *dev, struct tensor *out, const struct tensor *x,
                 const struct conv_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    if (!is_volume(out) || !is_volume(x)) return volume_fail("conv", out, x, f);
    TRY(conv_check(out, x, o, f));
    TIMED(DEVICE_OP_CONV, dev->ops->conv(dev, out, x, o));
out:
    return rc;
}

void op_conv_weight(float *out, const float *torch, int64_t O, int64_t C, int64_t k_positions) {
    for (int64_t o = 0; o < O; o++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t k = 0; k < k_positions; k++)
                out[(o * k_positions + k) * C + c] = torch[(o * C + c) * k_positions + k];
}

enum err op_upsample2(struct device *dev, struct tensor *out, const struct tensor *x,
                      struct fail *f) {
    if (!is_volume(out) || !is_volume(x) ||
        !has_shape(out, x->dim[0], 2 * x->dim[1], 2 * x->dim[2], x->dim[3]))
        return volume_fail("upsample2", out, x, f);
    TIMED(DEVICE_OP_VOLUME, dev->ops->upsample2(dev, out, x));
    return ERR_OK;
}

enum err op_time_split(struct device *dev, struct tensor *out, const struct tensor *x,
                       struct fail *f) {
    if (!is_volume(out) || !is_volume(x) || x->dim[3] % 2 ||
        !has_shape(out, 2 * x->dim[0], x->dim[1], x->dim[2], x->dim[3] / 2))
        return volume_fail("time_split", out, x, f);
    TIMED(DEVICE_OP_VOLUME, dev->ops->time_split(dev, out, x));
    return ERR_OK;
}

enum err op_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                       int fs, int n_drop, struct fail *f) {
    if (!is_volume(out) || !is_volume(x) || ft < 1 || fs < 1 || n_drop < 0 ||
        !has_shape(out, x->dim[0] * ft - n_drop, x->dim[1] * fs, x->dim[2] * fs, out->dim[3]) ||
        (out->dim[3] * ft * fs * fs) % x->dim[3])
        return volume_fail("dup_up", out, x, f);
    TIMED(DEVICE_OP_VOLUME, dev->ops->dup_up_add(dev, out, x, ft, fs, n_drop));
    return ERR_OK;
}

enum err op_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                         int fs, int n_zero, struct fail *f) {
    if (!is_volume(out) || !is_volume(x) || ft < 1 || fs < 1 || n_zero < 0 ||
        (x->dim[0] + n_zero) % ft || x->dim[1] % fs || x->dim[2] % fs ||
        !has_shape(out, (x->dim[0] + n_zero) / ft, x->dim[1] / fs, x->dim[2] / fs, out->dim[3]) ||
        (x->dim[3] * ft * fs * fs) % out->dim[3])
        return volume_fail("avg_down", out, x, f);
    TIMED(DEVICE_OP_VOLUME, dev->ops->avg_down_add(dev, out, x, ft, fs, n_zero));
    return ERR_OK;
}

enum err op_embed(struct device *dev, struct tensor *out, const struct tensor *table,
                  const struct tensor *ids, struct fail *f) {
    WANT(ids->dtype == DTYPE_I32 && tensor_count(ids) == tensor_n_rows(out) &&
             table->n_dims == 2 && table->dim[1] == tensor_n_cols(out) &&
             out->dtype == DTYPE_F32,
         "embed: %lld ids of %lld columns into %lld x %lld", (long long)tensor_count(ids),
         (long long)tensor_n_cols(table), (long long)tensor_n_rows(out),
         (long long)tensor_n_cols(out));
    TIMED(DEVICE_OP_VOLUME, dev->ops->embed(dev, out, table, ids));
    return ERR_OK;
}

static enum err patch_check(const struct tensor *cells, const struct tensor *x,
                            const struct patch *p, struct fail *f) {
    int64_t C = x->dim[3] * p->t * p->h * p->w;
    if (!is_volume(x) || p->t < 1 || p->h < 1 || p->w < 1 || x->dim[0] % p->t ||
        x->dim[1] % p->h || x->dim[2] % p->w || cells->dtype != DTYPE_F32 ||
        tensor_n_cols(cells) != C || tensor_count(cells) != tensor_count(x))
        return volume_fail("patchify", cells, x, f);
    return ERR_OK;
}

enum err op_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct patch *p, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(patch_check(out, x, p, f));
    TIMED(DEVICE_OP_VOLUME, dev->ops->patchify(dev, out, x, p));
out:
    return rc;
}

enum err op_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct patch *p, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(patch_check(x, out, p, f));
    TIMED(DEVICE_OP_VOLUME, dev->ops->unpatchify(dev, out, x, p));
out:
    return rc;
}

enum err op_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x,
                     struct fail *f) {
    WANT(out->dtype == DTYPE_U8 && x->dtype == DTYPE_F32 && tensor_n_cols(x) == 3 &&
             tensor_count(out) == tensor_count(x),
         "pack_rgb: %lld values into %lld bytes", (long long)tensor_count(x),
         (long long)tensor_count(out));
    TIMED(DEVICE_OP_VOLUME, dev->ops->pack_rgb(dev, out, x));
    return ERR_OK;
}
