#include "engine/dit_cache.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"

enum { ROWS = 64 }; /* compared at a time */

enum err dit_cache_make(struct dit_cache *c, struct device *dev, double threshold, int64_t N,
                        int64_t d, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    *c = (struct dit_cache){.threshold = threshold, .dev = dev};
    TRY(pool_take_2d(pool, &c->first, N, d, f));
    TRY(pool_take_2d(pool, &c->rest, N, d, f));
    TRY(pool_take_2d(pool, &c->mark, N, d, f));
    c->a = mem_take((size_t)(ROWS * d), sizeof *c->a);
    c->b = mem_take((size_t)(ROWS * d), sizeof *c->b);
    if (!c->a || !c->b) TRY(FAIL(f, ERR_NOMEM, "no memory for the first block cache"));
out:
    return rc;
}

void dit_cache_free(struct dit_cache *c) {
    mem_free(c->a);
    mem_free(c->b);
    memset(c, 0, sizeof *c);
}

void dit_cache_reset(struct dit_cache *c) {
    c->has_rest = false;
}

enum err dit_cache_begin(struct dit_cache *c, const struct tensor *x, struct fail *f) {
    return op_copy(c->dev, &c->mark, x, f);
}

/* mean |now - first| over mean |first|. */
static double change(struct dit_cache *c, const struct tensor *now) {
    double moved = 0, size = 0;
    for (int64_t r = 0; r < now->dim[0]; r += ROWS) {
        int64_t n = now->dim[0] - r < ROWS ? now->dim[0] - r : ROWS;
        struct tensor a = tensor_rows(now, r, n), b = tensor_rows(&c->first, r, n);
        op_download(c->dev, c->a, &a);
        op_download(c->dev, c->b, &b);
        for (int64_t i = 0, end = n * now->dim[1]; i < end; i++) {
            moved += fabs((double)c->a[i] - (double)c->b[i]);
            size += fabs((double)c->b[i]);
        }
    }
    return moved / size;
}

enum err dit_cache_after_first(struct dit_cache *c, bool *is_done, struct tensor *x,
                               struct fail *f) {
    enum err rc = ERR_OK;
    TRY(op_add_scaled(c->dev, &c->mark, x, &c->mark, -1, f)); /* what the block added */
    *is_done = c->has_rest && change(c, &c->mark) <= c->threshold;
    if (*is_done) {
        c->n_skipped++;
        return op_add_scaled(c->dev, x, x, &c->rest, 1, f);
    }
    TRY(op_copy(c->dev, &c->first, &c->mark, f));
    TRY(op_copy(c->dev, &c->mark, x, f));
out:
    return rc;
}

enum err dit_cache_end(struct dit_cache *c, const struct tensor *x, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(op_add_scaled(c->dev, &c->rest, x, &c->mark, -1, f));
    c->has_rest = true;
    c->n_run++;
out:
    return rc;
}
