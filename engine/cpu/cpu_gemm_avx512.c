#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cpu/cpu_gemm.h"

#define VEC_N               16
#define VEC_TARGET          __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define VEC_SET1(s)         ((vec)_mm512_set1_ps(s))
#define VEC_FMA(a, b, c)    ((vec)_mm512_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)       ((vec)_mm512_max_ps(a, b))
#define GEMM_NV             4
#define GEMM_SPREAD(w)      ((gemm_words)_mm512_set1_epi32(w))
#define GEMM_MAC(sum, x, w) ((vec)_mm512_fmadd_ps((__m512)(x), (__m512)(w), sum))

typedef float gemm_number;

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_gemm_body.h"

GEMM_STEPS(1)
GEMM_STEPS(2)
GEMM_STEPS(3)
GEMM_STEPS(4)

COLD void convert(void *out, const void *x, enum dtype dtype, int64_t n, float *scale,
                  int32_t *zero) {
    (void)scale, (void)zero;
    gemm_cast(out, DTYPE_F32, x, dtype, n);
}

const struct cpu_gemm_kind cpu_gemm_avx512 = {
    .name = "avx512",
    .dtype = DTYPE_F32,
    .x_dtype = DTYPE_F32,
    .nr = GEMM_NR,
    .vec = VEC_N,
    .step = {GEMM_ROW_4(1), GEMM_ROW_4(2), GEMM_ROW_4(3), GEMM_ROW_4(4), GEMM_ROW_4(5),
             GEMM_ROW_4(6)},
    .finish = gemm_finish,
    .convert = convert,
};
#endif
