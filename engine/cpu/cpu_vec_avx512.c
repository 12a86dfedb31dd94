#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N            16
#define VEC_TARGET       __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define VEC_SET1(s)      ((vec)_mm512_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm512_fmadd_ps(a, b, c))
#define VEC_MAX(a, b)    ((vec)_mm512_max_ps(a, b))

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_vec_math.h"

#include "engine/cpu/cpu_vec_body.h"

VEC_TABLE(avx512);
#endif
