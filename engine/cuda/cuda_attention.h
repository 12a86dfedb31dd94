/* cuda_attention.h - softmax(q k^T) v. A row of struct backend_ops.
 *
 * Heads of 32, 64, 80 or 128 bf16 numbers go through one kernel that never writes the logits
 * (cuda_flash.cu); all else is two products with a softmax between them, some queries at a time. */
#ifndef ENGINE_CUDA_CUDA_ATTENTION_H
#define ENGINE_CUDA_CUDA_ATTENTION_H

#include "engine/op.h"

struct cuda;

enum err cuda_attention_run(struct device *dev, struct tensor *out, const struct tensor *q,
                            const struct tensor *k, const struct tensor *v,
                            const struct attention_opts *o, struct fail *f);

#endif
