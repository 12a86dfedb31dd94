#include "engine/op.h"

#include "common/base/assert.h"

/* All shape errors are ours, so they are ERR_BUG, but they are reported, not asserted: a model
 * folder that slipped through must not kill the worker. */
#define WANT(cond, ...) \
    do { \
        if (!(cond)) return FAIL(f, ERR_BUG, __VA_ARGS__); \
    } while (0)

#define WANT_SHAPES(cond, op, a, b) \
    do { \
        if (!(cond)) return shape_fail(op, a, b, f); \
    } while (0)

static enum err shape_fail(const char *op, const struct tensor *a, const struct tensor *b,
                           struct fail *f) {
    char ta[TENSOR_SHAPE_TEXT_MAX], tb[TENSOR_SHAPE_TEXT_MAX];
    return FAIL(f, ERR_BUG, "%s: %s %s does not go with %s %s", op, tensor_dtype_name(a->dtype),
                tensor_shape_text(a, ta), tensor_dtype_name(b->dtype), tensor_shape_text(b, tb));
}

static int is_f32(const struct tensor *t) {
    return t->data && t->dtype == DTYPE_F32;
}

static int is_vector(const struct tensor *t, int64_t n) {
    return !t || (is_f32(t) && tensor_count(t) == n);
}

#define TIMED(id, call) \
    do { \
        int64_t start_ns = device_now_ns(); \
        call; \
        device_spend(dev, id, start_ns); \
    } while (0)

void op_upload(struct device *dev, struct tensor *to, const void *host) {
    dev->ops->upload(dev, to->data, host, tensor_bytes(to));
}

void op_download(struct device *dev, void *host, const struct tensor *from) {
    dev->ops->download(dev, host, from->data, tensor_bytes(from));
}

enum err op_copy(struct device *dev, struct tensor *to, const struct tensor *from,
                 struct fail *f) {
    WANT_SHAPES(tensor_bytes(to) == tensor_bytes(from), "copy", to, from);
    dev->ops->copy(dev, to->data, from->data, tensor_bytes(to));
    return ERR_OK;
}

void op_fill(struct device *dev, struct tensor *out, float value) {
    ASSERT(out->dtype == DTYPE_F32);
    dev->ops->fill(dev, out, value);
}

enum err op_cast(struct device *dev, struct tensor *out, const struct tensor *x, struct fail *f) {
    int is_float = x->dtype == DTYPE_F32 || x->dtype == DTYPE_BF16 || x->dtype == DTYPE_F16;
    WANT_SHAPES(is_f32(out) && is_float && tensor_count(out) == tensor_count(x), "cast", out, x);
    dev->ops->cast(dev, out, x);
    return ERR_OK;
}

enum err op_linear(struct device *dev, struct tensor *out, const struct tensor *x,
                   const struct tensor *w, const struct tensor *b, enum act act, struct fail *f) {
    WANT_SHAPES(is_f32(x) && is_f32(w) && w->n_dims == 2 && tensor_n_cols(x) == w->dim[1],
                "linear: x and w", x, w);
    WANT_SHAPES(is_f32(out) && tensor_n_rows(out) == tensor_n_rows(x) &&
                    tensor_n_cols(out) == w->dim[0],
                "linear: out and w", out, w);
    WANT(is_vector(b, w->dim[0]), "linear: the bias has %lld entries", (long long)tensor_count(b));
    TIMED(DEVICE_OP_LINEAR, dev->ops->linear(dev, out, x, w, b, act));
    return ERR_OK;
}

enum err op_attention(struct device *dev, struct tensor *out, const struct tensor *q,
                      const struct tensor *k, const struct tensor *v,
                      const struct attention_opts *o, struct fail *f) {
    int64_t C = tensor_n_cols(q), nq = tensor_n_rows(q), nk = tensor_n_rows(k);
    WANT(o->n_heads > 0 && C % o->n_heads == 0, "attention: %lld channels in %d heads",
         (long long)C, o->n_heads);
    WANT_SHAPES(is_f32(q) && is_f32(out) && tensor_n_rows(out) == nq && tensor_n_cols(out) == C,
                "attention: out and q", out, q);
    WANT_SHAPES(is_f32(k) && is_f32(v) && tensor_n_rows(v) == nk && nk > 0 &&
                    tensor_n_cols(k) == C && tensor_n_cols(v) == C,
                "attention: k and v", k, v);
    WANT(is_vector(o->key_bias, nk), "attention: the key bias does not have %lld entries",
         (long long)nk);
    WANT(is_vector(o->bias, o->n_heads * nq * nk), "attention: the bias is not [%d,%lld,%lld]",
         o->n_heads, (long long)nq, (long long)nk);
    TIMED(DEVICE_OP_ATTENTION, dev->ops->attention(dev, out, q, k, v, o));
    return ERR_OK;
}

enum err op_norm(struct device *dev, struct tensor *out, const struct tensor *x,
                 const struct norm_opts *o, struct fail *f) {
    int64_t C = tensor_n_cols(x);
    WANT_SHAPES(is_f32(x) && is_f32(out) && tensor_count(out) == tensor_count(x) &&
                    tensor_n_cols(out) == C,
                "norm", out, x);
    WANT(is_vector(o->w, C) && is_vector(o->b, C), "norm: weight or bias has not %lld entries",
         (long long)C);
    TIMED(DEVICE_OP_NORM, dev->ops->norm(dev, out, x, o));
    return ERR_OK;
}

static enum err mod_check(const struct mod_table *m, const struct tensor *x, int row,
                          struct fail *f) {
    const struct tensor *t = m->table;
    WANT_SHAPES(is_f32(t) && t->n_dims == 3 && t->dim[2] == tensor_n_cols(x) && row >= 0 &&
                    row < t->dim[1],
                "modulation: table and x", t, x);
    WANT(!m->index || (m->index->dtype == DTYPE_I32 && tensor_count(m->index) == tensor_n_rows(x)),
         "modulation: the index does not have one entry per token");
    return ERR_OK;
}

enum err op_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct mod_table *mod, int shift_row, int scale_row, float eps,
                     struct fail *f) {
    enum err rc = ERR_OK;
    WANT_SHAPES(is_f32(out) && is_f32(x) && tensor_count(out) == tensor_count(x), "norm_mod", out,
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
    WANT_SHAPES(is_f32(x) && is_f32(y) && tensor_count(x) == tensor_count(y), "gate_add", x, y);
    TRY(mod_check(mod, x, gate_row, f));
    TIMED(DEVICE_OP_MODULATE, dev->ops->gate_add(dev, x, y, mod, gate_row));
out:
    return rc;
}

enum err op_rope(struct device *dev, struct tensor *x, const struct tensor *table, int n_heads,
                 struct fail *f) {
    WANT_SHAPES(is_f32(x) && is_f32(table) && n_heads > 0 &&
                    tensor_n_rows(table) == tensor_n_rows(x) &&
                    tensor_n_cols(table) * n_heads == tensor_n_cols(x),
                "rope: x and table", x, table);
    TIMED(DEVICE_OP_ROPE, dev->ops->rope(dev, x, table, n_heads));
    return ERR_OK;
}

enum err op_act(struct device *dev, struct tensor *out, const struct tensor *x, enum act act,
                struct fail *f) {
    WANT_SHAPES(is_f32(out) && is_f32(x) && tensor_count(out) == tensor_count(x), "act", out, x);
    TIMED(DEVICE_OP_ELEMENT, dev->ops->act(dev, out, x, act));
    return ERR_OK;
}

static enum err same_check(const char *op, const struct tensor *out, const struct tensor *a,
                           const struct tensor *b, struct fail *f) {
    WANT_SHAPES(is_f32(out) && is_f32(a) && tensor_count(out) == tensor_count(a), op, out, a);
    WANT_SHAPES(is_f32(b) && tensor_count(a) == tensor_count(b), op, a, b);
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
    WANT_SHAPES(is_f32(out) && is_f32(x) && tensor_count(out) == tensor_count(x), "affine", out,
                x);
    WANT(scale && shift && is_vector(scale, C) && is_vector(shift, C),
         "affine: scale and shift need %lld entries", (long long)C);
    TIMED(DEVICE_OP_ELEMENT, dev->ops->affine(dev, out, x, scale, shift));
    return ERR_OK;
}

void op_noise(struct device *dev, struct tensor *out, const struct noise_key *key,
              uint64_t first) {
    ASSERT(is_f32(out));
    dev->ops->noise(dev, out, key, first);
}
