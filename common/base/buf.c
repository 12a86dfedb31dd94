#include "common/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

enum { FIRST_BYTES = 256 };

void buf_make(struct buf *b, size_t max) {
    *b = (struct buf){.max = max};
}

static enum err room_for(struct buf *b, size_t n, struct fail *f) {
    if (n > b->max - b->len || b->len > b->max)
        return FAIL(f, ERR_LIMIT, "%zu bytes do not fit, the limit is %zu", b->len + n, b->max);
    if (b->len + n + 1 <= b->cap) return ERR_OK;
    size_t cap = b->cap ? b->cap : FIRST_BYTES;
    while (cap < b->len + n + 1)
        cap *= 2;
    char *p = mem_grow(b->data, cap, 1);
    if (!p) return FAIL(f, ERR_NOMEM, "no memory for a buffer of %zu bytes", cap);
    b->data = p;
    b->cap = cap;
    return ERR_OK;
}

enum err buf_add(struct buf *b, const void *p, size_t n, struct fail *f) {
    enum err rc = room_for(b, n, f);
    if (rc != ERR_OK) return rc;
    if (n) memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = 0;
    return ERR_OK;
}

enum err buf_add_str(struct buf *b, const char *s, struct fail *f) {
    return buf_add(b, s, strlen(s), f);
}

enum err buf_addf(struct buf *b, struct fail *f, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    enum err rc = n < 0 ? FAIL(f, ERR_BUG, "bad format \"%s\"", fmt) : room_for(b, (size_t)n, f);
    if (rc == ERR_OK) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return rc;
}

void buf_drop(struct buf *b, size_t n) {
    if (n >= b->len) {
        buf_clear(b);
        return;
    }
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

void buf_clear(struct buf *b) {
    b->len = 0;
    if (b->data) b->data[0] = 0;
}

const char *buf_str(const struct buf *b) {
    return b->data ? b->data : "";
}

char *buf_take(struct buf *b) {
    char *p = b->data;
    buf_make(b, b->max);
    return p;
}

void buf_free(struct buf *b) {
    mem_free(b->data);
    buf_make(b, b->max);
}
