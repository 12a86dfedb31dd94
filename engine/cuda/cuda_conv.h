/* cuda_conv.h - causal convolutions. Rows of struct backend_ops.
 *
 * bf16 kernels are packed as [O][kt][kh][kw][C rounded up to 8] and go through the tensor cores as
 * a product whose rows are gathered while they are loaded; f32 kernels stay as they are and take
 * one thread a result. */
#ifndef ENGINE_CUDA_CUDA_CONV_H
#define ENGINE_CUDA_CUDA_CONV_H

#include "engine/op.h"

struct cuda;

/* Channels of a packed kernel. */
static inline int64_t cuda_conv_channels(int64_t C) {
    return (C + 7) / 8 * 8;
}

void cuda_conv_open(struct cuda *c);
enum err cuda_conv_run(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct conv_opts *o, struct fail *f);

#endif
