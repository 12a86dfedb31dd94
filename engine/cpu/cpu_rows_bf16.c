#include "engine/cpu/cpu_rows.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { STEP = 32, STEP_BYTES = 64 };

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define KERNEL TARGET static inline __attribute__((always_inline))

/* The four lanes of the answer are the sums of a, b, c and d. */
KERNEL __m128 sum4(const __m512 v[CPU_ROWS_W]) {
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
    __m512d lo = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    __m512d hi = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    __m512 all = _mm512_add_ps(_mm512_castpd_ps(lo), _mm512_castpd_ps(hi));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

/* n * 4 sums fit the registers together with four rows of w and one of x. */
KERNEL void run(const struct cpu_rows_block *b, int n, int n_ahead) {
    __m512 sum[CPU_ROWS_X][CPU_ROWS_W];
    const char *x = b->x;
    for (int i = 0; i < n; i++)
        for (int o = 0; o < CPU_ROWS_W; o++)
            sum[i][o] = _mm512_setzero_ps();
    for (int64_t at = 0, end = b->K * 2; at < end; at += STEP_BYTES, x += n * STEP_BYTES) {
        __m512bh w[CPU_ROWS_W];
        for (int o = 0; o < CPU_ROWS_W; o++)
            w[o] = (__m512bh)_mm512_loadu_si512(b->w[o] + at);
        for (int o = 0; o < n_ahead; o++)
            _mm_prefetch(b->ahead[o] + at, _MM_HINT_T1);
        for (int i = 0; i < n; i++) {
            __m512bh row = (__m512bh)_mm512_loadu_si512(x + i * STEP_BYTES);
            for (int o = 0; o < CPU_ROWS_W; o++)
                sum[i][o] = _mm512_dpbf16_ps(sum[i][o], row, w[o]);
        }
    }
    for (int i = 0; i < n; i++)
        _mm_storeu_ps(b->out + i * b->out_stride, sum4(sum[i]));
}

#define BLOCK(n)                                                   \
    TARGET static void block_##n(const struct cpu_rows_block *b) { \
        switch (b->n_ahead) {                                      \
        case 4: run(b, n, 4); break;                               \
        case 2: run(b, n, 2); break;                               \
        case 1: run(b, n, 1); break;                               \
        default: run(b, n, 0);                                     \
        }                                                          \
    }
BLOCK(1)
BLOCK(2)
BLOCK(3)
BLOCK(4)
BLOCK(5)
BLOCK(6)

KERNEL __m512 load_any(const char *p, enum dtype dtype, __mmask16 mask) {
    if (dtype == DTYPE_F32) return _mm512_maskz_loadu_ps(mask, p);
    __m256i h = _mm256_maskz_loadu_epi16(mask, p);
    if (dtype == DTYPE_F16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

TARGET static void convert(char *out, const char *from, enum dtype dtype, int64_t n) {
    int64_t each = (int64_t)tensor_dtype_bytes(dtype);
    for (int64_t i = 0; i < n; i += 16) {
        __mmask16 mask = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffffu);
        __m512 v = load_any(from + i * each, dtype, mask);
        _mm256_mask_storeu_epi16(out + i * 2, mask, (__m256i)_mm512_cvtneps_pbh(v));
    }
}

const struct cpu_rows_kernel cpu_rows_bf16 = {
    .name = "avx512bf16",
    .dtype = DTYPE_BF16,
    .step = STEP,
    .n_x = 6,
    .block = {block_1, block_2, block_3, block_4, block_5, block_6},
    .convert = convert,
};
#endif
