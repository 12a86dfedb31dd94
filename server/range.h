/* range.h - the conditional and range headers of RFC 9110, as far as one file needs them. Pure. */
#ifndef SERVER_RANGE_H
#define SERVER_RANGE_H

#include <stdint.h>

#include "common/base/str.h"

enum range_verdict {
    RANGE_WHOLE,        /* no usable Range header: send 200 and everything */
    RANGE_PART,         /* send 206 and [first, last] */
    RANGE_UNSATISFIABLE /* send 416 */
};

struct range {
    int64_t first, last; /* inclusive, within the file */
};

/* Reads one `bytes=` range of a file of `size` bytes. Unknown units, broken syntax, first > last
 * and more than one range count as no header at all, as the RFC allows. */
enum range_verdict range_parse(struct range *out, struct str header, int64_t size);

/* True when `etag` (without quotes) is in an If-None-Match list: weak comparison, or "*". */
bool range_etag_matches(struct str list, const char *etag);

/* True when an If-Range header allows the range: a strong tag equal to `etag`. A date never
 * matches, since our files are named by content and not by time. */
bool range_if_range_holds(struct str header, const char *etag);

#endif
