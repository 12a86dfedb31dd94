#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N      16
#define VEC_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))

#include "engine/cpu/cpu_tile_types.h"

#define TILE_HALF(v) TILE_ROUND(v)
#define TILE_MAC(acc, p, w)                                                                      \
    ((vec)_mm512_fmadd_ps(_mm512_set1_ps(*(const float *)(const void *)(p)), _mm512_loadu_ps(w), \
                          acc))

#include "engine/cpu/cpu_tile_body.h"

TILE_KIND(avx512, DTYPE_F32, 12);
#endif
