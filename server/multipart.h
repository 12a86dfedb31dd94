/* multipart.h - a streaming parser of multipart/form-data (RFC 7578).
 *
 * Bytes go in as they arrive, in pieces of any size; the sink hears each part's head, its bytes
 * and its end. Nothing is buffered but one part head and the bytes that may be a boundary, so
 * memory is bounded whatever is sent. Pure: the sink does the I/O. Owner: one thread at a time.
 *
 *   [preamble] --B CRLF  head CRLF CRLF  data CRLF --B CRLF ...  CRLF --B-- [epilogue, ignored] */
#ifndef SERVER_MULTIPART_H
#define SERVER_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/limits.h"
#include "common/base/str.h"
#include "server/problem.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70, /* RFC 2046 */
    MULTIPART_HEAD_MAX = LIMIT_PART_HEADER_BYTES,
    MULTIPART_PARTS_MAX = LIMIT_MULTIPART_PARTS,
    MULTIPART_NAME_MAX = 200,
    MULTIPART_PREAMBLE_MAX = 1024,
};

/* What the head of a part says. The file name is a stranger's text: it is never used as a path. */
struct multipart_part {
    char name[MULTIPART_NAME_MAX];
    bool is_file;
    struct str file_name;
    struct str type; /* Content-Type as sent, "" if none; the bytes decide, not this */
};

/* Each returns ERR_OK to go on; anything else stops the parser, and `problem` says why. */
struct multipart_sink {
    void *ctx;
    enum err (*begin)(void *ctx, const struct multipart_part *part, struct problem *p);
    enum err (*data)(void *ctx, const char *bytes, size_t n, struct problem *p);
    enum err (*end)(void *ctx, struct problem *p);
};

enum multipart_state {
    MULTIPART_PREAMBLE,
    MULTIPART_AFTER_BOUNDARY, /* CRLF or "--" must follow */
    MULTIPART_HEAD,
    MULTIPART_DATA,
    MULTIPART_EPILOGUE,
    MULTIPART_BROKEN
};

struct multipart {
    struct multipart_sink sink;
    enum multipart_state state;
    char mark[MULTIPART_BOUNDARY_MAX + 5]; /* CRLF "--" boundary */
    size_t n_mark;
    size_t n_matched; /* bytes of mark that the data so far ends with */
    size_t n_preamble;
    int n_parts;
    size_t n_held;
    char held[MULTIPART_HEAD_MAX]; /* head of the part, or what follows a boundary */
};

/* Reads the boundary out of a Content-Type value; the value must be multipart/form-data. */
MUST_CHECK enum err multipart_open(struct multipart *m, struct str content_type,
                                   const struct multipart_sink *sink, struct problem *p);

/* Takes the next bytes. After a failure every further call fails the same way without work. */
MUST_CHECK enum err multipart_feed(struct multipart *m, const char *bytes, size_t n,
                                   struct problem *p);

/* All bytes are in: fails unless the last boundary was seen. */
MUST_CHECK enum err multipart_close(struct multipart *m, struct problem *p);

#endif
