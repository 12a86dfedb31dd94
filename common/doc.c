#include "common/doc.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/str.h"

/* A value is jansson's; the cast is the whole door. */
struct doc {
    json_t *root;
};

static const json_t *json_of(const struct value *v) {
    ASSERT(v);
    return (const json_t *)v;
}

static const struct value *value_of(const json_t *j) {
    return (const struct value *)j;
}

/* jansson's own cap is 2048 levels; ours is lower and must hold before it recurses. */
static enum err check_depth(struct str text, struct fail *f) {
    int depth = 0;
    bool is_text = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (is_text) {
            if (c == '\\') i++;
            if (c == '"') is_text = false;
        } else if (c == '"') {
            is_text = true;
        } else if (c == '{' || c == '[') {
            if (++depth > LIMIT_JSON_DEPTH)
                return FAIL(f, ERR_INPUT, "the JSON is nested deeper than %d levels",
                            LIMIT_JSON_DEPTH);
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return ERR_OK;
}

enum err doc_parse(struct doc **out, struct str text, size_t max_bytes, struct fail *f) {
    *out = NULL;
    if (text.n > max_bytes)
        return FAIL(f, ERR_LIMIT, "the JSON has %zu bytes, %zu are allowed", text.n, max_bytes);
    enum err rc = check_depth(text, f);
    if (rc != ERR_OK) return rc;
    json_error_t error;
    json_t *root = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return FAIL(f, ERR_INPUT, "not valid JSON at line %d, column %d: %s", error.line,
                    error.column, error.text);
    struct doc *d = mem_take(1, sizeof(*d));
    if (!d) {
        json_decref(root);
        return FAIL(f, ERR_NOMEM, "no memory for a JSON document");
    }
    d->root = root;
    *out = d;
    return ERR_OK;
}

void doc_free(struct doc *d) {
    if (!d) return;
    json_decref(d->root);
    mem_free(d);
}

const struct value *doc_root(const struct doc *d) {
    return value_of(d->root);
}

enum doc_type doc_type(const struct value *v) {
    switch (json_typeof(json_of(v))) {
    case JSON_OBJECT: return DOC_OBJECT;
    case JSON_ARRAY: return DOC_ARRAY;
    case JSON_STRING: return DOC_TEXT;
    case JSON_INTEGER: return DOC_INT;
    case JSON_REAL: return DOC_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return DOC_BOOL;
    default: return DOC_NULL;
    }
}

const char *doc_type_name(const struct value *v) {
    static const char *const names[] = {
        [DOC_NULL] = "null",    [DOC_BOOL] = "boolean", [DOC_INT] = "integer",
        [DOC_REAL] = "number",  [DOC_TEXT] = "string",  [DOC_ARRAY] = "array",
        [DOC_OBJECT] = "object"};
    return names[doc_type(v)];
}

const struct value *doc_find(const struct value *v, const char *key) {
    ASSERT(doc_type(v) == DOC_OBJECT);
    return value_of(json_object_get(json_of(v), key));
}

size_t doc_size(const struct value *v) {
    const json_t *j = json_of(v);
    return json_is_object(j) ? json_object_size(j) : json_is_array(j) ? json_array_size(j) : 0;
}

const struct value *doc_at(const struct value *v, size_t i) {
    ASSERT(doc_type(v) == DOC_ARRAY && i < doc_size(v));
    return value_of(json_array_get(json_of(v), i));
}

enum err doc_each(const struct value *v, doc_each_fn each, void *ctx, struct fail *f) {
    ASSERT(doc_type(v) == DOC_OBJECT);
    /* jansson iterates over non-const objects only; nothing is changed here. */
    union {
        const json_t *in;
        json_t *out;
    } j = {.in = json_of(v)};
    for (void *it = json_object_iter(j.out); it; it = json_object_iter_next(j.out, it)) {
        enum err rc = each(ctx, json_object_iter_key(it), value_of(json_object_iter_value(it)), f);
        if (rc != ERR_OK) return rc;
    }
    return ERR_OK;
}

bool doc_bool(const struct value *v) {
    ASSERT(doc_type(v) == DOC_BOOL);
    return json_is_true(json_of(v));
}

int64_t doc_int(const struct value *v) {
    ASSERT(doc_type(v) == DOC_INT);
    return (int64_t)json_integer_value(json_of(v));
}

double doc_real(const struct value *v) {
    ASSERT(doc_type(v) == DOC_INT || doc_type(v) == DOC_REAL);
    return json_number_value(json_of(v));
}

struct str doc_text(const struct value *v) {
    ASSERT(doc_type(v) == DOC_TEXT);
    return (struct str){json_string_value(json_of(v)), json_string_length(json_of(v))};
}

static const struct value *find_set(const struct value *v, const char *key) {
    const struct value *m = doc_find(v, key);
    return m && doc_type(m) != DOC_NULL ? m : NULL;
}

static enum err missing(const char *key, struct fail *f) {
    return FAIL(f, ERR_INPUT, "%s is missing", key);
}

enum err doc_may_text(const struct value *v, const char *key, struct str *out, struct fail *f) {
    const struct value *m = find_set(v, key);
    if (!m) return ERR_OK;
    if (doc_type(m) != DOC_TEXT)
        return FAIL(f, ERR_INPUT, "%s is a %s, need a string", key, doc_type_name(m));
    *out = doc_text(m);
    return ERR_OK;
}

enum err doc_may_int(const struct value *v, const char *key, int64_t min, int64_t max, int64_t *out,
                     struct fail *f) {
    const struct value *m = find_set(v, key);
    if (!m) return ERR_OK;
    if (doc_type(m) != DOC_INT)
        return FAIL(f, ERR_INPUT, "%s is a %s, need an integer", key, doc_type_name(m));
    int64_t got = doc_int(m);
    if (got < min || got > max)
        return FAIL(f, ERR_INPUT, "%s is %lld, need %lld to %lld", key, (long long)got,
                    (long long)min, (long long)max);
    *out = got;
    return ERR_OK;
}

enum err doc_may_real(const struct value *v, const char *key, double min, double max, double *out,
                      struct fail *f) {
    const struct value *m = find_set(v, key);
    if (!m) return ERR_OK;
    if (doc_type(m) != DOC_INT && doc_type(m) != DOC_REAL)
        return FAIL(f, ERR_INPUT, "%s is a %s, need a number", key, doc_type_name(m));
    double got = doc_real(m);
    if (!(got >= min && got <= max))
        return FAIL(f, ERR_INPUT, "%s is %g, need %g to %g", key, got, min, max);
    *out = got;
    return ERR_OK;
}

enum err doc_may_bool(const struct value *v, const char *key, bool *out, struct fail *f) {
    const struct value *m = find_set(v, key);
    if (!m) return ERR_OK;
    if (doc_type(m) != DOC_BOOL)
        return FAIL(f, ERR_INPUT, "%s is a %s, need true or false", key, doc_type_name(m));
    *out = doc_bool(m);
    return ERR_OK;
}

enum err doc_get_text(const struct value *v, const char *key, struct str *out, struct fail *f) {
    return find_set(v, key) ? doc_may_text(v, key, out, f) : missing(key, f);
}

enum err doc_copy_text(const struct value *v, const char *key, char *out, size_t cap,
                       const char *what, struct fail *f) {
    struct str s = {0};
    enum err rc = doc_get_text(v, key, &s, f);
    if (rc != ERR_OK || str_copy(out, cap, s)) return rc;
    return FAIL(f, ERR_CORRUPT, "%s: %s is %zu bytes, need at most %zu", what, key, s.n, cap - 1);
}

enum err doc_get_int(const struct value *v, const char *key, int64_t min, int64_t max, int64_t *out,
                     struct fail *f) {
    return find_set(v, key) ? doc_may_int(v, key, min, max, out, f) : missing(key, f);
}

void doc_out_make(struct doc_out *o, struct buf *b) {
    *o = (struct doc_out){.buf = b};
}

static void raw(struct doc_out *o, const char *p, size_t n) {
    if (o->rc == ERR_OK) o->rc = buf_add(o->buf, p, n, NULL);
}

static void quoted(struct doc_out *o, struct str s) {
    raw(o, "\"", 1);
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        char code[8];
        int n = c == '"' || c == '\\' ? snprintf(code, sizeof(code), "\\%c", c)
                : c == '\n'           ? snprintf(code, sizeof(code), "\\n")
                                      : snprintf(code, sizeof(code), "\\u%04x", c);
        raw(o, s.p + from, i - from);
        raw(o, code, (size_t)n);
        from = i + 1;
    }
    raw(o, s.p + from, s.n - from);
    raw(o, "\"", 1);
}

static void start(struct doc_out *o, const char *key) {
    if (o->needs_comma) raw(o, ",", 1);
    o->needs_comma = true;
    if (!key) return;
    quoted(o, str_of(key));
    raw(o, ":", 1);
}

static void open_with(struct doc_out *o, const char *key, const char *bracket) {
    start(o, key);
    raw(o, bracket, 1);
    o->needs_comma = false;
    o->depth++;
}

static void close_with(struct doc_out *o, const char *bracket) {
    ASSERT(o->depth > 0);
    raw(o, bracket, 1);
    o->needs_comma = true;
    o->depth--;
}

void doc_open_object(struct doc_out *o, const char *key) {
    open_with(o, key, "{");
}

void doc_open_array(struct doc_out *o, const char *key) {
    open_with(o, key, "[");
}

void doc_close_object(struct doc_out *o) {
    close_with(o, "}");
}

void doc_close_array(struct doc_out *o) {
    close_with(o, "]");
}

void doc_put_text(struct doc_out *o, const char *key, const char *text) {
    if (!text) {
        doc_put_null(o, key);
        return;
    }
    doc_put_str(o, key, str_of(text));
}

void doc_put_str(struct doc_out *o, const char *key, struct str text) {
    start(o, key);
    quoted(o, text);
}

void doc_put_int(struct doc_out *o, const char *key, int64_t v) {
    char text[32];
    int n = snprintf(text, sizeof(text), "%lld", (long long)v);
    start(o, key);
    raw(o, text, (size_t)n);
}

void doc_put_real(struct doc_out *o, const char *key, double v) {
    if (!isfinite(v)) {
        doc_put_null(o, key);
        return;
    }
    char text[40];
    int n = 0;
    for (int digits = 1; digits <= 17; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, v);
        for (char *c = text; *c; c++)
            if (*c == ',') *c = '.'; /* a locale must not reach the wire */
        double back;
        if (str_parse_f64(str_of(text), -HUGE_VAL, HUGE_VAL, &back) && back == v) break;
    }
    start(o, key);
    raw(o, text, (size_t)n);
}

void doc_put_bool(struct doc_out *o, const char *key, bool v) {
    start(o, key);
    raw(o, v ? "true" : "false", v ? 4 : 5);
}

void doc_put_null(struct doc_out *o, const char *key) {
    start(o, key);
    raw(o, "null", 4);
}

static int append(const char *p, size_t n, void *ctx) {
    struct doc_out *o = ctx;
    raw(o, p, n);
    return o->rc == ERR_OK ? 0 : -1;
}

void doc_put_value(struct doc_out *o, const char *key, const struct value *v) {
    start(o, key);
    int bad = json_dump_callback(json_of(v), append, o, JSON_COMPACT | JSON_ENCODE_ANY);
    if (bad && o->rc == ERR_OK) o->rc = ERR_NOMEM;
}

void doc_put_json(struct doc_out *o, const char *key, struct str json) {
    start(o, key);
    raw(o, json.p, json.n);
}

enum err doc_done(const struct doc_out *o, struct fail *f) {
    ASSERT(o->depth == 0);
    if (o->rc == ERR_OK) return ERR_OK;
    return FAIL(f, o->rc, "the JSON of %zu bytes could not grow (limit %zu)", o->buf->len,
                o->buf->max);
}
