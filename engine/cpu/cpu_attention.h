/* cpu_attention.h - softmax attention in tiles, over all keys in one pass: scores of a dozen
 * queries and a block of keys exist at a time, never all of them.
 *
 * Keys and values are packed once, for as many heads as fit the shared scratch, then blocks of
 * queries are dealt out. What an output number is made of, and in which order, depends on the shape
 * alone. */
#ifndef ENGINE_CPU_CPU_ATTENTION_H
#define ENGINE_CPU_CPU_ATTENTION_H

#include "engine/cpu/cpu_attention_kind.h"
#include "engine/cpu/cpu_pool.h"

/* The kernels that go together. */
struct cpu_attention_kernel {
    const struct cpu_tile_kind *tile;
    const struct cpu_attention_kind *kind;
};

struct cpu_attention {
    struct cpu_pool *pool;
    struct cpu_attention_kernel plain, half; /* for tensors of f32, of bf16 */
};

/* `isa` is the most that may be used. */
void cpu_attention_open(struct cpu_attention *a, struct cpu_pool *pool, enum cpu_isa isa);
/* As op_attention(). */
MUST_CHECK enum err cpu_attention_run(const struct cpu_attention *a, struct tensor *out,
                                      const struct tensor *q, const struct tensor *k,
                                      const struct tensor *v, const struct attention_opts *o,
                                      struct fail *f);

#endif
