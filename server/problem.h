/* problem.h - every error a client can meet, one row each: code, HTTP status, type, retry advice.
 *
 * The rows are the public contract: api-spec/errors.md lists the same ones and a test compares.
 * Append only. Pure. */
#ifndef SERVER_PROBLEM_H
#define SERVER_PROBLEM_H

#include <stdbool.h>
#include <stdio.h>

#include "common/base/err.h"

/* X(name, status, type, code, retry_after_s, advice)
 * retry_after_s: 0 = no header. advice: x-should-retry, which wins over the SDKs' own rules; an
 * empty text sends no such header. */
#define PROBLEM_REQUEST "invalid_request_error"
#define PROBLEM_MAP(X)                                                                  \
    X(MISSING_PARAMETER, 400, PROBLEM_REQUEST, "missing_required_parameter", 0, "")     \
    X(INVALID_TYPE, 400, PROBLEM_REQUEST, "invalid_type", 0, "")                        \
    X(INVALID_VALUE, 400, PROBLEM_REQUEST, "invalid_value", 0, "")                      \
    X(UNKNOWN_PARAMETER, 400, PROBLEM_REQUEST, "unknown_parameter", 0, "")              \
    X(INVALID_JSON, 400, PROBLEM_REQUEST, "invalid_json", 0, "")                        \
    X(INVALID_MULTIPART, 400, PROBLEM_REQUEST, "invalid_multipart", 0, "")              \
    X(INVALID_MEDIA, 400, PROBLEM_REQUEST, "invalid_media", 0, "")                      \
    X(UNSUPPORTED_OPERATION, 400, PROBLEM_REQUEST, "unsupported_operation", 0, "")      \
    X(INVALID_REQUEST, 400, PROBLEM_REQUEST, "invalid_request", 0, "")                  \
    X(INVALID_API_KEY, 401, PROBLEM_REQUEST, "invalid_api_key", 0, "")                  \
    X(URL_NOT_ALLOWED, 403, "permission_error", "url_not_allowed", 0, "")               \
    X(FORBIDDEN, 403, "permission_error", "forbidden", 0, "")                           \
    X(NOT_FOUND, 404, PROBLEM_REQUEST, "not_found", 0, "")                              \
    X(VIDEO_NOT_FOUND, 404, PROBLEM_REQUEST, "video_not_found", 0, "")                  \
    X(MODEL_NOT_FOUND, 404, PROBLEM_REQUEST, "model_not_found", 0, "")                  \
    X(VIDEO_NOT_READY, 404, PROBLEM_REQUEST, "video_not_ready", 2, "")                  \
    X(METHOD_NOT_ALLOWED, 405, PROBLEM_REQUEST, "method_not_allowed", 0, "")            \
    X(SOURCE_NOT_COMPLETED, 409, "conflict_error", "source_not_completed", 0, "false")  \
    X(VIDEO_EXPIRED, 410, PROBLEM_REQUEST, "video_expired", 0, "")                      \
    X(PAYLOAD_TOO_LARGE, 413, PROBLEM_REQUEST, "payload_too_large", 0, "")              \
    X(UNSUPPORTED_MEDIA_TYPE, 415, PROBLEM_REQUEST, "unsupported_media_type", 0, "")    \
    X(RANGE_NOT_SATISFIABLE, 416, PROBLEM_REQUEST, "range_not_satisfiable", 0, "")      \
    X(IDEMPOTENCY_KEY_REUSED, 422, PROBLEM_REQUEST, "idempotency_key_reused", 0, "")    \
    X(RATE_LIMIT_EXCEEDED, 429, "rate_limit_error", "rate_limit_exceeded", 1, "")       \
    X(QUEUE_FULL, 429, "rate_limit_error", "queue_full", 10, "")                        \
    X(TOO_MANY_JOBS, 429, "rate_limit_error", "too_many_jobs", 10, "")                  \
    X(HEADERS_TOO_LARGE, 431, PROBLEM_REQUEST, "headers_too_large", 0, "")              \
    X(INTERNAL_ERROR, 500, "server_error", "internal_error", 0, "")                     \
    X(NOT_SUPPORTED, 501, PROBLEM_REQUEST, "transfer_coding_not_supported", 0, "false") \
    X(UNAVAILABLE, 503, "server_error", "unavailable", 2, "")                           \
    X(DRAINING, 503, "server_error", "draining", 1, "")                                 \
    X(VERSION_NOT_SUPPORTED, 505, PROBLEM_REQUEST, "http_version_not_supported", 0, "")

enum problem_kind {
#define X(name, status, type, code, retry, advice) PROBLEM_##name,
    PROBLEM_MAP(X)
#undef X
        PROBLEM_COUNT
};

struct problem_row {
    int status;
    const char *type;
    const char *code;
    int retry_after_s;
    const char *advice;
};

/* One met problem: what, which parameter ("" for none), and words that say what to change. */
struct problem {
    enum problem_kind kind;
    int retry_after_s; /* 0: the row's */
    char param[96];
    char text[400];
};

const struct problem_row *problem_row(enum problem_kind kind);

/* One "status type code retry-after advice" a line, for the test that compares. */
void problem_print(FILE *to);

/* Fills `p` and returns ERR_INPUT, so that a check can be `return problem_set(...)`. Halves
 * of UTF-8 characters that a cut left are dropped. */
enum err problem_set(struct problem *p, enum problem_kind kind, const char *param, const char *fmt,
                     ...) PRINTF_LIKE(4, 5);

/* The problem that a failure of the queue or the store is for the client. Detail of 5xx failures
 * stays in the log. */
void problem_from(struct problem *p, const struct fail *f);

#endif
