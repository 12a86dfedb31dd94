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

/* x [m,k], w [n,k], out [m,n]; rows of x and w are dense, those of out `out_stride` floats apart.
 */
struct cpu_blas_product {
    int64_t m, n, k;
    const float *x, *w;
    float *out;
    int64_t out_stride;
};
/* out = x w^T. */
void cpu_blas_multiply(const struct cpu_blas *b, const struct cpu_blas_product *p);

#endif
