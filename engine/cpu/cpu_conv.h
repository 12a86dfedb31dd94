/* cpu_conv.h - direct convolution over channels-last volumes: no im2col matrix of the whole input,
 * only the few padded rows under the kernel, and weights that were packed when they were loaded.
 *
 * Packed weights are the panels of cpu_tile.h: a row of the matrix is the kernel of one output
 * channel [kt,kh,kw,C], C rounded up to an even number for bf16. */
#ifndef ENGINE_CPU_CPU_CONV_H
#define ENGINE_CPU_CPU_CONV_H

#include "engine/cpu/cpu_pool.h"
#include "engine/cpu/cpu_tile.h"
#include "engine/cpu/cpu_vec.h"

/* What computes: `tile` is for weights of its type; f32 rows that nobody packed are packed by
 * `plain`, which is of f32, for each call. */
struct cpu_conv {
    struct cpu_pool *pool;
    const struct cpu_vec *vec;
    const struct cpu_tile_kind *tile, *plain;
};

/* Bytes of w [O,kt,kh,kw,C] when packed for `kind`. */
size_t cpu_conv_pack_bytes(const struct cpu_tile_kind *kind, const struct tensor *w);
/* Packs kernels first .. first+n-1; `first` is a multiple of OP_PACK_ROWS. */
void cpu_conv_pack_rows(const struct cpu_tile_kind *kind, struct tensor *w, const float *rows,
                        int64_t first, int64_t n);

MUST_CHECK enum err cpu_conv_run(const struct cpu_conv *c, struct tensor *out,
                                 const struct tensor *x, const struct conv_opts *o, struct fail *f);

#endif
