/* cpu_blas.h - OpenBLAS, loaded by hand.
 *
 * The library reads OPENBLAS_CORETYPE when it is loaded and then believes it: a shell that
 * exports "Haswell" halves the speed of an AVX-512 machine. So it is not linked; it is opened
 * after those variables were taken away and with one thread, since tiles bring their own. */
#ifndef ENGINE_CPU_CPU_BLAS_H
#define ENGINE_CPU_CPU_BLAS_H

#include <stdint.h>

#include "common/base/err.h"

struct cpu_blas {
    void *library;
    void *sgemm; /* the address of cblas_sgemm */
    const char *core_name;
};

/* Call it before other threads exist: it changes the environment. */
MUST_CHECK enum err cpu_blas_open(struct cpu_blas *b, struct fail *f);
void cpu_blas_close(struct cpu_blas *b);

/* A strided matrix; a row is `stride` floats apart. */
struct cpu_matrix {
    const float *data;
    int64_t stride;
};

/* out [m,n] = alpha * a [m,k] * b^T, b [n,k] (nt) or b [k,n] (nn); beta 0 or 1 keeps out. */
struct cpu_gemm {
    int64_t m, n, k;
    float alpha, beta;
    struct cpu_matrix a, b;
    float *out;
    int64_t out_stride;
};
void cpu_blas_nt(const struct cpu_blas *b, const struct cpu_gemm *g);
void cpu_blas_nn(const struct cpu_blas *b, const struct cpu_gemm *g);

#endif
