#include "engine/cuda/cuda_linear.h"

#include "engine/cuda/cuda_own.h"
#include "engine/cuda/cuda_product.h"

/* Sums that wait for gate and residual: so few rows at a time that they stay in the second-level
 * cache, so many that the product still fills the device. */
enum { SUM_BYTES = 32 << 20, SUM_ROWS_MIN = 2048 };

/* out = act(out + b), or out += gate * act(sum + b). */
struct finish {
    int64_t n, C;
    const float *b;
    int act;
    const float *sum; /* NULL: act on out itself */
    const float *table;
    const int32_t *index;
    int64_t set_values;
};

template <class O> static __global__ void finish(O *out, struct finish o) {
    int64_t i = cuda_at();
    if (i >= o.n) return;
    int64_t c = i % o.C;
    float v = o.sum ? o.sum[i] : cuda_get(out[i]);
    v = cuda_act(v + (o.b ? o.b[c] : 0), o.act);
    if (o.sum) {
        int64_t set = o.index ? o.index[i / o.C] : 0;
        v = cuda_get(out[i]) + (o.table ? o.table[set * o.set_values + c] : 1) * v;
    }
    cuda_set(out + i, v);
}

/* Four columns at a time of f32 rows; C is a multiple of 4. */
static __global__ void finish_quads(float *out, struct finish o) {
    int64_t i = cuda_at() * 4;
    if (i >= o.n) return;
    int64_t c = i % o.C, set = o.index ? o.index[i / o.C] : 0;
    float4 sum = *(const float4 *)(o.sum + i), to = *(float4 *)(out + i);
    float4 b = make_float4(0, 0, 0, 0), gate = make_float4(1, 1, 1, 1);
    if (o.b) b = *(const float4 *)(o.b + c);
    if (o.table) gate = *(const float4 *)(o.table + set * o.set_values + c);
    to.x += gate.x * cuda_act(sum.x + b.x, o.act);
    to.y += gate.y * cuda_act(sum.y + b.y, o.act);
    to.z += gate.z * cuda_act(sum.z + b.z, o.act);
    to.w += gate.w * cuda_act(sum.w + b.w, o.act);
    *(float4 *)(out + i) = to;
}

/* In the type of the product: x or a copy of it. */
static const void *in_type(struct cuda *c, const struct tensor *t, enum dtype type,
                           enum cuda_scratch which, struct fail *f) {
    if (t->dtype == type) return t->data;
    size_t bytes = (size_t)tensor_count(t) * tensor_dtype_bytes(type);
    void *to = cuda_take(c, which, bytes);
    if (!to) {
        (void)cuda_short(c, bytes, f);
        return NULL;
    }
    cuda_convert(c, to, type, t->data, t->dtype, tensor_n_rows(t), tensor_n_cols(t),
                 tensor_n_cols(t));
    return to;
}

static struct finish finish_of(const struct tensor *out, const struct linear_opts *o) {
    struct finish e = {};
    e.n = tensor_count(out);
    e.C = tensor_n_cols(out);
    e.b = o->b ? (const float *)o->b->data : NULL;
    e.act = o->act;
    if (o->gate) {
        e.table = (const float *)o->gate->table->data + o->gate_row * e.C;
        e.index = o->gate->index ? (const int32_t *)o->gate->index->data : NULL;
        e.set_values = o->gate->table->dim[1] * e.C;
    }
    return e;
}

/* out = act(x w^T + b): all of it in the library where it can. */
static enum err store(struct cuda *c, struct tensor *out, struct cuda_product *p,
                      const struct linear_opts *o, struct fail *f) {
    struct tensor bias;
    struct finish e = finish_of(out, o);
    p->out = out->data;
    p->out_type = out->dtype;
    p->has_gelu = o->act == ACT_GELU_TANH && out->dtype == DTYPE_BF16;
    if (o->b && (p->has_gelu || o->act == ACT_NONE)) {
        bias = *o->b;
        p->b = in_type(c, &bias, out->dtype, CUDA_SCRATCH_B, f);
        if (!p->b) return ERR_NOMEM;
    }
    enum err rc = cuda_product_run(c, p, f);
    if (rc == ERR_OK && !p->has_gelu && o->act != ACT_NONE)
        cuda_typed(out, [&](auto *to) {
            cuda_each(c, "linear", finish<std::remove_pointer_t<decltype(to)>>, e.n, to, e);
        });
    return rc;
}

static bool is_wide(const void *p) {
    return (uintptr_t)p % 16 == 0;
}

/* Rows first .. first+n-1 of out += gate * (sum + b). */
static void add_rows(struct cuda *c, const struct tensor *out, const float *sum, int64_t first,
                     int64_t n, struct finish e) {
    float *to = (float *)out->data + first * e.C;
    e.n = n * e.C;
    e.sum = sum;
    if (e.index) e.index += first;
    if (e.C % 4 == 0 && is_wide(to) && is_wide(e.b) && is_wide(e.table))
        cuda_each(c, "linear_add", finish_quads, e.n / 4, to, e);
    else
        cuda_each(c, "linear_add", finish<float>, e.n, to, e);
}

/* out += gate * (x w^T + b). */
static enum err add(struct cuda *c, struct tensor *out, struct cuda_product *p,
                    const struct linear_opts *o, struct fail *f) {
    size_t each = tensor_dtype_bytes(p->type), row = (size_t)p->O * sizeof(float);
    int64_t N = p->N, step = (int64_t)(SUM_BYTES / (row + 1));
    if (step < SUM_ROWS_MIN) step = SUM_ROWS_MIN;
    if (step > N) step = N;
    float *sum = (float *)cuda_take(c, CUDA_SCRATCH_SUM, (size_t)step * row);
    if (!sum) return cuda_short(c, (size_t)step * row, f);
    const char *x = (const char *)p->x;
    p->out = sum;
    p->out_type = DTYPE_F32;
    for (int64_t first = 0; first < N; first += step) {
        p->N = N - first < step ? N - first : step;
        p->x = x + (size_t)(first * p->K) * each;
        enum err rc = cuda_product_run(c, p, f);
        if (rc != ERR_OK) return rc;
        add_rows(c, out, sum, first, p->N, finish_of(out, o));
    }
    return ERR_OK;
}

enum err cuda_linear_run(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct tensor *w, const struct linear_opts *o, struct fail *f) {
    struct cuda *c = cuda_of(dev);
    struct cuda_product p = {};
    p.N = tensor_n_rows(x);
    p.K = tensor_n_cols(x);
    p.O = w->dim[0];
    if (p.N == 0 || p.O == 0) return ERR_OK;
    bool is_half = w->dtype == DTYPE_BF16 && dev->precision != PRECISION_F32;
    p.type = is_half ? DTYPE_BF16 : DTYPE_F32;
    p.x_stride = p.w_stride = p.K;
    p.out_stride = p.O;
    p.scale = 1;
    p.x = in_type(c, x, p.type, CUDA_SCRATCH_X, f);
    if (!p.x) return ERR_NOMEM;
    p.w = in_type(c, w, p.type, CUDA_SCRATCH_W, f);
    if (!p.w) return ERR_NOMEM;
    enum err rc = o->add ? add(c, out, &p, o, f) : store(c, out, &p, o, f);
    return rc == ERR_OK ? cuda_check(c, f) : rc;
}
