#if defined(__x86_64__)
#include <immintrin.h>

#define VEC_N            16
#define VEC_TARGET       __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,fma")))
#define VEC_SET1(s)      ((vec)_mm512_set1_ps(s))
#define VEC_FMA(a, b, c) ((vec)_mm512_fmadd_ps(a, b, c))

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_rows_body.h"

BLOCK(1)
BLOCK(2)
BLOCK(3)
BLOCK(4)
BLOCK(5)
BLOCK(6)

ROWS_KERNEL(avx512, 6, block_1, block_2, block_3, block_4, block_5, block_6);
#endif
