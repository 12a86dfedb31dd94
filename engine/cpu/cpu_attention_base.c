/* For any processor: vector extensions only. */
#define VEC_N 4
#define VEC_TARGET
#define VEC_SET1(s)      ((vec){(s), (s), (s), (s)})
#define VEC_FMA(a, b, c) ((a) * (b) + (c))
#define VEC_MAX(a, b)    vec_larger(a, b)

#include "engine/cpu/cpu_vec_types.h"

static inline vec vec_larger(vec a, vec b) {
    vec_int keep = a > b;
    return (vec)(((vec_int)a & keep) | ((vec_int)b & ~keep));
}

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

SOFT_KIND(base, 1.0f);
