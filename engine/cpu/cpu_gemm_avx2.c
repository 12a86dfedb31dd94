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

GEMM_REAL_KIND(avx2, "avx2", DTYPE_F32, 2);
#endif
