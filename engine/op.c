#include "engine/op.h"

#include "common/base/assert.h"

/* All shape errors are ours, so they are ERR_BUG, but they are reported, not asserted: a model
 * folder that slipped through must not kill the worker. */
#define WANT(cond, ...)                                    \
    do {                                                   \
        if (!(cond)) return FAIL(f, ERR_BUG, __VA_ARGS__); \
    } while (0)

#define WANT_SHAPES(cond, op, a, b)                  \
    do {                                             \
        if (!(cond)) return shape_fail(op, a, b, f); \
    } while (0)

static enum err shape_fail(const char *op, const struct tensor *a, const struct tensor *b,
                           struct fail *f) {
    char ta[TENSOR_SHAPE_TEXT_MAX], tb[TENSOR_SHAPE_TEXT_MAX];
    return FAIL(f, ERR_BUG, "%s: %s %s does not go with %s %s", op, tensor_dtype_name(a->dtype),
                tensor_shape_text(a, ta), tensor_dtype_name(b->dtype), tensor_shape_text(b, tb));
}

static int is_f32(const struct tensor *t) {
    return t->data && t->dtype == DTYPE_F32 && t->layout == LAYOUT_ROWS;
}

static int is_real(const struct tensor *t) {
    return t->data && (t->dtype == DTYPE_F32 || t->dtype == DTYPE_BF16) && t->layout == LAYOUT_ROWS;
}

/* Rows of weights as they lie in a file. */
static int is_rows(const struct tensor *t) {
    return is_real(t) || (t->data && t->dtype == DTYPE_F16 && t->layout == LAYOUT_ROWS);
}

static int is_vector(const struct tensor *t, int64_t n) {
    return !t || (is_f32(t) && tensor_count(t) == n);
}

#define TIMED(id, call)                     \
    do {                                    \
        int64_t start_ns = device_now_ns(); \
        call;                               \
        device_spend(dev, id, start_ns);    \
    } while (0)

void op_upload(struct device *dev, struct tensor *to, const void *host) {
    dev->ops->upload(dev, to->data, host, tensor_bytes(to));
}

void op_download(struct device *dev, void *host, const struct tensor *from) {
    dev->ops->download(dev, host, from->data, tensor_bytes(from));
}

enum err op_copy(struct device *dev, struct tensor *to, const struct tensor *from, struct fail *f) {
    WANT_SHAPES(tensor_bytes(to) == tensor_bytes(from), "copy", to, from);
    dev->ops->copy(dev, to->data, from->data, tensor_bytes(to));
    return ERR_OK;
}

enum err op_check(struct device *dev, struct fail *f) {
    return dev->ops->check ? dev->ops->check(dev, f) : ERR_OK;
}

void op_fill(struct device *dev, struct tensor *out, float value) {
    ASSERT(is_real(out));
    dev->ops->fill(dev, out, value);
}

size_t op_packed(struct device *dev, struct tensor *w) {
    ASSERT(w->n_dims == 2 || w->n_dims == 5);
    return dev->ops->packed(dev, w);
}

void op_pack(struct device *dev, struct tensor *w, const float *rows, int64_t first, int64_t n) {
    ASSERT(first >= 0 && n >= 0 && first + n <= w->dim[0] && first % OP_PACK_ROWS == 0);
    dev->ops->pack(dev, w, rows, first, n);
}

static enum err linear_check(const struct tensor *out, const struct tensor *x,
                             const struct tensor *w, const struct tensor *b, struct fail *f) {
    WANT_SHAPES(is_real(x) && (is_rows(w) || (w->data && w->layout == LAYOUT_PACKED)) &&
                    w->n_dims == 2 && tensor_n_cols(x) == w->dim[1],
                "linear: x and w", x, w);
    WANT_SHAPES(is_real(out) && tensor_n_rows(out) == tensor_n_rows(x) &&
                    tensor_n_cols(out) == w->dim[0],
                "linear: out and w", out, w);
    WANT(is_vector(b, w->dim[0]), "linear: the bias has %lld entries", (long long)tensor_count(b));
    return ERR_OK;
}

enum err op_linear(struct device *dev, struct tensor *out, const struct tensor *x,
                   const struct tensor *w, const struct tensor *b, enum act act, struct fail *f) {
    enum err rc = ERR_OK;
    struct linear_opts o = {.b = b, .act = act};
    TRY(linear_check(out, x, w, b, f));
    TIMED(DEVICE_OP_LINEAR, rc = dev->ops->linear(dev, out, x, w, &o, f));
out:
    return rc;
}

enum err op_attention(struct device *dev, struct tensor *out, const struct tensor *q,
                      const struct tensor *k, const struct tensor *v,
                      const struct attention_opts *o, struct fail *f) {
    int64_t C = tensor_n_cols(q), nq = tensor_n_rows(q), nk = tensor_n_rows(k);
    WANT(o->n_heads > 0 && C % o->n_heads == 0, "attention: %lld channels in %d heads",
         (long long)C, o->n_heads);
    WANT_SHAPES(is_real(q) && is_real(out) && out->dtype == q->dtype && tensor_n_rows(out) == nq &&
                    tensor_n_cols(out) == C,
                "attention: out and q", out, q);
    WANT_SHAPES(is_real(k) && is_real(v) && k->dtype == q->dtype && v->dtype == q->dtype &&
                    tensor_n_rows(v) == nk && nk > 0 && tensor_n_cols(k) == C &&
                    tensor_n_cols(v) == C,
                "attention: k and v", k, v);
    WANT(is_vector(o->key_bias, nk), "attention: the key bias does not have %lld entries",
         (long long)nk);
    WANT(is_vector(o->bias, o->n_heads * nq * nk), "attention: the bias is not [%d,%lld,%lld]",
         o->n_heads, (long long)nq, (long long)nk);
    enum err rc = ERR_OK;
    TIMED(DEVICE_OP_ATTENTION, rc = dev->ops->attention(dev, out, q, k, v, o, f));
    return rc;
}

enum err op_norm(struct device *dev, struct tensor *out, const struct tensor *x,
                 const struct norm_opts *o, struct fail *f) {
    int64_t C = tensor_n_cols(x);
    WANT_SHAPES(is_real(x) && is_real(out) && tensor_count(out) == tensor_count(x) &&
                    tensor_n_cols(out) == C,
                "norm", out, x);
    WANT(C <= OP_ROW_MAX, "norm: a row of %lld numbers", (long long)C);
    WANT(is_vector(o->w, C) && is_vector(o->b, C), "norm: weight or bias has not %lld entries",
         (long long)C);
    TIMED(DEVICE_OP_NORM, dev->ops->norm(dev, out, x, o));
    return ERR_OK;
}

static enum err mod_check(const struct mod_table *m, const struct tensor *x, int row,
                          struct fail *f) {
    const struct tensor *t = m->table;
    WANT(tensor_n_cols(x) <= OP_ROW_MAX, "modulation: a row of %lld numbers",
         (long long)tensor_n_cols(x));
    WANT_SHAPES(is_f32(t) && t->n_dims == 3 && t->dim[2] == tensor_n_cols(x) && row >= 0 &&
                    row < t->dim[1],
                "modulation: table and x", t, x);
    WANT(!m->index || (m->index->dtype == DTYPE_I32 && tensor_count(m->index) == tensor_n_rows(x)),
         "modulation: the index does not have one entry per token");
    return ERR_OK;
}

enum err op_linear_add(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct tensor *w, const struct tensor *b, const struct mod_table *gate,
                       int gate_row, struct fail *f) {
    enum err rc = ERR_OK;
    struct linear_opts o = {.b = b, .add = true, .gate = gate, .gate_row = gate_row};
    TRY(linear_check(out, x, w, b, f));
    WANT_SHAPES(is_f32(out), "linear_add", out, x);
    if (gate) TRY(mod_check(gate, out, gate_row, f));
    TIMED(DEVICE_OP_LINEAR, rc = dev->ops->linear(dev, out, x, w, &o, f));
out:
    return rc;
}

enum err op_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct mod_table *mod, int shift_row, int scale_row, float eps,
                     struct fail *f) {
    enum err rc = ERR_OK;
    WANT_SHAPES(is_real(out) && is_real(x) && tensor_count(out) == tensor_count(x), "norm_mod", out,
                x);
    TRY(mod_check(mod, x, shift_row, f));
    TRY(mod_check(mod, x, scale_row, f));
    TIMED(DEVICE_OP_MODULATE, dev->ops->norm_mod(dev, out, x, mod, shift_row, scale_row, eps));
out:
    return rc;
}

enum err op_gate_add(struct device *dev, struct tensor *x, const struct tensor *y,
                     const struct mod_table *mod, int gate_row, struct fail *f) {
    enum err rc = ERR_OK;
    WANT_SHAPES(is_real(x) && is_real(y) && tensor_count(x) == tensor_count(y), "gate_add", x, y);
    TRY(mod_check(mod, x, gate_row, f));
    TIMED(DEVICE_OP_MODULATE, dev->ops->gate_add(dev, x, y, mod, gate_row));
out:
    return rc;
}

enum err op_rope(struct device *dev, struct tensor *x, const struct tensor *table, int n_heads,
                 struct fail *f) {
    WANT(tensor_n_cols(x) <= OP_ROW_MAX, "rope: a row of %lld numbers",
         (long long)tensor_n_cols(x));
    WANT_SHAPES(is_real(x) && is_f32(table) && n_heads > 0 &&
                    tensor_n_rows(table) == tensor_n_rows(x) &&
                    tensor_n_cols(table) * n_heads == tensor_n_cols(x),
                "rope: x and table", x, table);
    TIMED(DEVICE_OP_ROPE, dev->ops->rope(dev, x, table, n_heads));
    return ERR_OK;
}

enum err op_act(struct device *dev, struct tensor *out, const struct tensor *x, enum act act,
                struct fail *f) {
    WANT_SHAPES(is_real(out) && is_real(x) && tensor_count(out) == tensor_count(x), "act", out, x);
    TIMED(DEVICE_OP_ELEMENT, dev->ops->act(dev, out, x, act));
    return ERR_OK;
}

static enum err same_check(const char *op, const struct tensor *out, const struct tensor *a,
                           const struct tensor *b, struct fail *f) {
    WANT_SHAPES(is_real(out) && is_real(a) && tensor_count(out) == tensor_count(a), op, out, a);
    WANT_SHAPES(is_real(b) && tensor_count(a) == tensor_count(b), op, a, b);
    return ERR_OK;
}

enum err op_add_scaled(struct device *dev, struct tensor *out, const struct tensor *a,
                       const struct tensor *b, float s, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(same_check("add_scaled", out, a, b, f));
    TIMED(DEVICE_OP_ELEMENT, dev->ops->add_scaled(dev, out, a, b, s));
out:
    return rc;
}

enum err op_mul(struct device *dev, struct tensor *out, const struct tensor *a,
                const struct tensor *b, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(same_check("mul", out, a, b, f));
    TIMED(DEVICE_OP_ELEMENT, dev->ops->mul(dev, out, a, b));
out:
    return rc;
}

enum err op_affine(struct device *dev, struct tensor *out, const struct tensor *x,
                   const struct tensor *scale, const struct tensor *shift, struct fail *f) {
    int64_t C = tensor_n_cols(x);
    WANT_SHAPES(is_real(out) && is_real(x) && tensor_count(out) == tensor_count(x), "affine", out,
                x);
    WANT(C <= OP_ROW_MAX, "affine: a row of %lld numbers", (long long)C);
    WANT(scale && shift && is_vector(scale, C) && is_vector(shift, C),
         "affine: scale and shift need %lld entries", (long long)C);
    TIMED(DEVICE_OP_ELEMENT, dev->ops->affine(dev, out, x, scale, shift));
    return ERR_OK;
}

static int is_volume(const struct tensor *t) {
    return is_real(t) && t->n_dims == 4;
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
    int64_t H = x->dim[1] << o->is_doubled, W = x->dim[2] << o->is_doubled;
    WANT(w && (is_f32(w) || (w->data && w->layout == LAYOUT_PACKED)) && w->n_dims == 5 &&
             w->dim[4] == x->dim[3],
         "conv: the kernel does not read %lld channels", (long long)x->dim[3]);
    WANT(is_vector(o->b, w->dim[0]), "conv: the bias does not have %lld entries",
         (long long)w->dim[0]);
    WANT(!c || (is_volume(c) && c->dtype == x->dtype &&
                has_shape(c, c->dim[0], x->dim[1], x->dim[2], x->dim[3])),
         "conv: the cached frames differ from the new ones");
    WANT(o->oldest >= 0 && o->oldest < (c && c->dim[0] > 0 ? c->dim[0] : 1),
         "conv: the cache has no frame %d", o->oldest);
    WANT(o->stride_t >= 1 && o->stride_t <= 2 && o->stride_s >= 1 && o->stride_s <= 2,
         "conv: bad strides");
    WANT(o->stride_s == 1 || (H % 2 == 0 && W % 2 == 0), "conv: odd sides cannot be halved");
    int64_t T = (c ? c->dim[0] : 0) + x->dim[0] - w->dim[1];
    WANT(T >= 0, "conv: %lld frames are missing", (long long)-T);
    if (!has_shape(out, T / o->stride_t + 1, H / o->stride_s, W / o->stride_s, w->dim[0]))
        return volume_fail("conv", out, x, f);
    if (o->add && (!is_volume(o->add) || !tensor_same_shape(o->add, out)))
        return volume_fail("conv: add", out, o->add, f);
    return ERR_OK;
}

enum err op_conv(struct device *dev, struct tensor *out, const struct tensor *x,
                 const struct conv_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    if (!is_volume(out) || !is_volume(x)) return volume_fail("conv", out, x, f);
    TRY(conv_check(out, x, o, f));
    TIMED(DEVICE_OP_CONV, rc = dev->ops->conv(dev, out, x, o, f));
out:
    return rc;
}

enum err op_depthwise(struct device *dev, struct tensor *out, const struct tensor *x,
                      const struct tensor *w, struct fail *f) {
    if (!is_volume(out) || !is_volume(x) || !tensor_same_shape(out, x) || !is_f32(w) ||
        w->n_dims != 3 || w->dim[0] != x->dim[3])
        return volume_fail("depthwise", out, x, f);
    TIMED(DEVICE_OP_CONV, dev->ops->depthwise(dev, out, x, w));
    return ERR_OK;
}

void op_conv_weight(float *out, const float *torch, int64_t O, int64_t C, int64_t k_positions) {
    for (int64_t o = 0; o < O; o++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t k = 0; k < k_positions; k++)
                out[(o * k_positions + k) * C + c] = torch[(o * C + c) * k_positions + k];
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

static enum err patch_check(const struct tensor *cells, const struct tensor *x,
                            const struct patch *p, struct fail *f) {
    int64_t C = x->dim[3] * p->t * p->h * p->w;
    if (!is_volume(x) || p->t < 1 || p->h < 1 || p->w < 1 || x->dim[0] % p->t || x->dim[1] % p->h ||
        x->dim[2] % p->w || !is_real(cells) || tensor_n_cols(cells) != C ||
        tensor_count(cells) != tensor_count(x))
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
    WANT(out->dtype == DTYPE_U8 && is_real(x) && tensor_n_cols(x) == 3 &&
             tensor_count(out) == tensor_count(x),
         "pack_rgb: %lld values into %lld bytes", (long long)tensor_count(x),
         (long long)tensor_count(out));
    TIMED(DEVICE_OP_VOLUME, dev->ops->pack_rgb(dev, out, x));
    return ERR_OK;
}
