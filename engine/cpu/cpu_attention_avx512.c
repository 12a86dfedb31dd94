#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N            16
#define VEC_TARGET       __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define VEC_SET1(s)      ((vec)_mm512_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm512_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)    ((vec)_mm512_max_ps(a, b))

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_attention_kind.h"

#define SOFT_GROUP          1
#define SOFT_EXP(v)         vec_exp(v)
#define SOFT_STORE(p, i, v) vec_store((float *)(void *)(p) + (i), v)
#define SOFT_STORE_2(p, i, a, b) \
    (vec_store((float *)(void *)(p) + (i), a), vec_store((float *)(void *)(p) + (i) + VEC_N, b))
#define SOFT_TOP(v) _mm512_reduce_max_ps(v)
#define SOFT_SUM(v) _mm512_reduce_add_ps(v)

#include "engine/cpu/cpu_attention_body.h"

SOFT_KIND(avx512, 1.0f);
#endif
