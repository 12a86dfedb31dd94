#include "engine/cuda/cuda_attention.h"

#include "engine/cuda/cuda_flash.h"
#include "engine/cuda/cuda_flash_hopper.h"
#include "engine/cuda/cuda_own.h"
#include "engine/cuda/cuda_product.h"

enum { LOGIT_BYTES = 64 << 20, THREADS = 256, WARP = 32 };

/* Logits of one head: rows first .. first+n-1 of the queries. */
struct softmax {
    int64_t nk, stride; /* stride of rows of weights, >= nk */
    const float *key_bias, *bias;
};

/* A block makes weights of one row of logits; three passes over it, which the caches hold. */
template <class P>
static __global__ void __launch_bounds__(THREADS)
    softmax_rows(P *weight, const float *logit, struct softmax o) {
    __shared__ float part[THREADS / WARP];
    const float *in = logit + (int64_t)blockIdx.x * o.nk;
    const float *bias = o.bias ? o.bias + (int64_t)blockIdx.x * o.nk : NULL;
    P *out = weight + (int64_t)blockIdx.x * o.stride;
    int warp = (int)threadIdx.x / WARP;
    float top = -INFINITY, sum = 0;
    for (int64_t j = threadIdx.x; j < o.nk; j += THREADS)
        top = fmaxf(top, in[j] + (o.key_bias ? o.key_bias[j] : 0) + (bias ? bias[j] : 0));
    for (int step = WARP / 2; step > 0; step /= 2)
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, step));
    if (threadIdx.x % WARP == 0) part[warp] = top;
    __syncthreads();
    for (int i = 0; i < THREADS / WARP; i++)
        top = fmaxf(top, part[i]);
    for (int64_t j = threadIdx.x; j < o.nk; j += THREADS)
        sum += expf(in[j] + (o.key_bias ? o.key_bias[j] : 0) + (bias ? bias[j] : 0) - top);
    for (int step = WARP / 2; step > 0; step /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, step);
    __syncthreads(); /* all have read the tops */
    if (threadIdx.x % WARP == 0) part[warp] = sum;
    __syncthreads();
    sum = 0;
    for (int i = 0; i < THREADS / WARP; i++)
        sum += part[i];
    for (int64_t j = threadIdx.x; j < o.stride; j += THREADS) {
        float e = 0;
        if (j < o.nk)
            e = expf(in[j] + (o.key_bias ? o.key_bias[j] : 0) + (bias ? bias[j] : 0) - top) / sum;
        cuda_set(out + j, e);
    }
}

/* What all heads and parts of one call share. */
struct wide {
    struct cuda *c;
    const char *q, *k, *v;
    char *out;
    enum dtype type;
    int64_t nq, nk, C, D, step, stride;
    float scale;
    float *logit;
    void *weight;
};

/* n queries from `first` on of the head whose columns begin at `column`. */
static enum err attend(struct wide *w, int64_t column, int64_t first, int64_t n, struct softmax s,
                       struct fail *f) {
    size_t each = tensor_dtype_bytes(w->type), at = (size_t)(first * w->C + column) * each;
    struct cuda_product p = {};
    p.N = n, p.O = w->nk, p.K = w->D;
    p.x = w->q + at, p.x_stride = w->C;
    p.w = w->k + (size_t)column * each, p.w_stride = w->C;
    p.out = w->logit, p.out_stride = w->nk;
    p.type = w->type, p.out_type = DTYPE_F32;
    p.scale = w->scale;
    enum err rc = cuda_product_run(w->c, &p, f);
    if (rc != ERR_OK) return rc;
    if (w->type == DTYPE_BF16)
        cuda_run(w->c, "softmax", softmax_rows<struct bf16>, n, THREADS, 0,
                 (struct bf16 *)w->weight, (const float *)w->logit, s);
    else
        cuda_run(w->c, "softmax", softmax_rows<float>, n, THREADS, 0, (float *)w->weight,
                 (const float *)w->logit, s);
    struct cuda_product r = {};
    r.N = n, r.O = w->D, r.K = w->nk;
    r.x = w->weight, r.x_stride = w->stride;
    r.w = w->v + (size_t)column * each, r.w_stride = w->C;
    r.out = w->out + at, r.out_stride = w->C;
    r.type = r.out_type = w->type;
    r.is_turned = true;
    r.scale = 1;
    return cuda_product_run(w->c, &r, f);
}

static enum err take_scratch(struct wide *w, struct fail *f) {
    size_t row = (size_t)w->nk * sizeof(float);
    w->stride = (w->nk + 7) / 8 * 8;
    w->step = (int64_t)(LOGIT_BYTES / row);
    w->step = w->step < 16 ? 16 : w->step > w->nq ? w->nq : w->step;
    size_t logits = (size_t)w->step * row;
    size_t weights = (size_t)(w->step * w->stride) * tensor_dtype_bytes(w->type);
    w->logit = (float *)cuda_take(w->c, CUDA_SCRATCH_SUM, logits);
    if (!w->logit) return cuda_short(w->c, logits, f);
    w->weight = cuda_take(w->c, CUDA_SCRATCH_WEIGHT, weights);
    if (!w->weight) return cuda_short(w->c, weights, f);
    return ERR_OK;
}

static enum err attend_wide(struct wide *w, const struct attention_opts *o, struct fail *f) {
    enum err rc = take_scratch(w, f);
    for (int64_t h = 0; rc == ERR_OK && h < o->n_heads; h++)
        for (int64_t i = 0; rc == ERR_OK && i < w->nq; i += w->step) {
            struct softmax s = {};
            s.nk = w->nk;
            s.stride = w->stride;
            s.key_bias = o->key_bias ? (const float *)o->key_bias->data : NULL;
            if (o->bias) s.bias = (const float *)o->bias->data + (h * w->nq + i) * w->nk;
            rc = attend(w, h * w->D, i, w->nq - i < w->step ? w->nq - i : w->step, s, f);
        }
    return rc;
}

enum err cuda_attention_run(struct device *dev, struct tensor *out, const struct tensor *q,
                            const struct tensor *k, const struct tensor *v,
                            const struct attention_opts *o, struct fail *f) {
    struct wide w = {};
    w.c = cuda_of(dev);
    w.q = (const char *)q->data;
    w.k = (const char *)k->data;
    w.v = (const char *)v->data;
    w.out = (char *)out->data;
    w.type = q->dtype;
    w.nq = tensor_n_rows(q), w.nk = tensor_n_rows(k);
    w.C = tensor_n_cols(q), w.D = w.C / o->n_heads;
    w.scale = o->scale != 0 ? o->scale : (float)(1 / sqrt((double)w.D));
    if (w.nq == 0) return ERR_OK;
    enum err rc = ERR_OK;
    if (w.type == DTYPE_BF16 && !o->bias && cuda_flash_can(w.c, (int)w.D)) {
        struct cuda_flash flash = {};
        flash.out = (struct bf16 *)out->data;
        flash.q = (const struct bf16 *)q->data;
        flash.k = (const struct bf16 *)k->data;
        flash.v = (const struct bf16 *)v->data;
        flash.key_bias = o->key_bias ? (const float *)o->key_bias->data : NULL;
        flash.nq = w.nq, flash.nk = w.nk;
        flash.n_heads = o->n_heads;
        flash.D = (int)w.D;
        flash.scale = w.scale;
        if (cuda_flash_hopper_can(w.c, flash.D))
            cuda_flash_hopper_run(w.c, &flash);
        else
            cuda_flash_run(w.c, &flash);
    } else {
        rc = attend_wide(&w, o, f);
    }
    return rc == ERR_OK ? cuda_check(w.c, f) : rc;
}
