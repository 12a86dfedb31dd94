#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/cpu/cpu_gemm.h"

#define VEC_N            16
#define VEC_TARGET       __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,avx512bf16")))
#define VEC_SET1(s)      ((vec)_mm512_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm512_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)    ((vec)_mm512_max_ps(a, b))
#define GEMM_NV          4
#define GEMM_HALF(v)     ((gemm_half)_mm512_cvtneps_pbh(v))
#define GEMM_SPREAD(w)   ((gemm_words)_mm512_set1_epi32(w))
#define GEMM_MAC(sum, x, w) \
    ((vec)_mm512_dpbf16_ps(sum, (__m512bh)(__m512i)(x), (__m512bh)(__m512i)(w)))

typedef float gemm_number;

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_gemm_body.h"

GEMM_REAL_KIND(bf16, "avx512bf16", DTYPE_BF16, 4);
#endif
