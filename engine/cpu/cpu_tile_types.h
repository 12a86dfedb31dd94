/* cpu_tile_types.h - vectors of VEC_N floats, for cpu_tile_{base,avx2,avx512,bf16}.c. */
#include <stddef.h>
#include <string.h>

#include "engine/cpu/cpu_tile.h"

typedef float vec __attribute__((vector_size(4 * VEC_N)));
typedef float vec_any __attribute__((vector_size(4 * VEC_N), aligned(4), may_alias));
typedef uint32_t word __attribute__((vector_size(4 * VEC_N)));
typedef uint16_t half __attribute__((vector_size(2 * VEC_N)));
typedef uint16_t half_any __attribute__((vector_size(2 * VEC_N), aligned(2), may_alias));

/* To the nearest, ties to even; what is no number stays none, because the quiet bit is set in the
 * NaN that arithmetic makes. */
#define TILE_ROUND(v) \
    __builtin_convertvector(((word)(v) + 0x7fffu + ((word)(v) >> 16 & 1u)) >> 16, half)
