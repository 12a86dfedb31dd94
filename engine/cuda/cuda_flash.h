/* cuda_flash.h - attention of bf16 heads without logits in memory. */
#ifndef ENGINE_CUDA_CUDA_FLASH_H
#define ENGINE_CUDA_CUDA_FLASH_H

#include "engine/cuda/cuda_own.h"

struct cuda_flash {
    struct bf16 *out;         /* [nq, heads * D] */
    const struct bf16 *q;     /* [nq, heads * D] */
    const struct bf16 *k, *v; /* [nk, heads * D] */
    const float *key_bias;    /* [nk] or NULL */
    int64_t nq, nk;
    int n_heads, D;
    float scale;
};

/* Heads of D channels have a kernel, and this card the shared memory for it: of Ada's 99 KiB heads
 * of 128 need 102. */
bool cuda_flash_can(const struct cuda *c, int D);
/* Asks for the shared memory that the kernels need; once for each device. */
void cuda_flash_open(struct cuda *c);
void cuda_flash_run(struct cuda *c, const struct cuda_flash *o);

#endif
