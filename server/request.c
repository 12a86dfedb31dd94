#include "server/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/doc.h"

struct str request_header(const struct request *req, const char *name) {
    for (int i = 0; i < req->n_headers; i++)
        if (str_eq_nocase(req->headers[i].name, name)) return str_trim(req->headers[i].value);
    return (struct str){0};
}

bool request_header_has(const struct request *req, const char *name, const char *token) {
    for (int i = 0; i < req->n_headers; i++) {
        struct str rest = req->headers[i].value, part, bare;
        if (!str_eq_nocase(req->headers[i].name, name)) continue;
        while (str_split(&rest, ',', &part)) {
            struct str with_params = part; /* a parameter such as ;q=0.9 does not count */
            if (str_split(&with_params, ';', &bare) && str_eq_nocase(str_trim(bare), token))
                return true;
        }
    }
    return false;
}

/* ---- query ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Percent-decodes into the request's memory; false for a broken escape, NUL or bad UTF-8. */
static bool decode(struct request *req, struct str in, struct str *out) {
    char *text = arena_copy(&req->mem, in.p, in.n);
    size_t n = 0;
    if (!text) return false;
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] != '%') {
            text[n++] = in.p[i] == '+' ? ' ' : in.p[i];
            continue;
        }
        int hi = i + 2 < in.n ? hex_digit(in.p[i + 1]) : -1;
        int lo = hi >= 0 ? hex_digit(in.p[i + 2]) : -1;
        if (lo < 0) return false;
        text[n++] = (char)(hi * 16 + lo);
        i += 2;
    }
    text[n] = 0;
    *out = (struct str){text, n};
    return str_is_utf8(*out, NULL);
}

int request_query(struct request *req, const char *name, struct str *out) {
    struct str rest = req->query, pair, key;
    int n_found = 0, n_seen = 0;
    while (str_split(&rest, '&', &pair)) {
        struct str value = pair, name_text;
        if (pair.n == 0) continue;
        if (++n_seen > REQUEST_QUERY_MAX) return -1;
        if (!str_split(&value, '=', &key)) continue;
        if (!decode(req, key, &name_text)) return -1;
        if (!str_eq(name_text, name)) continue;
        if (n_found++) return -1;
        if (!decode(req, value.p ? value : (struct str){"", 0}, out)) return -1;
    }
    return n_found;
}

/* ---- replies ---- */

void request_reply_header(struct request *req, const char *name, const char *fmt, ...) {
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(n >= 0 && n < (int)sizeof(text) && req->reply.n_headers < REPLY_HEADERS_MAX);
    for (int i = 0; i < n; i++)
        ASSERT((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
    const char *kept = arena_copy(&req->mem, text, (size_t)n);
    if (!kept) return;
    req->reply.headers[req->reply.n_headers].name = name;
    req->reply.headers[req->reply.n_headers++].value = kept;
}

void request_reply_json(struct request *req, int status) {
    req->reply.status = status;
    request_reply_header(req, "Content-Type", "application/json");
    request_reply_header(req, "Cache-Control", "no-store");
}

static void put_error(struct doc_out *o, const struct problem *p, const struct problem_row *row) {
    doc_open_object(o, "error");
    doc_put_text(o, "message", p->text);
    doc_put_text(o, "type", row->type);
    doc_put_text(o, "param", p->param[0] ? p->param : NULL);
    doc_put_text(o, "code", row->code);
    doc_close_object(o);
}

/* RFC 9457 members beside the error object, so that both kinds of client are served. */
static void put_rfc9457(struct doc_out *o, const struct request *req, const struct problem *p,
                        const struct problem_row *row) {
    char type[80];
    snprintf(type, sizeof(type), "urn:misora:problem:%s", row->code);
    doc_put_text(o, "type", type);
    doc_put_text(o, "title", row->code);
    doc_put_int(o, "status", row->status);
    doc_put_text(o, "detail", p->text);
    doc_put_text(o, "instance", req->id);
}

void request_reply_problem(struct request *req, const struct problem *p) {
    const struct problem_row *row = problem_row(p->kind);
    bool wants_rfc = request_header_has(req, "accept", "application/problem+json");
    struct doc_out o;
    buf_clear(&req->reply.body);
    doc_out_make(&o, &req->reply.body);
    doc_open_object(&o, NULL);
    put_error(&o, p, row);
    if (wants_rfc) put_rfc9457(&o, req, p, row);
    doc_close_object(&o);
    if (doc_done(&o, NULL) != ERR_OK) buf_clear(&req->reply.body);
    req->reply.status = row->status;
    request_reply_header(req, "Content-Type",
                         wants_rfc ? "application/problem+json" : "application/json");
    request_reply_header(req, "Cache-Control", "no-store");
    int retry_s = p->retry_after_s > 0 ? p->retry_after_s : row->retry_after_s;
    if (retry_s > 60) retry_s = 60;
    if (retry_s > 0) request_reply_header(req, "Retry-After", "%d", retry_s);
    if (row->advice[0]) request_reply_header(req, "x-should-retry", "%s", row->advice);
    if (row->status == 401) request_reply_header(req, "WWW-Authenticate", "Bearer");
}

void request_reply_error(struct request *req, enum problem_kind kind, const char *param,
                         const char *fmt, ...) {
    struct problem p;
    char text[sizeof(p.text)];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    (void)problem_set(&p, kind, param, "%s", text);
    request_reply_problem(req, &p);
}

void request_free(struct request *req) {
    if (req->state_free) req->state_free(req->state);
    if (req->reply.fd >= 0) close(req->reply.fd);
    buf_free(&req->reply.body);
    arena_free(&req->mem);
}
