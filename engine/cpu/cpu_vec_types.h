/* cpu_vec_types.h - vectors of VEC_N floats, for cpu_vec_{base,avx2,avx512}.c. */
#include <math.h>
#include <string.h>

#include "engine/cpu/cpu_vec.h"
#include "engine/half.h"

typedef float vec __attribute__((vector_size(4 * VEC_N)));
typedef float vec_any __attribute__((vector_size(4 * VEC_N), aligned(4), may_alias));
typedef float vec_four __attribute__((vector_size(16)));
typedef int32_t vec_int __attribute__((vector_size(4 * VEC_N)));
typedef uint32_t vec_word __attribute__((vector_size(4 * VEC_N)));
typedef uint16_t vec_half __attribute__((vector_size(2 * VEC_N)));
typedef uint16_t vec_half_any __attribute__((vector_size(2 * VEC_N), aligned(2), may_alias));

/* Neighbours change places; the even, the odd one of each pair twice; -1 and 1 by turns from a
 * vector of ones. */
#if VEC_N == 16
#define VEC_SWAP(v) \
    __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define VEC_EVEN(v) \
    __builtin_shufflevector(v, v, 0, 0, 2, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14)
#define VEC_ODD(v) \
    __builtin_shufflevector(v, v, 1, 1, 3, 3, 5, 5, 7, 7, 9, 9, 11, 11, 13, 13, 15, 15)
#define VEC_SIGNS(v) \
    __builtin_shufflevector(-v, v, 0, 17, 2, 19, 4, 21, 6, 23, 8, 25, 10, 27, 12, 29, 14, 31)
#elif VEC_N == 8
#define VEC_SWAP(v)  __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#define VEC_EVEN(v)  __builtin_shufflevector(v, v, 0, 0, 2, 2, 4, 4, 6, 6)
#define VEC_ODD(v)   __builtin_shufflevector(v, v, 1, 1, 3, 3, 5, 5, 7, 7)
#define VEC_SIGNS(v) __builtin_shufflevector(-v, v, 0, 9, 2, 11, 4, 13, 6, 15)
#else
#define VEC_SWAP(v)  __builtin_shufflevector(v, v, 1, 0, 3, 2)
#define VEC_EVEN(v)  __builtin_shufflevector(v, v, 0, 0, 2, 2)
#define VEC_ODD(v)   __builtin_shufflevector(v, v, 1, 1, 3, 3)
#define VEC_SIGNS(v) __builtin_shufflevector(-v, v, 0, 5, 2, 7)
#endif
