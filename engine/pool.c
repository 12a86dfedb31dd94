#include "engine/pool.h"

#include <string.h>

#include "common/base/assert.h"

enum { POOL_ALIGN_BYTES = 64 };

void pool_make(struct pool *p, struct device *dev, size_t block_bytes, size_t max_bytes) {
    memset(p, 0, sizeof *p);
    p->dev = dev;
    p->block_bytes = block_bytes;
    p->max_bytes = max_bytes;
}

void pool_share(struct pool *p, struct pool_budget *budget) {
    ASSERT(p->n_blocks == 0);
    p->budget = budget;
    p->max_bytes = budget->max_bytes;
}

static size_t used_bytes(const struct pool *p) {
    return p->budget ? p->budget->used_bytes : p->total_bytes;
}

static enum err add_block(struct pool *p, size_t bytes, struct fail *f) {
    size_t size = bytes > p->block_bytes ? bytes : p->block_bytes;
    if (p->n_blocks == POOL_BLOCKS_MAX || size > p->max_bytes - used_bytes(p))
        return FAIL(f, ERR_LIMIT, "%zu MiB more memory are needed, %zu of %zu MiB are in use",
                    (size >> 20) + 1, used_bytes(p) >> 20, p->max_bytes >> 20);
    char *data = p->dev->ops->alloc(p->dev, size);
    if (!data) return FAIL(f, ERR_NOMEM, "the device has no %zu MiB left", size >> 20);
    p->dev->n_allocs++;
    p->block[p->n_blocks++] = (struct pool_block){.data = data, .size = size};
    p->total_bytes += size;
    if (p->budget) p->budget->used_bytes += size;
    return ERR_OK;
}

/* The first block from the current one on that has room. Blocks that are skipped stay empty until
 * the next rewind, so a step that repeats finds the same places again. */
static enum err find_room(struct pool *p, size_t bytes, void **out, struct fail *f) {
    for (;; p->current++) {
        if (p->current == p->n_blocks) {
            enum err rc = add_block(p, bytes, f);
            if (rc != ERR_OK) return rc;
        }
        struct pool_block *b = &p->block[p->current];
        if (b->size - b->used < bytes) continue;
        *out = b->data + b->used;
        b->used += bytes;
        return ERR_OK;
    }
}

enum err pool_take(struct pool *p, struct tensor *out, enum dtype dtype, int n_dims,
                   const int64_t *dims, struct fail *f) {
    size_t bytes = tensor_dtype_bytes(dtype);
    for (int i = 0; i < n_dims; i++)
        if (dims[i] < 0 || __builtin_mul_overflow(bytes, (size_t)dims[i], &bytes))
            return FAIL(f, ERR_LIMIT, "a tensor of that shape does not fit into memory");
    if (bytes > SIZE_MAX - POOL_ALIGN_BYTES) return FAIL(f, ERR_LIMIT, "a tensor is too large");
    bytes = (bytes + POOL_ALIGN_BYTES - 1) & ~(size_t)(POOL_ALIGN_BYTES - 1);
    void *data = NULL;
    enum err rc = find_room(p, bytes ? bytes : POOL_ALIGN_BYTES, &data, f);
    if (rc == ERR_OK) *out = tensor_of(data, dtype, n_dims, dims);
    return rc;
}

enum err pool_take_1d(struct pool *p, struct tensor *out, int64_t n, struct fail *f) {
    return pool_take(p, out, DTYPE_F32, 1, &n, f);
}

enum err pool_take_2d(struct pool *p, struct tensor *out, int64_t rows, int64_t cols,
                      struct fail *f) {
    return pool_take(p, out, DTYPE_F32, 2, (int64_t[]){rows, cols}, f);
}

enum err pool_take_rows(struct pool *p, struct tensor *out, int64_t rows, int64_t cols,
                        struct fail *f) {
    return pool_take(p, out, device_activation(p->dev), 2, (int64_t[]){rows, cols}, f);
}

enum err pool_take_4d(struct pool *p, struct tensor *out, int64_t T, int64_t H, int64_t W,
                      int64_t C, struct fail *f) {
    return pool_take(p, out, DTYPE_F32, 4, (int64_t[]){T, H, W, C}, f);
}

struct pool_mark pool_mark(const struct pool *p) {
    struct pool_mark m = {.block = p->current};
    if (p->current < p->n_blocks) m.used = p->block[p->current].used;
    return m;
}

void pool_rewind(struct pool *p, struct pool_mark mark) {
    ASSERT(mark.block <= p->current);
    for (int i = mark.block; i < p->n_blocks; i++)
        p->block[i].used = i == mark.block ? mark.used : 0;
    p->current = mark.block;
}

void pool_reset(struct pool *p) {
    pool_rewind(p, (struct pool_mark){0});
}

static void drop_last_block(struct pool *p) {
    struct pool_block *b = &p->block[--p->n_blocks];
    p->dev->ops->release(p->dev, b->data);
    p->total_bytes -= b->size;
    if (p->budget) p->budget->used_bytes -= b->size;
    *b = (struct pool_block){0};
}

void pool_trim(struct pool *p, size_t keep_bytes) {
    pool_reset(p);
    while (p->total_bytes > keep_bytes)
        drop_last_block(p);
}

void pool_free(struct pool *p) {
    while (p->n_blocks > 0)
        drop_last_block(p);
    memset(p, 0, sizeof *p);
}
