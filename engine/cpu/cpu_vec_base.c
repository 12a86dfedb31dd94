/* For any x86-64 (SSE2), and, being vector extensions only, for any processor. */
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

#include "engine/cpu/cpu_vec_body.h"

VEC_TABLE(base);
