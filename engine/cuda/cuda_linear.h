/* cuda_linear.h - products with weights. Rows of struct backend_ops. */
#ifndef ENGINE_CUDA_CUDA_LINEAR_H
#define ENGINE_CUDA_CUDA_LINEAR_H

#include "engine/op.h"

enum err cuda_linear_run(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct tensor *w, const struct linear_opts *o, struct fail *f);

#endif
