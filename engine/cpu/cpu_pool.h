/* cpu_pool.h - the cores of the machine, fed tile by tile.
 *
 * A run hands out tiles 0..n-1 one by one, so that a core which is slowed down by a neighbour
 * gets fewer of them. The caller works too. Threads spin for a moment before they sleep, because
 * the next op usually comes within microseconds. One caller at a time. */
#ifndef ENGINE_CPU_CPU_POOL_H
#define ENGINE_CPU_CPU_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum { CPU_POOL_THREADS_MAX = 256 };

struct cpu_pool;

/* `thread` is 0..n_threads-1, for scratch. */
typedef void (*cpu_pool_fn)(void *ctx, int64_t tile, int thread);

/* n_threads 0 means the cores this process may use. The caller owns *out: cpu_pool_close(). */
MUST_CHECK enum err cpu_pool_open(struct cpu_pool **out, int n_threads, struct fail *f);
void cpu_pool_close(struct cpu_pool *p); /* NULL is fine */
int cpu_pool_n_threads(const struct cpu_pool *p);
void cpu_pool_run(struct cpu_pool *p, int64_t n_tiles, cpu_pool_fn fn, void *ctx);

/* Makes sure that every thread has `bytes` of scratch; kept until the pool closes. Call it before
 * the run, from the caller. */
MUST_CHECK enum err cpu_pool_reserve(struct cpu_pool *p, size_t bytes, struct fail *f);
void *cpu_pool_scratch(const struct cpu_pool *p, int thread);
/* One more piece, shared by all threads: packed weights. */
MUST_CHECK enum err cpu_pool_reserve_shared(struct cpu_pool *p, size_t bytes, struct fail *f);
void *cpu_pool_shared(const struct cpu_pool *p);

#endif
