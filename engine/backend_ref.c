#include "engine/backend_ref.h"

#include <math.h>
#include <stdio.h>

#include "engine/backend_host.h"
#include "engine/backend_ref_volume.h"

enum { REF_HEAD_DIM_MAX = 2048 };

static double get(const struct tensor *t, int64_t i) {
    return (double)backend_host_get(t, i);
}

static void set(const struct tensor *t, int64_t i, double v) {
    backend_host_set(t, i, (float)v);
}

/* Sums are double whatever is asked for; bf16 only says what models store. */
static enum err ref_open(struct device *dev, const struct device_opts *opts, struct fail *f) {
    if (opts->precision == PRECISION_INT8)
        return FAIL(f, ERR_UNSUPPORTED, "the oracle does not multiply in int8");
    dev->precision = opts->precision == PRECISION_BF16 ? PRECISION_BF16 : PRECISION_F32;
    return ERR_OK;
}

static void ref_close(struct device *dev) {
    (void)dev;
}

static void ref_report(struct device *dev, char *out, size_t size) {
    (void)dev;
    snprintf(out, size, "ref: plain loops, double sums, 1 thread");
}

double backend_ref_act(double x, enum act act) {
    switch (act) {
    case ACT_SILU: return x / (1 + exp(-x));
    case ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACT_RELU: return x > 0 ? x : x * 0; /* what is no number stays none */
    case ACT_GELU_ERF: return 0.5 * x * (1 + erf(x / sqrt(2)));
    default: return x;
    }
}

static enum err ref_linear(struct device *dev, struct tensor *out, const struct tensor *x,
                           const struct tensor *w, const struct linear_opts *o, struct fail *f) {
    (void)dev, (void)f;
    int64_t N = tensor_n_rows(x), K = tensor_n_cols(x), O = w->dim[0];
    for (int64_t i = 0; i < N; i++) {
        const float *gate = o->gate ? op_mod_row(o->gate, i, o->gate_row) : NULL;
        for (int64_t j = 0; j < O; j++) {
            double sum = o->b ? get(o->b, j) : 0;
            for (int64_t k = 0; k < K; k++)
                sum += get(x, i * K + k) * get(w, j * K + k);
            sum = backend_ref_act(sum, o->act);
            if (o->add) sum = get(out, i * O + j) + (gate ? (double)gate[j] : 1) * sum;
            set(out, i * O + j, sum);
        }
    }
    return ERR_OK;
}

/* The oracle packs nothing. */
static size_t ref_packed(struct device *dev, struct tensor *w) {
    (void)dev;
    w->dtype = DTYPE_F32;
    w->layout = LAYOUT_ROWS;
    return tensor_bytes(w);
}

static void ref_pack(struct device *dev, struct tensor *w, const float *rows, int64_t first,
                     int64_t n) {
    int64_t K = tensor_count(w) / (w->dim[0] ? w->dim[0] : 1);
    backend_host_move(dev, (float *)w->data + first * K, rows, (size_t)(n * K) * sizeof *rows);
}

/* n products of a from element `at` and b from element `bt` on. */
static double dot(const struct tensor *a, int64_t at, const struct tensor *b, int64_t bt,
                  int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += get(a, at + i) * get(b, bt + i);
    return sum;
}

/* One query of one head. */
struct query {
    struct tensor *out;
    const struct tensor *q, *k, *v;
    const float *key_bias, *bias;
    int64_t at, head_at, D; /* first element in q and out; first column of the head */
    double scale;
};

/* Three passes over the keys (largest logit, sum, values) keep it free of scratch memory. */
static void attend_one(const struct query *u) {
    int64_t nk = tensor_n_rows(u->k), C = tensor_n_cols(u->k);
    double top = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        double acc[REF_HEAD_DIM_MAX] = {0};
        for (int64_t j = 0; j < nk; j++) {
            double s = dot(u->q, u->at, u->k, j * C + u->head_at, u->D) * u->scale +
                       (u->key_bias ? (double)u->key_bias[j] : 0) +
                       (u->bias ? (double)u->bias[j] : 0);
            if (pass == 0) {
                top = s > top ? s : top;
                continue;
            }
            double e = exp(s - top);
            sum += e;
            for (int64_t d = 0; d < u->D; d++)
                acc[d] += e * get(u->v, j * C + u->head_at + d);
        }
        for (int64_t d = 0; pass == 1 && d < u->D; d++)
            set(u->out, u->at + d, acc[d] / sum);
    }
}

static enum err ref_attention(struct device *dev, struct tensor *out, const struct tensor *q,
                              const struct tensor *k, const struct tensor *v,
                              const struct attention_opts *o, struct fail *f) {
    (void)dev;
    int64_t nq = tensor_n_rows(q), nk = tensor_n_rows(k), C = tensor_n_cols(q);
    int64_t D = C / o->n_heads;
    if (D > REF_HEAD_DIM_MAX)
        return FAIL(f, ERR_UNSUPPORTED, "the oracle takes heads of at most %d channels",
                    REF_HEAD_DIM_MAX);
    double scale = o->scale != 0 ? (double)o->scale : 1 / sqrt((double)D);
    const float *key_bias = o->key_bias ? o->key_bias->data : NULL;
    const float *bias = o->bias ? o->bias->data : NULL;
    for (int64_t h = 0; h < o->n_heads; h++)
        for (int64_t i = 0; i < nq; i++)
            attend_one(&(struct query){.out = out,
                                       .q = q,
                                       .k = k,
                                       .v = v,
                                       .key_bias = key_bias,
                                       .bias = bias ? bias + (h * nq + i) * nk : NULL,
                                       .at = i * C + h * D,
                                       .head_at = h * D,
                                       .D = D,
                                       .scale = scale});
    return ERR_OK;
}

/* What to subtract and to multiply with, for the row that starts at `at`. */
static void norm_terms(const struct tensor *x, int64_t at, int64_t C, enum norm_kind kind,
                       double eps, double *mean, double *gain) {
    double sum = 0, square = 0;
    for (int64_t c = 0; kind == NORM_LAYER && c < C; c++)
        sum += get(x, at + c);
    *mean = sum / (double)C;
    for (int64_t c = 0; c < C; c++)
        square += (get(x, at + c) - *mean) * (get(x, at + c) - *mean);
    if (kind == NORM_L2)
        *gain = sqrt((double)C) / fmax(sqrt(square), eps);
    else
        *gain = 1 / sqrt(square / (double)C + eps);
}

static void ref_norm(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct norm_opts *o) {
    (void)dev;
    int64_t N = tensor_n_rows(x), C = tensor_n_cols(x);
    const float *w = o->w ? o->w->data : NULL, *b = o->b ? o->b->data : NULL;
    for (int64_t i = 0; i < N; i++) {
        double mean, gain;
        norm_terms(x, i * C, C, o->kind, (double)o->eps, &mean, &gain);
        for (int64_t c = 0; c < C; c++) {
            double y = (get(x, i * C + c) - mean) * gain;
            y = y * (w ? (double)w[c] : 1) + (b ? (double)b[c] : 0);
            set(out, i * C + c, backend_ref_act(y, o->act));
        }
    }
}

static void ref_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct mod_table *mod, int shift_row, int scale_row, float eps) {
    (void)dev;
    int64_t N = tensor_n_rows(x), C = tensor_n_cols(x);
    for (int64_t i = 0; i < N; i++) {
        const float *shift = op_mod_row(mod, i, shift_row), *scale = op_mod_row(mod, i, scale_row);
        double mean, gain;
        norm_terms(x, i * C, C, NORM_LAYER, (double)eps, &mean, &gain);
        for (int64_t c = 0; c < C; c++)
            set(out, i * C + c,
                (get(x, i * C + c) - mean) * gain * (1 + (double)scale[c]) + (double)shift[c]);
    }
}

static void ref_gate_add(struct device *dev, struct tensor *x, const struct tensor *y,
                         const struct mod_table *mod, int gate_row) {
    (void)dev;
    int64_t N = tensor_n_rows(x), C = tensor_n_cols(x);
    for (int64_t i = 0; i < N; i++) {
        const float *gate = op_mod_row(mod, i, gate_row);
        for (int64_t c = 0; c < C; c++)
            set(x, i * C + c, get(x, i * C + c) + (double)gate[c] * get(y, i * C + c));
    }
}

static void ref_rope(struct device *dev, struct tensor *x, const struct tensor *table,
                     int n_heads) {
    (void)dev;
    int64_t N = tensor_n_rows(x), D = tensor_n_cols(table);
    for (int64_t i = 0; i < N; i++)
        for (int64_t h = 0; h < n_heads; h++)
            for (int64_t d = 0; d < D; d += 2) {
                int64_t at = (i * n_heads + h) * D + d;
                double a = get(x, at), b = get(x, at + 1);
                double c = get(table, i * D + d), s = get(table, i * D + d + 1);
                set(x, at, a * c - b * s);
                set(x, at + 1, a * s + b * c);
            }
}

static void ref_act(struct device *dev, struct tensor *out, const struct tensor *x, enum act act) {
    (void)dev;
    for (int64_t i = 0, n = tensor_count(x); i < n; i++)
        set(out, i, backend_ref_act(get(x, i), act));
}

static void ref_add_scaled(struct device *dev, struct tensor *out, const struct tensor *a,
                           const struct tensor *b, float s) {
    (void)dev;
    for (int64_t i = 0, n = tensor_count(a); i < n; i++)
        set(out, i, get(a, i) + (double)s * get(b, i));
}

static void ref_mul(struct device *dev, struct tensor *out, const struct tensor *a,
                    const struct tensor *b) {
    (void)dev;
    for (int64_t i = 0, n = tensor_count(a); i < n; i++)
        set(out, i, get(a, i) * get(b, i));
}

static void ref_affine(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct tensor *scale, const struct tensor *shift) {
    (void)dev;
    int64_t N = tensor_n_rows(x), C = tensor_n_cols(x);
    for (int64_t i = 0; i < N * C; i++)
        set(out, i, get(x, i) * get(scale, i % C) + get(shift, i % C));
}

const struct backend_ops backend_ref = {
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .alloc = backend_host_alloc,
    .release = backend_host_release,
    .upload = backend_host_move,
    .download = backend_host_move,
    .copy = backend_host_move,
    .report = ref_report,
    .fill = backend_host_fill,
    .linear = ref_linear,
    .packed = ref_packed,
    .pack = ref_pack,
    .attention = ref_attention,
    .norm = ref_norm,
    .norm_mod = ref_norm_mod,
    .gate_add = ref_gate_add,
    .rope = ref_rope,
    .act = ref_act,
    .add_scaled = ref_add_scaled,
    .mul = ref_mul,
    .affine = ref_affine,
    .conv = backend_ref_volume_conv,
    .depthwise = backend_ref_volume_depthwise,
    .time_split = backend_ref_volume_time_split,
    .dup_up_add = backend_ref_volume_dup_up_add,
    .avg_down_add = backend_ref_volume_avg_down_add,
    .patchify = backend_ref_volume_patchify,
    .unpatchify = backend_ref_volume_unpatchify,
    .pack_rgb = backend_host_pack_rgb,
};
