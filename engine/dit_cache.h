/* dit_cache.h - first block cache: a pass that begins like the one before ends like it.
 *
 * What the first block adds is compared with what it added when the others ran last; when it
 * changed by less than a share of itself, what the others added then is added again. One cache
 * follows one sequence of passes: one for the words, one for guidance, and both anew at another
 * expert or window. */
#ifndef ENGINE_DIT_CACHE_H
#define ENGINE_DIT_CACHE_H

#include <stdbool.h>

#include "engine/pool.h"

struct dit_cache {
    double threshold;
    struct device *dev;
    struct tensor first; /* [N,d] what the first block added when the others ran last */
    struct tensor rest;  /* [N,d] what they added then */
    struct tensor mark;  /* [N,d] x before the part that is running */
    float *a, *b;        /* host: some rows */
    bool has_rest;
    int n_run, n_skipped; /* passes */
};

/* Tensors come from `pool`; the caller frees the rest. */
MUST_CHECK enum err dit_cache_make(struct dit_cache *c, struct device *dev, double threshold,
                                   int64_t N, int64_t d, struct pool *pool, struct fail *f);
void dit_cache_free(struct dit_cache *c); /* safe on a zeroed struct */
/* Forgets what came before. */
void dit_cache_reset(struct dit_cache *c);

/* Around the first block: before it, and after it. When *is_done, x is finished. */
MUST_CHECK enum err dit_cache_begin(struct dit_cache *c, const struct tensor *x, struct fail *f);
MUST_CHECK enum err dit_cache_after_first(struct dit_cache *c, bool *is_done, struct tensor *x,
                                          struct fail *f);
/* After the others. */
MUST_CHECK enum err dit_cache_end(struct dit_cache *c, const struct tensor *x, struct fail *f);

#endif
