#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N            8
#define VEC_TARGET       __attribute__((target("avx2,fma")))
#define VEC_SET1(s)      ((vec)_mm256_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm256_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)    ((vec)_mm256_max_ps(a, b))

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_attention_kind.h"

#define SOFT_GROUP          1
#define SOFT_EXP(v)         vec_exp(v)
#define SOFT_STORE(p, i, v) vec_store((float *)(void *)(p) + (i), v)
#define SOFT_STORE_2(p, i, a, b) \
    (vec_store((float *)(void *)(p) + (i), a), vec_store((float *)(void *)(p) + (i) + VEC_N, b))
#define SOFT_TOP(v) vec_top(v)
#define SOFT_SUM(v) vec_sum(v)

#include "engine/cpu/cpu_attention_body.h"

SOFT_KIND(avx2, 1.0f);
#endif
