#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N      8
#define VEC_TARGET __attribute__((target("avx2,fma")))

#include "engine/cpu/cpu_tile_types.h"

#define TILE_HALF(v) TILE_ROUND(v)
#define TILE_MAC(acc, p, w)                                                      \
    ((vec)_mm256_fmadd_ps(_mm256_broadcast_ss((const float *)(const void *)(p)), \
                          _mm256_loadu_ps((const float *)(const void *)(w)), acc))

#include "engine/cpu/cpu_tile_body.h"

TILE_KIND(avx2, DTYPE_F32, 6);
#endif
