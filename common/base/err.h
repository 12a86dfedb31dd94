/* err.h - the one error vocabulary of the tree.
 *
 * A code says who must act; the text says what happened. Every code carries its HTTP status and
 * whether another attempt can help, so that the worker's retry and the server's answer read the
 * same row. Codes are stored in Redis and sent in webhooks: append only, never renumber. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*     name         http  retry  public code             public text */
#define ERR_MAP(X)                                                                             \
    X(OK,           200,  false, "ok",                   "ok")                                 \
    X(INPUT,        400,  false, "invalid_value",        "the request is not valid")           \
    X(NOT_FOUND,    404,  false, "not_found",            "no such thing")                      \
    X(LIMIT,        413,  false, "payload_too_large",    "the request is over a limit")        \
    X(BUSY,         429,  true,  "queue_full",           "too many jobs are waiting")          \
    X(NOMEM,        503,  true,  "out_of_memory",        "not enough memory")                  \
    X(IO,           503,  true,  "io_error",             "a file or a connection failed")      \
    X(CANCELLED,    409,  false, "cancelled",            "the job was cancelled")              \
    X(BUG,          500,  false, "internal_error",       "internal error")                     \
    X(STALE,        409,  false, "stale_lease",          "somebody else owns this job now")    \
    X(CONFLICT,     409,  false, "conflict",             "it contradicts what exists")         \
    X(UNAVAILABLE,  503,  true,  "unavailable",          "a part of the service is away")      \
    X(CORRUPT,      500,  false, "corrupt_data",         "stored data failed its check")       \
    X(UNSUPPORTED,  400,  false, "unsupported_operation", "this cannot be done here")          \
    X(TIMEOUT,      503,  true,  "deadline_exceeded",    "it took too long")                   \
    X(DISK,         503,  true,  "disk_full",            "no room on the disk")                \
    X(MEDIA,        400,  false, "invalid_media",        "the file cannot be used")            \
    X(FORBIDDEN,    403,  false, "url_not_allowed",      "this address may not be called")     \
    X(CONFIG,       500,  false, "configuration",        "the configuration is not valid")

enum err {
#define X(name, http, retry, code, text) ERR_##name,
    ERR_MAP(X)
#undef X
    ERR_COUNT
};

/* Detail of the first failure on a path. Lives on the caller's stack or inside the object that
 * owns the operation; never allocated. */
struct fail {
    enum err code;
    const char *where; /* "file.c:123", static storage */
    char text[256];
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ERR_STR_(x) #x
#define ERR_STR(x) ERR_STR_(x)
#define FAIL(f, code, ...) err_fail((f), (code), __FILE__ ":" ERR_STR(__LINE__), __VA_ARGS__)

/* The only macro in the tree that jumps: needs a local `enum err rc` and a label `out`. */
#define TRY(call)                      \
    do {                               \
        rc = (call);                   \
        if (rc != ERR_OK) goto out;    \
    } while (0)

/* Records the failure in `f` (which may be NULL) and returns `code`. The text is cut at the end
 * of a UTF-8 character when it does not fit. */
enum err err_fail(struct fail *f, enum err code, const char *where, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* "INPUT"; static storage. */
const char *err_name(enum err code);
/* "invalid_value": what clients and webhooks see; static storage. */
const char *err_code(enum err code);
/* One sentence for strangers, without detail; static storage. */
const char *err_text(enum err code);
int err_http(enum err code);
bool err_retry(enum err code);

#ifdef __cplusplus
}
#endif
#endif
