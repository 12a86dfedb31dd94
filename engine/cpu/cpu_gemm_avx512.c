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

GEMM_REAL_KIND(avx512, "avx512", DTYPE_F32, 4);
#endif
