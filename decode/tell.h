/* tell.h - the answer of misora-decode, tag by tag (common/base/decode_wire.h).
 *
 * The same warning is said once. Nothing is said after a failure of the pipe. */
#ifndef DECODE_TELL_H
#define DECODE_TELL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/decode_wire.h"
#include "common/base/err.h"

struct tell {
    int fd;
    int n_warnings;
    char warning[DECODE_WARNINGS_MAX][DECODE_WARNING_SIZE];
};

/* Words for the owner of the file about what is not as it was; cut when too long. */
void tell_warning(struct tell *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ERR_IO when nobody listens any more. */
MUST_CHECK enum err tell_head(struct tell *t, const struct decode_wire_head *head, struct fail *f);
MUST_CHECK enum err tell_frame(struct tell *t, const uint8_t *rgb, size_t n, struct fail *f);
/* The last words: all went well, or why not. */
MUST_CHECK enum err tell_end(struct tell *t, const struct fail *why, struct fail *f);

#endif
