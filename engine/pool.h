/* pool.h - device memory that dies together.
 *
 * Four pools live in an engine: `process` (weights), `job` (words, caches), `step` (scratch of one
 * forward pass or one decoded latent) and `host` (what callers get). A step takes a mark, takes
 * tensors and goes back to the mark: after the first step no device allocation happens any more,
 * because a pool keeps its blocks until pool_trim or pool_free. Not thread safe: one owner. */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include "engine/op.h"

enum { POOL_BLOCKS_MAX = 256 };

struct pool_block {
    char *data;
    size_t size, used;
};

/* What several pools may hold together, and what they hold: bytes of blocks. */
struct pool_budget {
    size_t max_bytes, used_bytes;
};

struct pool {
    struct device *dev;
    struct pool_budget *budget; /* borrowed, or NULL: max_bytes is the only cap */
    size_t block_bytes;         /* smallest block asked from the device */
    size_t max_bytes;           /* of all blocks of this pool */
    size_t total_bytes;
    int n_blocks, current;
    struct pool_block block[POOL_BLOCKS_MAX];
};

struct pool_mark {
    int block;
    size_t used;
};

void pool_make(struct pool *p, struct device *dev, size_t block_bytes, size_t max_bytes);
/* From now on the blocks of this pool, which has none yet, count against `budget`. */
void pool_share(struct pool *p, struct pool_budget *budget);
/* Uninitialised device memory in the shape asked for, aligned to 64 bytes. ERR_LIMIT, with need and
 * cap, when it does not fit under the cap; ERR_NOMEM when the device has no more. */
MUST_CHECK enum err pool_take(struct pool *p, struct tensor *out, enum dtype dtype, int n_dims,
                              const int64_t *dims, struct fail *f);
MUST_CHECK enum err pool_take_1d(struct pool *p, struct tensor *out, int64_t n, struct fail *f);
MUST_CHECK enum err pool_take_2d(struct pool *p, struct tensor *out, int64_t rows, int64_t cols,
                                 struct fail *f);
/* In the type of activations of the device. */
MUST_CHECK enum err pool_take_rows(struct pool *p, struct tensor *out, int64_t rows, int64_t cols,
                                   struct fail *f);
MUST_CHECK enum err pool_take_4d(struct pool *p, struct tensor *out, int64_t T, int64_t H,
                                 int64_t W, int64_t C, struct fail *f);
struct pool_mark pool_mark(const struct pool *p);
/* Everything taken since the mark is gone; its blocks stay for the next taker. */
void pool_rewind(struct pool *p, struct pool_mark mark);
void pool_reset(struct pool *p); /* rewinds to the beginning */
/* Resets, and gives blocks back until at most keep_bytes are left for the next job. */
void pool_trim(struct pool *p, size_t keep_bytes);
void pool_free(struct pool *p); /* gives the blocks back; safe on a zeroed pool */

#endif
