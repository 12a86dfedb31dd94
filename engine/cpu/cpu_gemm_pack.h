/* cpu_gemm_pack.h - weights in the order that the kernels of cpu_gemm.h read: panels of words, see
 * there. i8 weights are followed by the scale and the sum of every row, rows past O included. */
#ifndef ENGINE_CPU_CPU_GEMM_PACK_H
#define ENGINE_CPU_CPU_GEMM_PACK_H

#include "engine/cpu/cpu_gemm.h"

/* Numbers in a word; words of a row of K numbers; n up to the next multiple of `to`. */
static inline int64_t cpu_gemm_pack_group(const struct cpu_gemm_kind *kind) {
    return 4 / (int64_t)tensor_dtype_bytes(kind->dtype);
}

static inline int64_t cpu_gemm_pack_up(int64_t n, int64_t to) {
    return (n + to - 1) / to * to;
}

static inline int64_t cpu_gemm_pack_words(const struct cpu_gemm_kind *kind, int64_t K) {
    return cpu_gemm_pack_up(K, cpu_gemm_pack_group(kind)) / cpu_gemm_pack_group(kind);
}

/* Bytes of packed weights [O,K]. */
size_t cpu_gemm_pack_bytes(const struct cpu_gemm_kind *kind, int64_t O, int64_t K);
/* Rows first .. first+n-1 of `w` [O,K], whose data has the room; first is a multiple of 64. */
void cpu_gemm_pack_rows(struct cpu_pool *pool, const struct cpu_gemm_kind *kind, struct tensor *w,
                        const float *rows, int64_t first, int64_t n);
/* Scales of i8 rows, then their sums as i32. */
float *cpu_gemm_pack_scales(const struct cpu_gemm_kind *kind, void *packed, int64_t O, int64_t K);

#endif
