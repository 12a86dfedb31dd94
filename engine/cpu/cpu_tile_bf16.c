#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N      16
#define VEC_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma,avx512bf16")))

#include "engine/cpu/cpu_tile_types.h"

#define TILE_HALF(v) ((half)_mm512_cvtneps_pbh(v))
#define TILE_MAC(acc, p, w)                                                                   \
    ((vec)_mm512_dpbf16_ps(acc, (__m512bh)_mm512_set1_epi32(*(const int *)(const void *)(p)), \
                           (__m512bh)_mm512_loadu_si512(w)))

#include "engine/cpu/cpu_tile_body.h"

TILE_KIND(bf16, DTYPE_BF16, 12);
#endif
