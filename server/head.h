/* head.h - checks of a request head that libmicrohttpd 0.9.75 does not make. Pure.
 *
 * The library takes both Content-Length and Transfer-Encoding, the first of two lengths, folded
 * lines (as a header with a wrong name), bare line feeds, NULs and blanks before a colon. Each can
 * make a proxy and us see different requests, so each is refused and the connection closed.
 *
 * The library keeps the head as it came and cuts it in place: CR, LF, the colon and the blanks of
 * the first line become NUL. So every header name must stand exactly two NULs behind the value
 * before it, the target exactly one behind the method and the version one behind the target; a
 * fold, a raw NUL, a bare LF or a second blank moves them, which is how they are seen. */
#ifndef SERVER_HEAD_H
#define SERVER_HEAD_H

#include "server/request.h"

struct head {
    const char *version;
    const char *target, *target_end; /* in the library's memory, when it was first seen */
    int n_headers_seen;              /* may be more than the request kept */
    bool is_target_long;
};

/* Fills req->n_body. */
MUST_CHECK enum err head_check(const struct head *head, struct request *req, struct problem *p);

#endif
