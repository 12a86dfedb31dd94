#include "common/base/err.h"

#include "common/base/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct row {
    const char *name, *code, *text;
    int http;
    bool retry;
} rows[ERR_COUNT] = {
#define X(name, http, retry, code, text) [ERR_##name] = {#name, code, text, http, retry},
    ERR_MAP(X)
#undef X
};

static const struct row *row_get(enum err code) {
    ASSERT((unsigned)code < ERR_COUNT);
    return &rows[code];
}

/* A cut in the middle of a UTF-8 character would make the JSON around it invalid. */
static void cut_at_character(char *text, size_t len) {
    size_t end = len;
    while (end > 0 && ((unsigned char)text[end - 1] & 0xc0) == 0x80)
        end--;
    if (end == 0) return;
    unsigned char lead = (unsigned char)text[end - 1];
    size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    if (len - (end - 1) < need) text[end - 1] = 0;
}

enum err err_fail(struct fail *f, enum err code, const char *where, const char *fmt, ...) {
    if (!f) return code;
    f->code = code;
    f->where = where;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(f->text, sizeof(f->text), fmt, ap);
    va_end(ap);
    if (n >= (int)sizeof(f->text)) cut_at_character(f->text, strlen(f->text));
    return code;
}

const char *err_name(enum err code) {
    return row_get(code)->name;
}

const char *err_code(enum err code) {
    return row_get(code)->code;
}

const char *err_text(enum err code) {
    return row_get(code)->text;
}

int err_http(enum err code) {
    return row_get(code)->http;
}

bool err_retry(enum err code) {
    return row_get(code)->retry;
}
