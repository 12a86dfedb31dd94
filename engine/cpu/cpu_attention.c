#include "engine/cpu/cpu_attention.h"

#include <math.h>

/* Blocks of 128 x 512 scores are 256 KiB: they stay in the second-level cache with their keys. */
enum { ATTENTION_QUERIES = 128, ATTENTION_KEYS = 512 };

/* One head and one block of queries. */
struct block {
    const struct cpu_attention *a;
    int64_t head, first, n; /* queries */
    int64_t D, C, nq, nk;
    float scale;
    float *score; /* [n, ATTENTION_KEYS] */
    float top[ATTENTION_QUERIES], sum[ATTENTION_QUERIES];
};

static struct cpu_matrix head_rows(const struct tensor *t, int64_t row, const struct block *b) {
    return (struct cpu_matrix){(const float *)t->data + row * b->C + b->head * b->D, b->C};
}

static float *out_row(const struct block *b, int64_t row) {
    return (float *)b->a->out->data + (b->first + row) * b->C + b->head * b->D;
}

static void soften(struct block *b, int64_t key, int64_t n_keys) {
    const struct attention_opts *o = b->a->o;
    const float *key_bias = o->key_bias ? (const float *)o->key_bias->data + key : NULL;
    for (int64_t i = 0; i < b->n; i++) {
        const float *bias = NULL;
        if (o->bias)
            bias = (const float *)o->bias->data + (b->head * b->nq + b->first + i) * b->nk + key;
        float before =
            b->a->vec->softmax(b->score + i * ATTENTION_KEYS, n_keys, b->scale,
                               (const float *const[2]){key_bias, bias}, &b->top[i], &b->sum[i]);
        if (key > 0 && before != 1.0f) b->a->vec->scale(out_row(b, i), before, b->D);
    }
}

static void attend_keys(struct block *b, int64_t key, int64_t n_keys) {
    struct cpu_gemm score = {.m = b->n,
                             .n = n_keys,
                             .k = b->D,
                             .alpha = 1.0f,
                             .a = head_rows(b->a->q, b->first, b),
                             .b = head_rows(b->a->k, key, b),
                             .out = b->score,
                             .out_stride = ATTENTION_KEYS};
    cpu_blas_nt(b->a->blas, &score);
    soften(b, key, n_keys);
    struct cpu_gemm value = {.m = b->n,
                             .n = b->D,
                             .k = n_keys,
                             .alpha = 1.0f,
                             .beta = key > 0 ? 1.0f : 0.0f,
                             .a = {b->score, ATTENTION_KEYS},
                             .b = head_rows(b->a->v, key, b),
                             .out = out_row(b, 0),
                             .out_stride = b->C};
    cpu_blas_nn(b->a->blas, &value);
}

static void attend_block(void *ctx, int64_t tile, int thread) {
    const struct cpu_attention *a = ctx;
    int64_t nq = tensor_n_rows(a->q), n_blocks = (nq + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
    struct block b = {.a = a, .nq = nq, .nk = tensor_n_rows(a->k), .C = tensor_n_cols(a->q)};
    b.D = b.C / a->o->n_heads;
    b.head = tile / n_blocks;
    b.first = tile % n_blocks * ATTENTION_QUERIES;
    b.n = nq - b.first < ATTENTION_QUERIES ? nq - b.first : ATTENTION_QUERIES;
    b.scale = a->o->scale != 0.0f ? a->o->scale : (float)(1 / sqrt((double)b.D));
    b.score = cpu_pool_scratch(a->pool, thread);
    for (int64_t i = 0; i < b.n; i++)
        b.top[i] = -INFINITY, b.sum[i] = 0;
    for (int64_t key = 0; key < b.nk; key += ATTENTION_KEYS)
        attend_keys(&b, key, b.nk - key < ATTENTION_KEYS ? b.nk - key : ATTENTION_KEYS);
    for (int64_t i = 0; i < b.n; i++)
        a->vec->scale(out_row(&b, i), 1.0f / b.sum[i], b.D);
}

enum err cpu_attention_run(const struct cpu_attention *a, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t n_blocks = (tensor_n_rows(a->q) + ATTENTION_QUERIES - 1) / ATTENTION_QUERIES;
    TRY(cpu_pool_reserve(a->pool, (size_t)ATTENTION_QUERIES * ATTENTION_KEYS * sizeof(float), f));
    struct cpu_attention job = *a;
    cpu_pool_run(a->pool, a->o->n_heads * n_blocks, attend_block, &job);
out:
    return rc;
}
