/* fetch.h - one bounded HTTP exchange with another server (the libcurl door).
 *
 * Every address is judged by guard.h at the moment the socket is made, so a name that changes its
 * mind gains nothing; no proxy, redirect, cookie, netrc, alt-svc or reuse of connections, whatever
 * the environment says. Reply bodies are cut, not decoded. Blocking; one thread per call, any
 * number of calls at once. */
#ifndef COMMON_FETCH_H
#define COMMON_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/guard.h"

enum { FETCH_HEADERS_MAX = 8, FETCH_ASKED_MAX = 4, FETCH_ASKED_SIZE = 160 };

/* Part of an open file, read with pread. */
struct fetch_file {
    int fd;
    int64_t from, n_bytes;
};

struct fetch_request {
    const char *url;
    const char *method; /* NULL: POST with a body, else GET */
    const char *body;   /* or NULL */
    size_t n_body;
    const struct fetch_file *file; /* the body, when not NULL */
    int save_fd; /* > 0: where the body of a 2xx reply is written, up to reply_max; bodies of other
                  * replies are kept as ever */
    const char *headers[FETCH_HEADERS_MAX]; /* "name: value", ended by NULL */
    int connect_ms, total_ms;               /* deadlines */
    size_t reply_max;                       /* bytes of reply body read; the rest is left unread */
    struct guard_rules rules;
    const char *asked[FETCH_ASKED_MAX]; /* names of reply headers that are wanted, ended by NULL */
};

struct fetch_reply {
    int status;            /* 0 = no answer */
    int64_t retry_after_s; /* -1 = the header was not there */
    struct buf body;       /* made by fetch_call, ended by fetch_reply_free */
    int64_t n_saved;       /* bytes written to save_fd */
    char told[FETCH_ASKED_MAX][FETCH_ASKED_SIZE]; /* values of what was asked; cut when longer */
};

/* Once per process, before threads. */
MUST_CHECK enum err fetch_start(struct fail *f);
void fetch_stop(void);

/* ERR_OK when an HTTP status came, whatever it is. ERR_FORBIDDEN: the guard refused the URL or the
 * address (no packet was sent). ERR_TIMEOUT, ERR_IO: no answer. *reply is always valid. */
MUST_CHECK enum err fetch_call(struct fetch_reply *reply, const struct fetch_request *request,
                               struct fail *f);
void fetch_reply_free(struct fetch_reply *reply);
/* Seconds since 1970 of the header "Date"; -1 when it is none. */
int64_t fetch_parse_date(const char *text);

#endif
