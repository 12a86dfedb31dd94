#include "engine/backend_ref.h"

#include <math.h>
#include <stdio.h>

#include "engine/backend_host.h"
#include "engine/backend_ref_volume.h"

enum { REF_HEAD_DIM_MAX = 2048 };

static enum err ref_open(struct device *dev, int n_threads, struct fail *f) {
    (void)dev, (void)n_threads, (void)f;
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
    default: return x;
    }
}

static void ref_linear(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct tensor *w, const struct tensor *b, enum act act) {
    (void)dev;
    int64_t N = tensor_n_rows(x), K = tensor_n_cols(x), O = w->dim[0];
    const float *px = x->data, *pw = w->data, *pb = b ? b->data : NULL;
    float *po = out->data;
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < O; j++) {
            double sum = pb ? (double)pb[j] : 0;
            for (int64_t k = 0; k < K; k++)
                sum += (double)px[i * K + k] * (double)pw[j * K + k];
            po[i * O + j] = (float)backend_ref_act(sum, act);
        }
}

static double dot(const float *a, const float *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* Three passes over the keys (largest logit, sum, values) keep it free of scratch memory. */
static void attend_one(float *out, const float *q, const struct tensor *k, const struct tensor *v,
                       const float *key_bias, const float *bias, int64_t at, int64_t D,
                       double scale) {
    int64_t nk = tensor_n_rows(k), C = tensor_n_cols(k);
    const float *pk = (const float *)k->data + at, *pv = (const float *)v->data + at;
    double top = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++) {
        double acc[REF_HEAD_DIM_MAX] = {0};
        for (int64_t j = 0; j < nk; j++) {
            double s = dot(q, pk + j * C, D) * scale + (key_bias ? (double)key_bias[j] : 0) +
                       (bias ? (double)bias[j] : 0);
            if (pass == 0) {
                top = s > top ? s : top;
                continue;
            }
            double e = exp(s - top);
            sum += e;
            for (int64_t d = 0; d < D; d++)
                acc[d] += e * (double)pv[j * C + d];
        }
        for (int64_t d = 0; pass == 1 && d < D; d++)
            out[d] = (float)(acc[d] / sum);
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
            attend_one((float *)out->data + i * C + h * D, (const float *)q->data + i * C + h * D,
                       k, v, key_bias, bias ? bias + (h * nq + i) * nk : NULL, h * D, D, scale);
    return ERR_OK;
}

/* What to subtract and to multiply with, for one row. */
static void norm_terms(const float *x, int64_t C, enum norm_kind kind, double eps, double *mean,
                       double *gain) {
    double sum = 0, square = 0;
    for (int64_t c = 0; kind == NORM_LAYER && c < C; c++)
        sum += (double)x[c];
    *mean = sum / (double)C;
    for (int64_t c = 0; c < C; c++)
        square += ((double)x[c] - *mean) * ((double)x[c] - *mean);
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
        const float *px = (const float *)x->data + i * C;
        float *po = (float *)out->data + i * C;
        double mean, gain;
        norm_terms(px, C, o->kind, (double)o->eps, &mean, &gain);
        for (int64_t c = 0; c < C; c++) {
            double y = ((double)px[c] - mean) * gain;
            y = y * (w ? (double)w[c] : 1) + (b ? (double)b[c] : 0);
            po[c] = (float)backend_ref_act(y, o->act);
        }
    }
}

static void ref_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct mod_table *mod, int shift_row, int scale_row, float eps) {
    (void)dev;
    int64_t N = tensor_n_rows(x), C = tensor_n_cols(x);
    for (int64_t i = 0; i < N; i++) {
        const float *px = (const float *)x->data + i * C;
        const float *shift = op_mod_row(mod, i, shift_row), *scale = op_mod_row(mod, i, scale_row);
        float *po = (float *)out->data + i * C;
        double mean, gain;
        norm_terms(px, C, NORM_LAYER, (double)eps, &mean, &gain);
        for (int64_t c = 0; c < C; c++)
            po[c] =
                (float)(((double)px[c] - mean) * gain * (1 + (double)scale[c]) + (double)shift[c]);
    }
}

static void ref_gate_add(struct device *dev, struct tensor *x, const struct tensor *y,
                         const struct mod_table *mod, int gate_row) {
    (void)dev;
    int64_t N = tensor_n_rows(x), C = tensor_n_cols(x);
    float *px = x->data;
    const float *py = y->data;
    for (int64_t i = 0; i < N; i++) {
        const float *gate = op_mod_row(mod, i, gate_row);
        for (int64_t c = 0; c < C; c++)
            px[i * C + c] =
                (float)((double)px[i * C + c] + (double)gate[c] * (double)py[i * C + c]);
    }
}

static void ref_rope(struct device *dev, struct tensor *x, const struct tensor *table,
                     int n_heads) {
    (void)dev;
    int64_t N = tensor_n_rows(x), D = tensor_n_cols(table);
    const float *pt = table->data;
    float *px = x->data;
    for (int64_t i = 0; i < N; i++)
        for (int64_t h = 0; h < n_heads; h++)
            for (int64_t d = 0; d < D; d += 2) {
                float *at = px + (i * n_heads + h) * D + d;
                double a = (double)at[0], b = (double)at[1];
                double c = (double)pt[i * D + d], s = (double)pt[i * D + d + 1];
                at[0] = (float)(a * c - b * s);
                at[1] = (float)(a * s + b * c);
            }
}

static void ref_act(struct device *dev, struct tensor *out, const struct tensor *x, enum act act) {
    (void)dev;
    const float *px = x->data;
    float *po = out->data;
    for (int64_t i = 0, n = tensor_count(x); i < n; i++)
        po[i] = (float)backend_ref_act((double)px[i], act);
}

static void ref_add_scaled(struct device *dev, struct tensor *out, const struct tensor *a,
                           const struct tensor *b, float s) {
    (void)dev;
    const float *pa = a->data, *pb = b->data;
    float *po = out->data;
    for (int64_t i = 0, n = tensor_count(a); i < n; i++)
        po[i] = (float)((double)pa[i] + (double)s * (double)pb[i]);
}

static void ref_mul(struct device *dev, struct tensor *out, const struct tensor *a,
                    const struct tensor *b) {
    (void)dev;
    const float *pa = a->data, *pb = b->data;
    float *po = out->data;
    for (int64_t i = 0, n = tensor_count(a); i < n; i++)
        po[i] = pa[i] * pb[i];
}

static void ref_affine(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct tensor *scale, const struct tensor *shift) {
    (void)dev;
    int64_t N = tensor_n_rows(x), C = tensor_n_cols(x);
    const float *px = x->data, *ps = scale->data, *pt = shift->data;
    float *po = out->data;
    for (int64_t i = 0; i < N * C; i++)
        po[i] = (float)((double)px[i] * (double)ps[i % C] + (double)pt[i % C]);
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
    .upsample2 = backend_ref_volume_upsample2,
    .time_split = backend_ref_volume_time_split,
    .dup_up_add = backend_ref_volume_dup_up_add,
    .avg_down_add = backend_ref_volume_avg_down_add,
    .patchify = backend_ref_volume_patchify,
    .unpatchify = backend_ref_volume_unpatchify,
    .pack_rgb = backend_host_pack_rgb,
};
