#define VEC_N      4
#define VEC_TARGET /* whatever the compiler takes for granted */

#include "engine/cpu/cpu_tile_types.h"

#define TILE_HALF(v) TILE_ROUND(v)
#define TILE_MAC(acc, p, w) \
    ((acc) + *(const float *)(const void *)(p) * (vec) * (const vec_any *)(w))

#include "engine/cpu/cpu_tile_body.h"

TILE_KIND(base, DTYPE_F32, 6);
