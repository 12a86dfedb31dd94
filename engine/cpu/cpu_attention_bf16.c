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

/* 2^v for weights that are rounded to bf16, which is off by 2e-3: a polynomial of degree 3 for what
 * is left of v beside a whole number, off by 7.5e-5. */
HOT vec exp2_fast(vec v) {
    vec whole = (vec)_mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    vec r = v - whole, p = VEC_SET1(5.5171732e-2f);
    p = VEC_FMA(p, r, VEC_SET1(2.4261130e-1f));
    p = VEC_FMA(p, r, VEC_SET1(6.9326097e-1f));
    p = VEC_FMA(p, r, VEC_SET1(9.9992806e-1f));
    return (vec)_mm512_scalef_ps(p, whole);
}

#define SOFT_GROUP  2
#define SOFT_EXP(v) exp2_fast(v)
#define SOFT_STORE(p, i, v) \
    _mm256_storeu_si256((void *)((uint16_t *)(void *)(p) + (i)), (__m256i)_mm512_cvtneps_pbh(v))
#define SOFT_STORE_2(p, i, a, b) \
    _mm512_storeu_si512((uint16_t *)(void *)(p) + (i), (__m512i)_mm512_cvtne2ps_pbh(b, a))
#define SOFT_TOP(v) _mm512_reduce_max_ps(v)
#define SOFT_SUM(v) _mm512_reduce_add_ps(v)

#include "engine/cpu/cpu_attention_body.h"

SOFT_KIND(bf16, 1.44269504f);
#endif
