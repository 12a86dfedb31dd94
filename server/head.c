#include "server/head.h"

#include <string.h>

#include "common/base/assert.h"

static bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_char(s.p[i])) return false;
    return s.n > 0;
}

static bool has_control(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f) return true;
    return false;
}

static enum err check_line(const struct head *head, const struct request *req, struct problem *p) {
    if (!str_eq(str_of(head->version), "HTTP/1.1") && !str_eq(str_of(head->version), "HTTP/1.0"))
        return problem_set(p, PROBLEM_VERSION_NOT_SUPPORTED, "", "speak HTTP/1.1");
    if (head->is_target_long)
        return problem_set(p, PROBLEM_HEADERS_TOO_LARGE, "", "the address is longer than %d bytes",
                           REQUEST_TARGET_MAX - 1);
    if (!is_token(req->method))
        return problem_set(p, PROBLEM_INVALID_REQUEST, "", "the method is not a token");
    if (req->path.n == 0 || (req->path.p[0] != '/' && !str_eq(req->path, "*")))
        return problem_set(p, PROBLEM_INVALID_REQUEST, "", "the address must begin with a slash");
    if (head->target != req->method.p + req->method.n + 1 ||
        head->version != head->target_end + 1 || has_control(req->path) || has_control(req->query))
        return problem_set(p, PROBLEM_INVALID_REQUEST, "",
                           "the request line holds a NUL, a control character or blanks");
    return ERR_OK;
}

/* The layout rule of head.h. */
static bool is_laid_out(const struct head *head, const struct request *req) {
    const char *at = head->version + strlen(head->version) + 2;
    for (int i = 0; i < req->n_headers; i++) {
        const char *end = req->headers[i].value.p + req->headers[i].value.n;
        if (req->headers[i].name.p != at || end[0] || end[1]) return false;
        at = end + 2;
    }
    return true;
}

static enum err check_headers(const struct head *head, const struct request *req,
                              struct problem *p) {
    if (head->n_headers_seen > REQUEST_HEADERS_MAX)
        return problem_set(p, PROBLEM_HEADERS_TOO_LARGE, "", "there are more than %d headers",
                           REQUEST_HEADERS_MAX);
    for (int i = 0; i < req->n_headers; i++) {
        if (!is_token(req->headers[i].name))
            return problem_set(p, PROBLEM_INVALID_REQUEST, "",
                               "the name of header %d is not a token", i + 1);
        if (has_control(req->headers[i].value))
            return problem_set(p, PROBLEM_INVALID_REQUEST, "",
                               "header %d holds a control character", i + 1);
    }
    if (!is_laid_out(head, req))
        return problem_set(p, PROBLEM_INVALID_REQUEST, "",
                           "the request head holds a folded line, a NUL or a bare line feed");
    return ERR_OK;
}

/* How often a header stands in the request; *value is the last one's. */
static int count(const struct request *req, const char *name, struct str *value) {
    int n = 0;
    for (int i = 0; i < req->n_headers; i++) {
        if (!str_eq_nocase(req->headers[i].name, name)) continue;
        *value = req->headers[i].value;
        n++;
    }
    return n;
}

static enum err check_framing(struct request *req, struct problem *p) {
    struct str length = {0}, coding = {0};
    int n_lengths = count(req, "content-length", &length);
    int n_codings = count(req, "transfer-encoding", &coding);
    if (n_lengths && n_codings)
        return problem_set(p, PROBLEM_INVALID_REQUEST, "",
                           "send Content-Length or Transfer-Encoding, not both");
    if (n_codings > 1 || (n_codings && !str_eq_nocase(coding, "chunked")))
        return problem_set(p, PROBLEM_NOT_SUPPORTED, "",
                           "the only Transfer-Encoding understood is: chunked");
    if (n_lengths > 1)
        return problem_set(p, PROBLEM_INVALID_REQUEST, "", "there are two Content-Length headers");
    req->n_body = n_codings ? -1 : 0;
    if (n_lengths && !str_parse_i64(length, 0, INT64_MAX - 1, &req->n_body))
        return problem_set(p, PROBLEM_INVALID_REQUEST, "", "the Content-Length is not a length");
    return ERR_OK;
}

/* host[:port]; nothing is ever built from it, but two views of it must not differ. */
static bool is_host(struct str host) {
    if (host.n == 0 || host.n > 255) return false;
    size_t colon = host.n;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c == ':') colon = i;
        if (c <= ' ' || c == '/' || c == '@' || c == '\\' || c == '?' || c == '#') return false;
    }
    if (host.p[0] == '[' && memchr(host.p, ']', host.n) == host.p + host.n - 1) return true;
    if (colon == host.n) return true;
    int64_t port;
    struct str digits = {host.p + colon + 1, host.n - colon - 1};
    return str_parse_i64(digits, 0, 65535, &port);
}

static enum err check_single(const struct request *req, bool needs_host, struct problem *p) {
    static const char *const single[] = {
        "host", "authorization", "content-type", "range", "idempotency-key", "expect", "if-range"};
    struct str value = {0};
    for (int i = 0; i < COUNT_OF(single); i++)
        if (count(req, single[i], &value) > 1)
            return problem_set(p, PROBLEM_INVALID_REQUEST, "", "there are two %s headers",
                               single[i]);
    int n_hosts = count(req, "host", &value);
    if (n_hosts == 0 && needs_host)
        return problem_set(p, PROBLEM_INVALID_REQUEST, "", "the Host header is missing");
    if (n_hosts && !is_host(value))
        return problem_set(p, PROBLEM_INVALID_REQUEST, "", "the Host header is not host:port");
    return ERR_OK;
}

enum err head_check(const struct head *head, struct request *req, struct problem *p) {
    if (check_line(head, req, p) != ERR_OK) return ERR_INPUT;
    if (check_headers(head, req, p) != ERR_OK) return ERR_INPUT;
    if (check_framing(req, p) != ERR_OK) return ERR_INPUT;
    return check_single(req, str_eq(str_of(head->version), "HTTP/1.1"), p);
}
