#include "server/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

static const struct problem_row rows[PROBLEM_COUNT] = {
#define X(name, status, type, code, retry, advice) \
    [PROBLEM_##name] = {status, type, code, retry, advice},
    PROBLEM_MAP(X)
#undef X
};

const struct problem_row *problem_row(enum problem_kind kind) {
    ASSERT(kind >= 0 && kind < PROBLEM_COUNT);
    return &rows[kind];
}

void problem_print(FILE *to) {
    for (int i = 0; i < PROBLEM_COUNT; i++)
        fprintf(to, "%d %s %s %d %s\n", rows[i].status, rows[i].type, rows[i].code,
                rows[i].retry_after_s, rows[i].advice[0] ? rows[i].advice : "-");
}

/* Bytes of the UTF-8 character at `c`: 0 when it is cut off. */
static size_t char_size(const unsigned char *c) {
    size_t n = c[0] < 0x80 ? 1 : c[0] >= 0xF0 ? 4 : c[0] >= 0xE0 ? 3 : c[0] >= 0xC0 ? 2 : 0;
    for (size_t i = 1; i < n; i++)
        if ((c[i] & 0xC0) != 0x80) return 0;
    return n;
}

/* Names of a stranger are cut by %.40s and by the buffer, maybe inside a character: what is left of
 * such a one goes. */
static void drop_halves(char *text) {
    char *to = text;
    for (const char *from = text; *from;) {
        size_t n = char_size((const unsigned char *)from);
        memmove(to, from, n);
        to += n;
        from += n ? n : 1;
    }
    *to = 0;
}

enum err problem_set(struct problem *p, enum problem_kind kind, const char *param, const char *fmt,
                     ...) {
    va_list args;
    p->kind = kind;
    p->retry_after_s = 0;
    snprintf(p->param, sizeof(p->param), "%s", param);
    drop_halves(p->param);
    va_start(args, fmt);
    (void)vsnprintf(p->text, sizeof(p->text), fmt, args);
    va_end(args);
    drop_halves(p->text);
    return ERR_INPUT;
}

static const struct {
    enum err code;
    enum problem_kind kind;
    const char *text; /* NULL: the failure's own words may be shown */
} from_err[] = {
    {ERR_INPUT, PROBLEM_INVALID_VALUE, NULL},
    {ERR_NOT_FOUND, PROBLEM_VIDEO_NOT_FOUND, NULL},
    {ERR_LIMIT, PROBLEM_TOO_MANY_JOBS, NULL},
    {ERR_BUSY, PROBLEM_QUEUE_FULL, NULL},
    {ERR_MEDIA, PROBLEM_INVALID_MEDIA, NULL},
    {ERR_UNSUPPORTED, PROBLEM_UNSUPPORTED_OPERATION, NULL},
    {ERR_FORBIDDEN, PROBLEM_URL_NOT_ALLOWED, NULL},
    {ERR_UNAVAILABLE, PROBLEM_UNAVAILABLE, "the job store does not answer now; try again"},
    {ERR_TIMEOUT, PROBLEM_UNAVAILABLE, "the job store took too long; try again"},
    {ERR_DISK, PROBLEM_UNAVAILABLE, "there is no room for uploads now; try again later"},
    {ERR_IO, PROBLEM_UNAVAILABLE, "the file store does not answer now; try again"},
    {ERR_NOMEM, PROBLEM_UNAVAILABLE, "the server is out of memory now; try again"},
};

void problem_from(struct problem *p, const struct fail *f) {
    for (int i = 0; i < COUNT_OF(from_err); i++) {
        if (from_err[i].code != f->code) continue;
        (void)problem_set(p, from_err[i].kind, "", "%s",
                          from_err[i].text ? from_err[i].text : f->text);
        return;
    }
    (void)problem_set(p, PROBLEM_INTERNAL_ERROR, "",
                      "an internal error happened; the request id names it in the log");
}
