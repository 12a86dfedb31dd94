#include "common/base/arena.h"

#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

enum { BLOCK_BYTES = 64 * 1024, ALIGN_BYTES = 64 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ALIGN_BYTES) unsigned char data[];
};

void arena_make(struct arena *a, size_t max_bytes) {
    *a = (struct arena){.max_bytes = max_bytes};
}

static struct arena_block *block_add(struct arena *a, size_t bytes) {
    size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    struct arena_block *b = mem_take_aligned(sizeof(*b) + size);
    if (!b) return NULL;
    b->size = size;
    b->next = a->block;
    a->block = b;
    return b;
}

void *arena_take(struct arena *a, size_t bytes) {
    if (bytes > a->max_bytes - a->used_bytes || bytes > SIZE_MAX / 2) return NULL;
    size_t round = (bytes + ALIGN_BYTES - 1) & ~((size_t)ALIGN_BYTES - 1);
    struct arena_block *b = a->block;
    if (!b || b->size - b->used < round) b = block_add(a, round);
    if (!b) return NULL;
    void *p = b->data + b->used;
    b->used += round;
    a->used_bytes += bytes;
    return p;
}

char *arena_copy(struct arena *a, const char *p, size_t n) {
    char *q = arena_take(a, n + 1);
    if (q && n) memcpy(q, p, n);
    return q;
}

void arena_reset(struct arena *a) {
    struct arena_block *keep = a->block;
    if (keep) {
        for (struct arena_block *b = keep->next, *next; b; b = next) {
            next = b->next;
            mem_free_aligned(b);
        }
        memset(keep->data, 0, keep->used);
        keep->next = NULL;
        keep->used = 0;
    }
    a->used_bytes = 0;
}

void arena_free(struct arena *a) {
    for (struct arena_block *b = a->block, *next; b; b = next) {
        next = b->next;
        mem_free_aligned(b);
    }
    *a = (struct arena){0};
}
