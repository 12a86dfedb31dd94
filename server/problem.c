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

/* Drops a character that snprintf cut in the middle. */
static void trim_utf8(char *text, size_t cap, int n) {
    if (n < (int)cap) return;
    size_t at = cap - 1;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
        at--;
    if (at > 0 && (unsigned char)text[at - 1] >= 0xC0) text[at - 1] = 0;
}

enum err problem_set(struct problem *p, enum problem_kind kind, const char *param, const char *fmt,
                     ...) {
    va_list args;
    p->kind = kind;
    p->retry_after_s = 0;
    trim_utf8(p->param, sizeof(p->param), snprintf(p->param, sizeof(p->param), "%s", param));
    va_start(args, fmt);
    trim_utf8(p->text, sizeof(p->text), vsnprintf(p->text, sizeof(p->text), fmt, args));
    va_end(args);
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
