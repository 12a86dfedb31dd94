/* request.h - one HTTP exchange as the handlers see it: what came in, what goes out.
 *
 * Slices of the request borrow from the HTTP library and live until the exchange ends. Knows
 * nothing of sockets: server/http.c fills it and sends the reply. Owner: the thread that runs the
 * handler; while the exchange is parked nobody touches it. */
#ifndef SERVER_REQUEST_H
#define SERVER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "server/problem.h"

enum {
    REQUEST_HEADERS_MAX = 64,
    REQUEST_TARGET_MAX = 8192, /* path and query, bytes */
    REQUEST_PATH_MAX = 256,    /* longer paths are nobody's */
    REQUEST_QUERY_MAX = 32,    /* parameters */
    REQUEST_MEMORY_MAX = 64 * 1024 * 1024,
    REPLY_HEADERS_MAX = 32,
    REPLY_BODY_MAX = 32 * 1024 * 1024, /* a page of 100 jobs with the longest prompts */
};

struct request_header {
    struct str name;
    struct str value;
};

/* Where the bytes of an endless reply come from. read() gives 1..max bytes, 0 after it has parked
 * the exchange (http_park), or a negative number at the end. end() runs once, last of all. */
struct reply_stream {
    ssize_t (*read)(void *ctx, char *out, size_t max);
    void (*end)(void *ctx);
    void *ctx;
};

struct reply {
    int status; /* 0: no reply yet */
    int n_headers;
    struct {
        const char *name;
        const char *value;
    } headers[REPLY_HEADERS_MAX];
    struct buf body;
    int fd; /* when >= 0: n_file bytes of this file from `offset`; closed by http.c */
    int64_t offset;
    int64_t n_file;
    struct reply_stream stream; /* when read is set: an endless body */
    bool must_close;            /* the connection cannot be trusted any further */
};

struct route;

struct request {
    char id[40]; /* req_ + 32 hex, also in x-request-id */
    struct str method;
    struct str path;  /* raw, as sent, without the query */
    struct str query; /* raw, behind the '?' */
    struct str peer;  /* address of the other end of the socket */
    int n_headers;
    struct request_header headers[REQUEST_HEADERS_MAX];
    int64_t n_body; /* Content-Length; -1: chunked; 0: none */
    int64_t n_read; /* bytes of the body that came so far */
    bool is_head;
    bool is_gone; /* its client was seen leaving: no reply can reach it */
    int64_t started_us;

    const struct route *route; /* NULL until one was found */
    struct str path_id;        /* the {id} of the route */
    char tenant[64];
    char kid[16];
    /* Of a create: the job it made and its fingerprint, in case the reply does not arrive. */
    const char *born_id;
    const char *born_fingerprint;
    int64_t borrowed_ms; /* monotonic: when it borrowed its connection to Redis */

    struct arena mem; /* dies with the exchange */
    struct reply reply;
    void *state;                     /* the handler's own: body being read, long poll */
    void (*state_free)(void *state); /* runs when the exchange ends, however it ends */
    void *exchange;                  /* http.c's own */
};

/* The value of a header, {NULL,0} when absent. */
struct str request_header(const struct request *req, const char *name);
/* True when a comma list header such as Prefer or Accept holds `token`. */
bool request_header_has(const struct request *req, const char *name, const char *token);

/* Finds query parameter `name`, percent-decoded into the request's memory. 1: found, 0: absent,
 * -1: it cannot be decoded or stands twice. */
int request_query(struct request *req, const char *name, struct str *out);

/* Adds a header; `name` is static, `value` is copied. Control bytes in it are refused by ASSERT:
 * no value of a stranger comes here unchecked. */
void request_reply_header(struct request *req, const char *name, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

/* The reply is the JSON in reply.body. */
void request_reply_json(struct request *req, int status);
/* The reply is this problem: the error object of the API, or problem+json if the client asked. */
void request_reply_problem(struct request *req, const struct problem *p);
void request_reply_error(struct request *req, enum problem_kind kind, const char *param,
                         const char *fmt, ...) PRINTF_LIKE(4, 5);

void request_free(struct request *req);

#endif
