/* buf.h - growable bytes with a cap.
 *
 * No buffer in the tree grows without a limit, so the cap is part of making one. The content is
 * always NUL-terminated and may be used as a string when it holds no NUL itself. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>

#include "common/base/err.h"

struct buf {
    char *data; /* NULL until the first byte; buf_str() never gives NULL */
    size_t len, cap;
    size_t max; /* bytes; more fails with ERR_LIMIT */
};

void buf_make(struct buf *b, size_t max);
MUST_CHECK enum err buf_add(struct buf *b, const void *p, size_t n, struct fail *f);
MUST_CHECK enum err buf_add_str(struct buf *b, const char *s, struct fail *f);
MUST_CHECK enum err buf_addf(struct buf *b, struct fail *f, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* Removes the first n bytes. */
void buf_drop(struct buf *b, size_t n);
void buf_clear(struct buf *b);
/* The bytes as a string, "" when empty; borrowed until the next change. */
const char *buf_str(const struct buf *b);
/* Hands the bytes over (mem_free) and leaves the buffer empty; NULL when nothing was added. */
char *buf_take(struct buf *b);
void buf_free(struct buf *b);

#endif
