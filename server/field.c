#include "server/field.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

enum { RING = 4 };

/* Bytes of `text` to show: at most `max`, and no character by halves. */
static int shown(const char *text, int max) {
    int n = (int)strnlen(text, (size_t)max + 1);
    if (n <= max) return n;
    while (max > 0 && ((unsigned char)text[max] & 0xC0) == 0x80)
        max--;
    return max;
}

const char *field_name(const struct body_field *f) {
    static _Thread_local char ring[RING][96];
    static _Thread_local int next;
    char *out = ring[next++ % RING];
    snprintf(out, sizeof(ring[0]), "%.*s%s%.*s%s", shown(f->name, 60), f->name,
             f->shape == BODY_WHOLE ? "" : "[", shown(f->member, 30), f->member,
             f->shape == BODY_WHOLE ? "" : "]");
    return out;
}

static const char *const kinds[] = {
    [BODY_TEXT] = "a string",  [BODY_INT] = "a number", [BODY_REAL] = "a number",
    [BODY_BOOL] = "a boolean", [BODY_NULL] = "null",    [BODY_EMPTY] = "an empty object or list",
    [BODY_DEEP] = "an object", [BODY_FILE] = "a file",
};

/* What stands at the name itself when the field is a member or an element of it. */
static const char *inner(const struct body_field *f) {
    return f->shape == BODY_ELEMENT ? "a list" : kinds[f->kind];
}

static enum err wrong_type(const struct body_field *f, const char *need, struct problem *p) {
    const char *name = field_name(f);
    return problem_set(p, PROBLEM_INVALID_TYPE, name,
                       "Invalid type for '%s': expected %s, but got %s instead.", name, need,
                       f->shape == BODY_WHOLE ? kinds[f->kind] : inner(f));
}

bool field_is_empty(const struct body_field *f) {
    return f->kind == BODY_NULL || (f->is_loose && f->kind == BODY_TEXT && f->text.n == 0);
}

enum err field_text(const struct body_field *f, size_t max_chars, struct str *out,
                    struct problem *p) {
    size_t n_chars = 0;
    const char *name = field_name(f);
    if (f->kind != BODY_TEXT || f->shape == BODY_ELEMENT) return wrong_type(f, "a string", p);
    if (!str_is_utf8(f->text, &n_chars))
        return problem_set(p, PROBLEM_INVALID_VALUE, name, "%s is not UTF-8 or holds a NUL", name);
    if (n_chars > max_chars)
        return problem_set(p, PROBLEM_INVALID_VALUE, name,
                           "%s has %zu characters; at most %zu are allowed", name, n_chars,
                           max_chars);
    *out = f->text;
    return ERR_OK;
}

enum err field_int(const struct body_field *f, int64_t min, int64_t max, int64_t *out,
                   struct problem *p) {
    const char *name = field_name(f);
    int64_t v = f->integer;
    bool is_number = f->kind == BODY_INT;
    if (f->kind == BODY_TEXT && f->is_loose)
        is_number = str_parse_i64(f->text, INT64_MIN, INT64_MAX, &v);
    bool is_text_form = f->kind == BODY_TEXT && f->is_loose;
    if (!is_number && !is_text_form) return wrong_type(f, "an integer", p);
    if (!is_number || v < min || v > max) {
        char shown[40] = "";
        if (is_number) snprintf(shown, sizeof(shown), "is %lld; ", (long long)v);
        return problem_set(p, PROBLEM_INVALID_VALUE, name,
                           "%s %smust be a whole number from %lld to %lld", name, shown,
                           (long long)min, (long long)max);
    }
    *out = v;
    return ERR_OK;
}

enum err field_real(const struct body_field *f, double min, double max, double *out,
                    struct problem *p) {
    const char *name = field_name(f);
    double v = f->kind == BODY_INT ? (double)f->integer : f->real;
    bool is_number = f->kind == BODY_INT || f->kind == BODY_REAL;
    bool is_text_form = f->kind == BODY_TEXT && f->is_loose;
    if (is_text_form) is_number = str_parse_f64(f->text, -HUGE_VAL, HUGE_VAL, &v);
    if (!is_number && !is_text_form) return wrong_type(f, "a number", p);
    if (!is_number || !(v >= min && v <= max))
        return problem_set(p, PROBLEM_INVALID_VALUE, name, "%s must be a number from %g to %g",
                           name, min, max);
    *out = v;
    return ERR_OK;
}

enum err field_bool(const struct body_field *f, bool *out, struct problem *p) {
    const char *name = field_name(f);
    if (f->kind == BODY_BOOL) {
        *out = f->boolean;
        return ERR_OK;
    }
    if (f->kind != BODY_TEXT || !f->is_loose) return wrong_type(f, "a boolean", p);
    bool is_true = str_eq(f->text, "true"), is_false = str_eq(f->text, "false");
    if (!is_true && !is_false)
        return problem_set(p, PROBLEM_INVALID_VALUE, name, "%s must be true or false", name);
    *out = is_true;
    return ERR_OK;
}
