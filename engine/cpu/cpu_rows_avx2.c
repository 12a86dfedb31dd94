#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N            8
#define VEC_TARGET       __attribute__((target("avx2,fma")))
#define VEC_SET1(s)      ((vec)_mm256_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm256_fmadd_ps(a, b, c))

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_rows_body.h"

BLOCK(1)
BLOCK(2)
BLOCK(3)

ROWS_KERNEL(avx2, 3, block_1, block_2, block_3);
#endif
