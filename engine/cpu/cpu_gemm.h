/* cpu_gemm.h - matrix products with packed weights: out [M,O] = x [M,K] * w [O,K]^T and what
 * follows it while the sums are warm.
 *
 * Numbers are read in words of four bytes: one f32, two neighbouring bf16 or four u8. Weights are
 * packed once in panels of `nr` rows: panel p is [words of K][nr], rows past O are zeros. The
 * kernel holds 6 rows of x times one panel in registers and reads x where it lies, word by word, so
 * x needs no packing; x of another type is converted once per product, a stretch of rows at a time.
 *
 * Long sums are cut at places that depend on K alone. So an element is the same whatever the number
 * of threads, and tiles may go to any of them. */
#ifndef ENGINE_CPU_CPU_GEMM_H
#define ENGINE_CPU_CPU_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/cpu/cpu_isa.h"
#include "engine/cpu/cpu_pool.h"
#include "engine/op.h"

enum { CPU_GEMM_ROWS = 6, CPU_GEMM_VECS_MAX = 4 };

/* Up to 6 rows of x times the first vectors of one panel. */
struct cpu_gemm_step {
    const char *x;
    int64_t x_stride;  /* bytes */
    const uint32_t *w; /* [words of K][nr] */
    int64_t n_words;
    float *sum;        /* [rows][nr]; i32 when the numbers are u8 */
    bool is_first;     /* sums are written, else added to what is there */
    const char *ahead; /* memory to fetch meanwhile, ahead_step bytes further with every word */
    int64_t ahead_step;
};

/* out = act(sum + b), or out += gate * that; up to 6 rows, n_cols columns of one panel. */
struct cpu_gemm_out {
    const float *sum; /* [rows][nr] */
    char *out;
    int64_t out_stride; /* bytes */
    enum dtype out_dtype;
    int64_t n_rows, n_cols;
    const float *b; /* or NULL */
    enum act act;
    bool add;
    const float *gate[CPU_GEMM_ROWS]; /* or NULL */
    /* u8 products: sum = (sum - zero_x * total_w) * scale_x * scale_w. */
    const float *scale_w;   /* of each column, NULL when the sums are f32 */
    const int32_t *total_w; /* sum of the weights of each column */
    const float *scale_x;   /* of each row */
    const int32_t *zero_x;
};

struct cpu_gemm_kind {
    const char *name;
    enum dtype dtype;   /* of the weights: f32, bf16 or i8 */
    enum dtype x_dtype; /* of what the kernel reads: f32, bf16 or u8 */
    int nr;             /* rows of a panel */
    int vec;            /* columns in a vector */
    void (*step[CPU_GEMM_ROWS][CPU_GEMM_VECS_MAX])(const struct cpu_gemm_step *s);
    void (*finish)(const struct cpu_gemm_out *o);
    /* n numbers, f32 or bf16, become the kernel's; of u8, scale and zero come back. */
    void (*convert)(void *out, const void *x, enum dtype dtype, int64_t n, float *scale,
                    int32_t *zero);
};

#if defined(__x86_64__)
extern const struct cpu_gemm_kind cpu_gemm_avx2, cpu_gemm_avx512, cpu_gemm_bf16, cpu_gemm_int8;
#endif

/* The best kernel for weights of this type that `isa` allows; NULL when there is none. */
const struct cpu_gemm_kind *cpu_gemm_find(enum dtype dtype, enum cpu_isa isa);

/* `w` is packed for this kind (cpu_gemm_pack.h). ERR_NOMEM when x has to be converted and there is
 * no room. */
MUST_CHECK enum err cpu_gemm_run(struct cpu_pool *pool, const struct cpu_gemm_kind *kind,
                                 struct tensor *out, const struct tensor *x, const struct tensor *w,
                                 const struct linear_opts *o, struct fail *f);

#endif
