/* For any processor: vector extensions only. */
#define VEC_N 4
#define VEC_TARGET
#define VEC_SET1(s)      ((vec){(s), (s), (s), (s)})
#define VEC_FMA(a, b, c) ((a) * (b) + (c))

#include "engine/cpu/cpu_vec_types.h"

#include "engine/cpu/cpu_rows_body.h"

BLOCK(1)
BLOCK(2)

ROWS_KERNEL(base, 2, block_1, block_2);
