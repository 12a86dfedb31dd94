/* cuda_blas.h - the door to cuBLASLt: one product, row-major.
 *
 * out [N,O] = act(x [N,K] w^T + b) + beta * out; w is [O,K], or with `is_turned` [K,O]. x and w are
 * of one type, F32 or BF16; sums are f32. The strides are those of rows, in elements. */
#ifndef ENGINE_CUDA_CUDA_BLAS_H
#define ENGINE_CUDA_CUDA_BLAS_H

#include "engine/cuda/cuda_own.h"

struct cuda_product {
    int64_t N, O, K;
    const void *x, *w, *b; /* b of the type of out, or NULL */
    void *out;
    int64_t x_stride, w_stride, out_stride;
    enum dtype type, out_type;
    bool is_turned, has_gelu; /* gelu: the tanh form */
    float scale, beta;        /* scale: of the sum */
};

enum err cuda_blas_open(struct cuda *c, struct fail *f);
void cuda_blas_close(struct cuda *c); /* safe when it was not opened */
/* ERR_UNSUPPORTED, without words, when the library has no kernel for this shape. */
enum err cuda_blas_product(struct cuda *c, const struct cuda_product *p, struct fail *f);

#endif
