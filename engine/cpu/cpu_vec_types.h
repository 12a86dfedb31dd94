/* cpu_vec_types.h - vectors of VEC_N floats, for cpu_vec_{base,avx2,avx512}.c. */
#include <math.h>
#include <string.h>

#include "engine/cpu/cpu_vec.h"

typedef float vec __attribute__((vector_size(4 * VEC_N)));
typedef float vec_any __attribute__((vector_size(4 * VEC_N), aligned(4), may_alias));
typedef int32_t vec_int __attribute__((vector_size(4 * VEC_N)));
