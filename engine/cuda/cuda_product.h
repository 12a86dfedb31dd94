/* cuda_product.h - one product by whatever can do it: cuBLASLt, or for odd shapes a plain kernel.
 */
#ifndef ENGINE_CUDA_CUDA_PRODUCT_H
#define ENGINE_CUDA_CUDA_PRODUCT_H

#include "engine/cuda/cuda_blas.h"

enum err cuda_product_run(struct cuda *c, const struct cuda_product *p, struct fail *f);

#endif
