/* arena.h - memory that dies together.
 *
 * Three lifetimes exist: the process, the job and the step. Each is an arena whose maker resets
 * or frees it; nobody frees what came out of it. Every arena has a cap: a job that wants more
 * fails with ERR_NOMEM and the process lives. Not thread safe: one owner. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

#include "common/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct arena_block;

struct arena {
    struct arena_block *block; /* newest first */
    size_t used_bytes;
    size_t max_bytes;
};

void arena_make(struct arena *a, size_t max_bytes);
/* Zeroed, 64-byte aligned. NULL when the cap or the system is exhausted. */
MUST_CHECK void *arena_take(struct arena *a, size_t bytes);
/* A NUL-terminated copy of n bytes. */
MUST_CHECK char *arena_copy(struct arena *a, const char *p, size_t n);
/* Forgets all that was taken; one block is kept for the next round. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#ifdef __cplusplus
}
#endif
#endif
