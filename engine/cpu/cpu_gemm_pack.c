#include "engine/cpu/cpu_gemm_pack.h"

#include <math.h>
#include <string.h>

#include "engine/half.h"

/* Words of one row that are made before they are dealt out to their places: what is written there
 * stays in the first-level cache until its lines are full. */
enum { PACK_WORDS = 32, PACK_NR_MAX = 64 };

static size_t panels_bytes(const struct cpu_gemm_kind *kind, int64_t O, int64_t K) {
    return (size_t)(cpu_gemm_pack_up(O, kind->nr) * cpu_gemm_pack_words(kind, K)) *
           sizeof(uint32_t);
}

size_t cpu_gemm_pack_bytes(const struct cpu_gemm_kind *kind, int64_t O, int64_t K) {
    size_t tail = kind->dtype == DTYPE_I8 ? sizeof(float) + sizeof(int32_t) : 0;
    return panels_bytes(kind, O, K) + (size_t)cpu_gemm_pack_up(O, kind->nr) * tail;
}

float *cpu_gemm_pack_scales(const struct cpu_gemm_kind *kind, void *packed, int64_t O, int64_t K) {
    return (float *)(void *)((char *)packed + panels_bytes(kind, O, K));
}

struct pack {
    const struct cpu_gemm_kind *kind;
    uint32_t *packed;
    const float *rows;
    int64_t K, n_words, first, end; /* rows first .. end-1 are there */
    float *scale;                   /* of i8 rows, and their sums */
    int32_t *total;
};

/* n numbers of a row become words; n is a whole number of words but at the end of the row. */
static void words_bf16(uint32_t *to, const float *row, int64_t n) {
    int64_t i = 0;
    for (; i + 2 <= n; i += 2)
        to[i / 2] = half_to_bf16(row[i]) | (uint32_t)half_to_bf16(row[i + 1]) << 16;
    if (i < n) to[i / 2] = half_to_bf16(row[i]);
}

/* The nearest whole number, ties to even, of |v| < 2^22: the sum has no bits for a fraction. A loop
 * of these is done a vector at a time, one of lrintf() is not. */
static int32_t nearest(float v) {
    const float shift = 0x1.8p23f;
    float sum = v + shift;
    int32_t bits, base;
    memcpy(&bits, &sum, sizeof bits);
    memcpy(&base, &shift, sizeof base);
    return bits - base;
}

static void words_i8(uint32_t *to, const float *row, int64_t n, float scale, int32_t *total) {
    int8_t level[PACK_WORDS * 4] = {0};
    int32_t sum = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t l = nearest(row[i] / scale);
        level[i] = (int8_t)l;
        sum += l;
    }
    memcpy(to, level, (size_t)cpu_gemm_pack_up(n, 4));
    *total += sum;
}

/* Rows of i8 weights are symmetric: w = scale * i8, the largest is 127. */
static float scale_of(const float *row, int64_t K) {
    float most = 0;
    for (int64_t k = 0; k < K; k++)
        most = fabsf(row[k]) > most ? fabsf(row[k]) : most;
    return most > 0 ? most / 127.0f : 1.0f;
}

/* Word `at` of row o and those that follow. */
static void make_words(const struct pack *p, uint32_t *to, int64_t o, int64_t at) {
    int64_t group = cpu_gemm_pack_group(p->kind), left = p->K - at * group;
    int64_t n = left < PACK_WORDS * group ? left : PACK_WORDS * group;
    const float *row = p->rows + (o - p->first) * p->K + at * group;
    if (p->kind->dtype == DTYPE_F32)
        memcpy(to, row, (size_t)n * sizeof *row);
    else if (p->kind->dtype == DTYPE_BF16)
        words_bf16(to, row, n);
    else
        words_i8(to, row, n, p->scale[o], p->total + o);
}

static void begin_panel(const struct pack *p, int64_t o) {
    for (int64_t i = o; p->scale && i < o + p->kind->nr; i++) {
        p->scale[i] = i < p->end ? scale_of(p->rows + (i - p->first) * p->K, p->K) : 1.0f;
        p->total[i] = 0;
    }
}

static void pack_panel(void *ctx, int64_t tile, int thread) {
    const struct pack *p = ctx;
    uint32_t words[PACK_NR_MAX][PACK_WORDS] = {{0}}; /* rows past the last one stay zero */
    int64_t nr = p->kind->nr, o = p->first + tile * nr;
    int64_t n_rows = p->end - o < nr ? p->end - o : nr;
    uint32_t *to = p->packed + o * p->n_words;
    (void)thread;
    begin_panel(p, o);
    for (int64_t at = 0; at < p->n_words; at += PACK_WORDS) {
        int64_t n = p->n_words - at < PACK_WORDS ? p->n_words - at : PACK_WORDS;
        for (int64_t i = 0; i < n_rows; i++)
            make_words(p, words[i], o + i, at);
        for (int64_t k = 0; k < n; k++, to += nr)
            for (int64_t i = 0; i < nr; i++)
                to[i] = words[i][k];
    }
}

void cpu_gemm_pack_rows(struct cpu_pool *pool, const struct cpu_gemm_kind *kind, struct tensor *w,
                        const float *rows, int64_t first, int64_t n) {
    struct pack p = {.kind = kind,
                     .packed = w->data,
                     .rows = rows,
                     .K = w->dim[1],
                     .n_words = cpu_gemm_pack_words(kind, w->dim[1]),
                     .first = first,
                     .end = first + n};
    if (kind->dtype == DTYPE_I8) {
        p.scale = cpu_gemm_pack_scales(kind, w->data, w->dim[0], p.K);
        p.total = (int32_t *)(void *)(p.scale + cpu_gemm_pack_up(w->dim[0], kind->nr));
    }
    cpu_pool_run(pool, (n + kind->nr - 1) / kind->nr, pack_panel, &p);
}
