/* cpu_rows.h - products with weights that stay in rows, as they lie in their file.
 *
 *   out [M,O] = act(x [M,K] * w [O,K]^T + b), w bf16, f16 or f32, at any address
 *
 * For weights that are read once and thrown away: a text encoder of gigabytes whose rows come
 * straight from a mapped file. Four rows of w at a time meet all rows of x in registers, a few of
 * them after the other, while the next four rows are fetched: memory is read once and the rest is
 * arithmetic. bf16 rows are multiplied as they are where the kernel multiplies bf16; all others
 * become numbers of the kernel first, four rows at a time. The order of a sum depends on K alone.
 *
 * One run at a time per pool. */
#ifndef ENGINE_CPU_CPU_ROWS_H
#define ENGINE_CPU_CPU_ROWS_H

#include "engine/cpu/cpu_pool.h"
#include "engine/cpu/cpu_vec.h"

enum {
    CPU_ROWS_X = 6, /* rows of x in one call of a kernel, at most */
    CPU_ROWS_W = 4, /* rows of w, always */
};

/* One call of a kernel. K is a multiple of its step. */
struct cpu_rows_block {
    const char *x;                 /* [K/step][rows of x][step], numbers of the kernel */
    const char *w[CPU_ROWS_W];     /* [K], numbers of the kernel */
    const char *ahead[CPU_ROWS_W]; /* rows of [K] to fetch meanwhile */
    int n_ahead;                   /* 0, 1, 2 or 4 of them */
    int64_t K;
    float *out; /* [rows of x][out_stride], four numbers of each row are written */
    int64_t out_stride;
};

struct cpu_rows_kernel {
    const char *name;
    enum dtype dtype; /* of its numbers: bf16 or f32 */
    int step, n_x;    /* numbers of one load; rows of x, at most CPU_ROWS_X */
    void (*block[CPU_ROWS_X])(const struct cpu_rows_block *b); /* for 1, 2, .. n_x rows */
    /* n numbers of type bf16, f16 or f32 become the kernel's. */
    void (*convert)(char *out, const char *from, enum dtype dtype, int64_t n);
};

extern const struct cpu_rows_kernel cpu_rows_base;
#if defined(__x86_64__)
extern const struct cpu_rows_kernel cpu_rows_avx2, cpu_rows_avx512, cpu_rows_bf16;
#endif

/* The best kernel that `isa` allows, never NULL; one that multiplies bf16 only when precision is
 * not PRECISION_F32. */
const struct cpu_rows_kernel *cpu_rows_find(enum cpu_isa isa, enum precision precision);

struct cpu_rows {
    struct cpu_pool *pool;
    const struct cpu_vec *vec;
    const struct cpu_rows_kernel *kernel;
    struct tensor *out;         /* f32 or bf16 */
    const struct tensor *x, *w; /* x f32 or bf16 */
    const struct linear_opts *o;
};

/* ERR_NOMEM when there is no room for x in the order of the kernel. */
MUST_CHECK enum err cpu_rows_run(const struct cpu_rows *r, struct fail *f);

#endif
