/* cpu_attention.h - softmax attention in tiles: scores of a block of queries and a block of keys
 * exist at a time, never all of them. */
#ifndef ENGINE_CPU_CPU_ATTENTION_H
#define ENGINE_CPU_CPU_ATTENTION_H

#include "engine/cpu/cpu_blas.h"
#include "engine/cpu/cpu_pool.h"
#include "engine/cpu/cpu_vec.h"

struct cpu_attention {
    struct cpu_pool *pool;
    const struct cpu_vec *vec;
    const struct cpu_blas *blas;
    struct tensor *out;
    const struct tensor *q, *k, *v;
    const struct attention_opts *o;
};

MUST_CHECK enum err cpu_attention_run(const struct cpu_attention *a, struct fail *f);

#endif
