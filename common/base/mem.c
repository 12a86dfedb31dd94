#include "common/base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN_BYTES = 64 };

/* Counters are the one exception to "no globals with state": they describe the process itself. */
static _Atomic int64_t n_alive;
static _Atomic int64_t fail_in;

static int must_fail(void) {
    if (atomic_load_explicit(&fail_in, memory_order_relaxed) == 0) return 0;
    return atomic_fetch_sub(&fail_in, 1) == 1;
}

void *mem_take(size_t n, size_t size) {
    if (must_fail()) return NULL;
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) return NULL;
    void *p = calloc(1, bytes ? bytes : 1);
    if (p) atomic_fetch_add(&n_alive, 1);
    return p;
}

void *mem_grow(void *p, size_t n, size_t size) {
    if (must_fail()) return NULL;
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) return NULL;
    void *q = realloc(p, bytes ? bytes : 1);
    if (q && !p) atomic_fetch_add(&n_alive, 1);
    return q;
}

void *mem_take_raw(size_t bytes) {
    if (must_fail()) return NULL;
    size_t round;
    if (__builtin_add_overflow(bytes, (size_t)ALIGN_BYTES - 1, &round)) return NULL;
    round &= ~((size_t)ALIGN_BYTES - 1);
    if (round == 0) round = ALIGN_BYTES;
    void *p = aligned_alloc(ALIGN_BYTES, round);
    if (p) atomic_fetch_add(&n_alive, 1);
    return p;
}

void *mem_take_aligned(size_t bytes) {
    void *p = mem_take_raw(bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

void mem_free_aligned(void *p) {
    mem_free(p);
}

char *mem_copy_str(const char *s) {
    if (!s) return NULL;
    size_t n = strlen(s) + 1;
    char *p = mem_take(n, 1);
    if (p) memcpy(p, s, n);
    return p;
}

void mem_free(void *p) {
    if (!p) return;
    atomic_fetch_sub(&n_alive, 1);
    free(p);
}

int64_t mem_alive(void) {
    return atomic_load(&n_alive);
}

void mem_fail_nth(int64_t n) {
    atomic_store(&fail_in, n);
}
