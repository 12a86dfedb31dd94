/* mem.h - the only door to the heap.
 *
 * All calls count what is alive, so that a test can see a leak, and pass a fault hook, so that a
 * test can make the n-th allocation fail. Thread safe. Memory comes zeroed. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* n * size bytes, zeroed; NULL when that overflows or the system is out of memory. Zero bytes give
 * a valid address. The caller owns the result and ends it with mem_free(). */
MUST_CHECK void *mem_take(size_t n, size_t size);
/* Resizes; the old block stays valid when NULL comes back. New bytes are not zeroed. */
MUST_CHECK void *mem_grow(void *p, size_t n, size_t size);
/* Aligned for AVX-512 loads (64 bytes), zeroed, ended with mem_free_aligned(). */
MUST_CHECK void *mem_take_aligned(size_t bytes);
/* The same, not zeroed: pages of a large block that nobody writes to cost no memory. */
MUST_CHECK void *mem_take_raw(size_t bytes);
void mem_free_aligned(void *p);
/* A copy of the NUL-terminated string, ended with mem_free(). NULL stays NULL. */
MUST_CHECK char *mem_copy_str(const char *s);
/* NULL is allowed. */
void mem_free(void *p);

/* Blocks alive now: zero at the end of a clean program. */
int64_t mem_alive(void);
/* Tests: the n-th allocation from now on fails once; 0 switches the fault off. */
void mem_fail_nth(int64_t n);

#ifdef __cplusplus
}
#endif
#endif
