/* sigv4.h - AWS signature version 4 for S3, step by step. Pure: no clock, no socket.
 *
 *   canonical request -> string to sign -> signature by a key made of date, region and service
 *
 * A request is signed in a header, or in the query of a link that anybody may follow for a while.
 * Our paths and values are plain or encoded by sigv4_encode() before they come here. */
#ifndef COMMON_SIGV4_H
#define COMMON_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum { SIGV4_DATE_SIZE = 17, SIGV4_HEADERS_MAX = 8, SIGV4_LINK_SECONDS_MAX = 604800 };

struct sigv4_keys {
    const char *access, *secret, *region;
};

struct sigv4_header {
    const char *name, *value; /* lower case; one line without blanks at its ends */
};

struct sigv4_call {
    const char *method, *path;  /* of the URL, encoded: "/bucket/key" */
    const char *query;          /* encoded, names in order: "a=1&b=", "" for none */
    const char *payload;        /* SHA-256 in hex, or "UNSIGNED-PAYLOAD" */
    char date[SIGV4_DATE_SIZE]; /* 20130524T000000Z: sigv4_date() */
    /* All that are signed, in order of their names, "host" among them, ended by NULL. */
    struct sigv4_header headers[SIGV4_HEADERS_MAX + 1];
};

void sigv4_date(char out[SIGV4_DATE_SIZE], int64_t wall_ms);
/* The value of the header "Authorization". */
MUST_CHECK enum err sigv4_authorize(struct buf *out, const struct sigv4_call *call,
                                    const struct sigv4_keys *keys, struct fail *f);
/* The query of a link that works for `seconds` from call->date; call->query is "" and the payload
 * unsigned; of the headers only "host" is signed. */
MUST_CHECK enum err sigv4_link(struct buf *out, const struct sigv4_call *call, int64_t seconds,
                               const struct sigv4_keys *keys, struct fail *f);
/* Appends `text` with everything but letters, digits and -_.~ as %XX. */
MUST_CHECK enum err sigv4_encode(struct buf *out, const char *text, struct fail *f);

#endif
