/* The request head is checked as libmicrohttpd leaves it in memory: cut in place by NULs. The test
 * cuts in the same way and then damages the bytes as a smuggler would. */
#include "server/head.h"
#include "tests/lib/check.h"

/* A head as the library keeps it, and what it would hand out. */
struct cut {
    char memory[2048];
    struct head head;
    struct request req;
};

/* Cuts "METHOD target version CRLF (name: value CRLF)* CRLF" in place; a '~' stands for NUL. */
static void cut_head(struct cut *c, const char *text) {
    *c = (struct cut){0};
    char *m = c->memory, *p = m;
    (void)str_copy(m, sizeof(c->memory), str_of(text));
    for (char *t = m; *t; t++)
        if (*t == '~') *t = 1; /* a placeholder until the lines are known */
    size_t n = strlen(m);
    char *method_end = strchr(m, ' '), *line_end = strstr(m, "\r\n");
    char *version = method_end;
    for (char *t = m; t < line_end; t++)
        if (*t == ' ') version = t + 1;
    *method_end = 0;
    version[-1] = 0;
    line_end[0] = line_end[1] = 0;
    c->head =
        (struct head){.version = version, .target = method_end + 1, .target_end = version - 1};
    c->req.method = str_of(m);
    c->req.path = (struct str){method_end + 1, (size_t)(version - 1 - (method_end + 1))};
    for (p = line_end + 2; p < m + n && *p != '\r';) {
        char *end = strstr(p, "\r\n"), *colon = memchr(p, ':', (size_t)(end - p));
        end[0] = end[1] = 0;
        *colon = 0;
        char *value = colon + 1;
        while (*value == ' ')
            value++;
        c->req.headers[c->req.n_headers++] = (struct request_header){str_of(p), str_of(value)};
        p = end + 2;
    }
    c->head.n_headers_seen = c->req.n_headers;
    for (size_t i = 0; i < n; i++)
        if (m[i] == 1) m[i] = 0;
    for (int i = 0; i < c->req.n_headers; i++) /* the library ends a value at its first NUL */
        c->req.headers[i].value.n = strlen(c->req.headers[i].value.p);
    c->req.path.n = strlen(c->req.path.p);
    c->head.target_end = c->req.path.p + c->req.path.n;
    c->req.method.n = strlen(m);
}

#define GET "GET /v1/videos HTTP/1.1\r\nHost: x\r\n"
static const struct {
    const char *text;
    int status; /* 0: fine */
    int64_t n_body;
} rows[] = {
    {GET "\r\n", 0, 0},
    {GET "A:\r\nB:  x y \r\n\r\n", 0, 0},
    {GET "Content-Length: 0\r\n\r\n", 0, 0},
    {GET "Content-Length: 42\r\n\r\n", 0, 42},
    {GET "Transfer-Encoding: Chunked\r\n\r\n", 0, -1},
    {"GET / HTTP/1.0\r\n\r\n", 0, 0},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0, 0},
    {"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", 0, 0},
    {GET "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400, 0},
    {GET "Content-Length: 4\r\ncontent-length: 4\r\n\r\n", 400, 0},
    {GET "Content-Length: 4 4\r\n\r\n", 400, 0},
    {GET "Content-Length: -1\r\n\r\n", 400, 0},
    {GET "Content-Length: 9223372036854775808\r\n\r\n", 400, 0},
    {GET "Transfer-Encoding: chunked, gzip\r\n\r\n", 501, 0},
    {GET "Transfer-Encoding: identity\r\n\r\n", 501, 0},
    {GET "X: a~b\r\n\r\n", 400, 0},
    {GET "X: a~b\r\nY: c\r\n\r\n", 400, 0},
    {GET "X y: a\r\n\r\n", 400, 0},
    {GET "X : a\r\n\r\n", 400, 0},
    {GET "X: a\x7f\r\n\r\n", 400, 0},
    {"GET /a~b HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
    {"G~T /a HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
    {"G@T /a HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
    {"GET a HTTP/1.1\r\nHost: x\r\n\r\n", 400, 0},
    {"GET /a HTTP/1.2\r\nHost: x\r\n\r\n", 505, 0},
    {"GET /a HTTP/1.1\r\n\r\n", 400, 0},
    {"GET /a HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400, 0},
    {"GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", 400, 0},
    {"GET /a HTTP/1.1\r\nHost: x:80x\r\n\r\n", 400, 0},
    {"GET /a HTTP/1.1\r\nHost:\r\n\r\n", 400, 0},
    {GET "Range: bytes=0-1\r\nRange: bytes=0-2\r\n\r\n", 400, 0},
};

static void every_doubtful_head_is_refused(void) {
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        static struct cut c;
        struct problem p = {0};
        cut_head(&c, rows[i].text);
        enum err rc = head_check(&c.head, &c.req, &p);
        int status = rc == ERR_OK ? 0 : problem_row(p.kind)->status;
        if (status != rows[i].status)
            fprintf(stderr, "  row %d: %s (%s)\n", i, rows[i].text, p.text);
        CHECK_INT(status, rows[i].status);
        if (rc == ERR_OK) CHECK_INT(c.req.n_body, rows[i].n_body);
    }
}

/* A fold and a bare LF leave the next name in the wrong place. */
static void a_header_that_moved_is_seen(void) {
    static struct cut c;
    struct problem p = {0};
    cut_head(&c, GET "Aa: b\r\nBb: c\r\n\r\n");
    CHECK_INT(head_check(&c.head, &c.req, &p), ERR_OK);
    c.req.headers[2].name.p++;
    c.req.headers[2].name.n--;
    CHECK_INT(head_check(&c.head, &c.req, &p), ERR_INPUT);
    CHECK_HAS(p.text, "folded");
}

static const struct test tests[] = {
    TEST(every_doubtful_head_is_refused),
    TEST(a_header_that_moved_is_seen),
};
TEST_MAIN(tests)
