#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cpu/cpu_gemm.h"

#define VEC_N               8
#define VEC_TARGET          __attribute__((target("avx2,fma")))
#define VEC_SET1(s)         ((vec)_mm256_set1_ps(s))
#define VEC_FMA(a, b, c)    ((vec)_mm256_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)       ((vec)_mm256_max_ps(a, b))
#define GEMM_NV             2
#define GEMM_SPREAD(w)      ((gemm_words)_mm256_set1_epi32(w))
#define GEMM_MAC(sum, x, w) ((vec)_mm256_fmadd_ps((__m256)(x), (__m256)(w), sum))

typedef float gemm_number;

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_gemm_body.h"

GEMM_STEPS(1)
GEMM_STEPS(2)

COLD void convert(void *out, const void *x, enum dtype dtype, int64_t n, float *scale,
                  int32_t *zero) {
    (void)scale, (void)zero;
    gemm_cast(out, DTYPE_F32, x, dtype, n);
}

const struct cpu_gemm_kind cpu_gemm_avx2 = {
    .name = "avx2",
    .dtype = DTYPE_F32,
    .x_dtype = DTYPE_F32,
    .nr = GEMM_NR,
    .vec = VEC_N,
    .step = {GEMM_ROW_2(1), GEMM_ROW_2(2), GEMM_ROW_2(3), GEMM_ROW_2(4), GEMM_ROW_2(5),
             GEMM_ROW_2(6)},
    .finish = gemm_finish,
    .convert = convert,
};
#endif
