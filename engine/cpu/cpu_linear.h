/* cpu_linear.h - op_linear() of the processor: which product runs for which weights.
 *
 * Packed weights go to cpu_gemm.h. Rows go to cpu_rows.h, or to OpenBLAS when all is f32. Without
 * AVX2 nothing is packed: rows are f32 and OpenBLAS, which has a kernel for every processor, does
 * all. */
#ifndef ENGINE_CPU_CPU_LINEAR_H
#define ENGINE_CPU_CPU_LINEAR_H

#include "engine/cpu/cpu_blas.h"
#include "engine/cpu/cpu_gemm.h"
#include "engine/cpu/cpu_rows.h"

struct cpu_linear {
    struct cpu_pool *pool;
    const struct cpu_vec *vec;
    const struct cpu_blas *blas;
    bool uses_blas; /* OpenBLAS picks its kernel itself: not when instructions are masked */
    const struct cpu_gemm_kind *gemm, *gemm_int8; /* NULL when there is none */
    const struct cpu_rows_kernel *rows;
};

/* Chooses the kernels that `isa` allows. pool, vec, blas and uses_blas are the caller's: OpenBLAS
 * takes the best of the processor, so a device that was held to less does not use it where it can
 * do without. */
void cpu_linear_open(struct cpu_linear *l, enum precision precision, enum cpu_isa isa);
MUST_CHECK enum err cpu_linear_run(struct cpu_linear *l, struct tensor *out, const struct tensor *x,
                                   const struct tensor *w, const struct linear_opts *o,
                                   struct fail *f);
/* As op_packed() and op_pack(), for matrices. */
size_t cpu_linear_packed(const struct cpu_linear *l, struct tensor *w);
void cpu_linear_pack(const struct cpu_linear *l, struct tensor *w, const float *rows, int64_t first,
                     int64_t n);

#endif
