#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N            16
#define VEC_TARGET       __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,avx512bf16")))
#define VEC_SET1(s)      ((vec)_mm512_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm512_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)    ((vec)_mm512_max_ps(a, b))

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_attention_kind.h"

/* 2^v for weights that are rounded to bf16 (4e-3): the fraction by a polynomial of degree 4, off by
 * 4e-6 at most, the whole part by the exponent. 2^-inf is 0. */
HOT vec exp2_fast(vec v) {
    vec r = (vec)_mm512_reduce_ps(v, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    vec p = VEC_SET1(1.3534167e-2f);
    p = VEC_FMA(p, r, VEC_SET1(5.2011464e-2f));
    p = VEC_FMA(p, r, VEC_SET1(2.4144275e-1f));
    p = VEC_FMA(p, r, VEC_SET1(6.9300383e-1f));
    p = VEC_FMA(p, r, VEC_SET1(1.0000026e0f));
    return (vec)_mm512_scalef_ps(p, v);
}

#define SOFT_GROUP  2
#define SOFT_EXP(v) exp2_fast(v)
#define SOFT_STORE(p, i, v) \
    _mm256_storeu_si256((void *)((uint16_t *)(void *)(p) + (i)), (__m256i)_mm512_cvtneps_pbh(v))
#define SOFT_TOP(v) _mm512_reduce_max_ps(v)
#define SOFT_SUM(v) _mm512_reduce_add_ps(v)

#include "engine/cpu/cpu_attention_body.h"

SOFT_KIND(bf16, 1.44269504f);
#endif
