/* pool.h - device memory that dies together.
 *
 * Three pools live in an engine: `process` (weights), `job` (words, latents, caches) and `step`
 * (scratch of one forward pass or one decoded latent). A step takes a mark, takes tensors and
 * goes back to the mark: after the first step no device allocation happens any more, because a
 * pool keeps its blocks until pool_free. Not thread safe: one owner. */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include "engine/op.h"

enum { POOL_BLOCKS_MAX = 256 };

struct pool_block {
    char *data;
    size_t size, used;
};

struct pool {
    struct device *dev;
    size_t block_bytes; /* smallest block asked from the device */
    size_t max_bytes;   /* of all blocks; a job that wants more fails with ERR_NOMEM */
    size_t total_bytes;
    int n_blocks, current;
    struct pool_block block[POOL_BLOCKS_MAX];
};

struct pool_mark {
    int block;
    size_t used;
};

void pool_make(struct pool *p, struct device *dev, size_t block_bytes, size_t max_bytes);
/* Uninitialised device memory in the shape asked for, aligned to 64 bytes. */
MUST_CHECK enum err pool_take(struct pool *p, struct tensor *out, enum dtype dtype, int n_dims,
                              const int64_t *dims, struct fail *f);
MUST_CHECK enum err pool_take_1d(struct pool *p, struct tensor *out, int64_t n, struct fail *f);
MUST_CHECK enum err pool_take_2d(struct pool *p, struct tensor *out, int64_t rows, int64_t cols,
                                 struct fail *f);
MUST_CHECK enum err pool_take_4d(struct pool *p, struct tensor *out, int64_t T, int64_t H,
                                 int64_t W, int64_t C, struct fail *f);
struct pool_mark pool_mark(const struct pool *p);
/* Everything taken since the mark is gone; its blocks stay for the next taker. */
void pool_rewind(struct pool *p, struct pool_mark mark);
void pool_reset(struct pool *p); /* rewinds to the beginning */
void pool_free(struct pool *p);  /* gives the blocks back; safe on a zeroed pool */

#endif
