#include "engine/json.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/file.h"

enum { JSON_NODES_MAX = 4 << 20, JSON_BYTES_MAX = 128 << 20 };

struct parser {
    struct json *j;
    char *p, *end; /* inside j->text */
    struct fail *f;
    int depth;
    int open[JSON_DEPTH_MAX]; /* containers around the current place */
    int last[JSON_DEPTH_MAX]; /* their last child so far */
};

static enum err bad(struct parser *s, const char *why) {
    return FAIL(s->f, ERR_CORRUPT, "%.120s: byte %lld: %s", s->j->what,
                (long long)(s->p - s->j->text), why);
}

static void skip_blanks(struct parser *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
        s->p++;
}

static int hex4(const char *p, unsigned *out) {
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        unsigned v = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                            : 16u;
        if (v == 16) return 0;
        *out = *out * 16 + v;
    }
    return 1;
}

static char *put_utf8(char *to, unsigned c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* After "\u": one code point, two escapes for a surrogate pair. */
static enum err read_unicode(struct parser *s, char **to) {
    unsigned c, low;
    if (s->end - s->p < 4 || !hex4(s->p, &c)) return bad(s, "bad \\u escape");
    s->p += 4;
    if (c == 0) return bad(s, "NUL in a string");
    if (c >= 0xd800 && c < 0xe000) {
        if (c >= 0xdc00 || s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u' ||
            !hex4(s->p + 2, &low) || low < 0xdc00 || low >= 0xe000)
            return bad(s, "lone surrogate");
        s->p += 6;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, c);
    return ERR_OK;
}

static enum err read_escape(struct parser *s, char **to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (s->p == s->end) return bad(s, "the string does not end");
    char c = *s->p++;
    if (c == 'u') return read_unicode(s, to);
    const char *at = c ? strchr(from, c) : NULL;
    if (!at) return bad(s, "unknown escape");
    *(*to)++ = into[at - from];
    return ERR_OK;
}

/* Unescapes in place: the result is never longer than the source. */
static enum err read_string(struct parser *s, struct str *out) {
    enum err rc = ERR_OK;
    char *start = ++s->p, *to = start;
    while (s->p < s->end && *s->p != '"') {
        if ((unsigned char)*s->p < 0x20) return bad(s, "control character in a string");
        if (*s->p != '\\') {
            *to++ = *s->p++;
            continue;
        }
        s->p++;
        TRY(read_escape(s, &to));
    }
    if (s->p == s->end) return bad(s, "the string does not end");
    s->p++;
    *out = (struct str){start, (size_t)(to - start)};
    if (!str_is_utf8(*out, NULL)) return bad(s, "the string is not UTF-8");
out:
    return rc;
}

static int is_digit(const struct parser *s) {
    return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

static enum err read_number(struct parser *s, struct str *out) {
    char *start = s->p;
    if (*s->p == '-') s->p++;
    if (!is_digit(s)) return bad(s, "unexpected character");
    if (*s->p == '0')
        s->p++;
    else
        while (is_digit(s))
            s->p++;
    if (is_digit(s)) return bad(s, "a number starts with 0");
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!is_digit(s)) return bad(s, "digits are missing");
        while (is_digit(s))
            s->p++;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
        if (!is_digit(s)) return bad(s, "digits are missing");
        while (is_digit(s))
            s->p++;
    }
    *out = (struct str){start, (size_t)(s->p - start)};
    return ERR_OK;
}

static enum err add_node(struct parser *s, int *out) {
    struct json *j = s->j;
    if (j->n_nodes == j->cap_nodes) {
        int cap = j->cap_nodes ? j->cap_nodes * 2 : 64;
        if (cap > JSON_NODES_MAX) return bad(s, "too many values");
        struct json_node *grown = mem_grow(j->node, (size_t)cap, sizeof *grown);
        if (!grown) return FAIL(s->f, ERR_NOMEM, "no memory for %s", j->what);
        j->node = grown;
        j->cap_nodes = cap;
    }
    *out = j->n_nodes++;
    j->node[*out] = (struct json_node){.next = JSON_NONE, .first = JSON_NONE};
    if (s->depth == 0) return ERR_OK;
    int parent = s->open[s->depth - 1], last = s->last[s->depth - 1];
    if (last == JSON_NONE)
        j->node[parent].first = *out;
    else
        j->node[last].next = *out;
    j->node[parent].n_children++;
    s->last[s->depth - 1] = *out;
    return ERR_OK;
}

static enum err read_word(struct parser *s, struct json_node *n) {
    static const struct {
        const char *word;
        enum json_type type;
    } words[] = {{"true", JSON_BOOL}, {"false", JSON_BOOL}, {"null", JSON_NULL}};
    for (int i = 0; i < COUNT_OF(words); i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(s->end - s->p) < len || memcmp(s->p, words[i].word, len) != 0) continue;
        n->type = words[i].type;
        n->text = (struct str){s->p, len};
        s->p += len;
        return ERR_OK;
    }
    n->type = JSON_NUMBER;
    return read_number(s, &n->text);
}

/* Reads one value; a container is only opened. */
static enum err read_value(struct parser *s, struct str key) {
    enum err rc = ERR_OK;
    int at = 0;
    if (s->p == s->end) return bad(s, "a value is missing");
    TRY(add_node(s, &at));
    s->j->node[at].key = key;
    if (*s->p == '"') {
        s->j->node[at].type = JSON_STRING;
        return read_string(s, &s->j->node[at].text);
    }
    if (*s->p != '{' && *s->p != '[') return read_word(s, &s->j->node[at]);
    if (s->depth == JSON_DEPTH_MAX) return bad(s, "nested too deeply");
    s->j->node[at].type = *s->p++ == '{' ? JSON_OBJECT : JSON_ARRAY;
    s->open[s->depth] = at;
    s->last[s->depth++] = JSON_NONE;
out:
    return rc;
}

static int compare_keys(const void *a, const void *b) {
    const struct str *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = n ? memcmp(x->p, y->p, n) : 0;
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

/* A key given twice means that two readers may see two different files. */
static enum err check_keys(struct parser *s, int object) {
    struct json *j = s->j;
    int n = j->node[object].n_children, k = 0, twice = 0;
    if (n < 2) return ERR_OK;
    struct str *keys = mem_take((size_t)n, sizeof *keys);
    if (!keys) return FAIL(s->f, ERR_NOMEM, "no memory for %s", j->what);
    for (int i = j->node[object].first; i != JSON_NONE; i = j->node[i].next)
        keys[k++] = j->node[i].key;
    qsort(keys, (size_t)n, sizeof *keys, compare_keys);
    for (int i = 1; i < n && !twice; i++)
        if (compare_keys(&keys[i - 1], &keys[i]) == 0) twice = i;
    enum err rc = !twice
                      ? ERR_OK
                      : FAIL(s->f, ERR_CORRUPT, "%.100s: the key \"%.*s\" is there twice", j->what,
                             (int)(keys[twice].n > 100 ? 100 : keys[twice].n), keys[twice].p);
    mem_free(keys);
    return rc;
}

static enum err read_key(struct parser *s, struct str *key) {
    enum err rc = ERR_OK;
    if (s->p == s->end || *s->p != '"') return bad(s, "a key is missing");
    TRY(read_string(s, key));
    skip_blanks(s);
    if (s->p == s->end || *s->p != ':') return bad(s, "':' is missing");
    s->p++;
    skip_blanks(s);
out:
    return rc;
}

/* One turn inside the innermost container: close it, or read its next value. */
static enum err read_member(struct parser *s) {
    enum err rc = ERR_OK;
    struct str key = {0};
    int at = s->open[s->depth - 1];
    bool is_object = s->j->node[at].type == JSON_OBJECT;
    bool is_first = s->last[s->depth - 1] == JSON_NONE;
    skip_blanks(s);
    if (s->p < s->end && *s->p == (is_object ? '}' : ']')) {
        s->p++;
        s->depth--;
        return is_object ? check_keys(s, at) : ERR_OK;
    }
    if (!is_first) {
        if (s->p == s->end || *s->p != ',') return bad(s, "',' or the end is missing");
        s->p++;
        skip_blanks(s);
    }
    if (is_object) TRY(read_key(s, &key));
    TRY(read_value(s, key));
out:
    return rc;
}

enum err json_parse(struct json *j, const char *p, size_t n, const char *what, struct fail *f) {
    enum err rc = ERR_OK;
    memset(j, 0, sizeof *j);
    str_copy(j->what, sizeof j->what, str_of(what));
    struct parser s = {.j = j, .f = f};
    if (n > JSON_BYTES_MAX) return FAIL(f, ERR_CORRUPT, "%s: %zu bytes are too many", what, n);
    j->text = mem_take(n + 1, 1);
    if (!j->text) return FAIL(f, ERR_NOMEM, "no memory for %s", what);
    memcpy(j->text, p, n);
    s.p = j->text;
    s.end = j->text + n;
    skip_blanks(&s);
    TRY(read_value(&s, (struct str){0}));
    while (s.depth > 0)
        TRY(read_member(&s));
    skip_blanks(&s);
    if (s.p != s.end) TRY(bad(&s, "text after the end"));
out:
    if (rc != ERR_OK) json_free(j);
    return rc;
}

enum err json_read_file(struct json *j, const char *path, size_t max_bytes, struct fail *f) {
    char *text = NULL;
    size_t n = 0;
    memset(j, 0, sizeof *j);
    enum err rc = file_take(&text, &n, path, (int64_t)max_bytes, f);
    if (rc == ERR_OK) rc = json_parse(j, text, n, path, f);
    mem_free(text);
    return rc;
}

void json_free(struct json *j) {
    mem_free(j->node);
    mem_free(j->text);
    memset(j, 0, sizeof *j);
}

const struct json_node *json_at(const struct json *j, int node) {
    ASSERT(node >= 0 && node < j->n_nodes);
    return &j->node[node];
}

bool json_is(const struct json *j, int node, enum json_type type) {
    return node >= 0 && node < j->n_nodes && j->node[node].type == type;
}

int json_find(const struct json *j, int object, const char *key) {
    if (!json_is(j, object, JSON_OBJECT)) return JSON_NONE;
    int i = j->node[object].first;
    while (i != JSON_NONE && !str_eq(j->node[i].key, key))
        i = j->node[i].next;
    return i;
}

bool json_i64(const struct json *j, int node, int64_t min, int64_t max, int64_t *out) {
    return json_is(j, node, JSON_NUMBER) && str_parse_i64(j->node[node].text, min, max, out);
}

bool json_f64(const struct json *j, int node, double min, double max, double *out) {
    return json_is(j, node, JSON_NUMBER) && str_parse_f64(j->node[node].text, min, max, out);
}

static bool read_int(const struct json *j, int node, const struct json_field *row, int *out) {
    int64_t v;
    if (json_is(j, node, JSON_BOOL)) {
        *out = j->node[node].text.n == 4;
        return true;
    }
    if (!json_i64(j, node, (int64_t)row->min, (int64_t)row->max, &v)) return false;
    *out = (int)v;
    return true;
}

static bool read_list(const struct json *j, int node, const struct json_field *row, void *to) {
    struct json_ints *ints = to;
    struct json_reals *reals = to;
    int n = 0;
    if (!json_is(j, node, JSON_ARRAY) || j->node[node].n_children > JSON_INTS_MAX) return false;
    for (int i = j->node[node].first; i != JSON_NONE; i = j->node[i].next, n++) {
        if (row->kind == JSON_FIELD_INTS && !read_int(j, i, row, &ints->v[n])) return false;
        if (row->kind == JSON_FIELD_REALS && !json_f64(j, i, row->min, row->max, &reals->v[n]))
            return false;
    }
    if (row->kind == JSON_FIELD_INTS)
        ints->n = n;
    else
        reals->n = n;
    return true;
}

static bool read_field(const struct json *j, int node, const struct json_field *row, void *to) {
    switch (row->kind) {
    case JSON_FIELD_INT: return json_is(j, node, JSON_NUMBER) && read_int(j, node, row, to);
    case JSON_FIELD_REAL: return json_f64(j, node, row->min, row->max, to);
    case JSON_FIELD_FLAG:
        if (!json_is(j, node, JSON_BOOL)) return false;
        *(bool *)to = j->node[node].text.n == 4;
        return true;
    case JSON_FIELD_TEXT:
        return json_is(j, node, JSON_STRING) && str_copy(to, JSON_TEXT_MAX, j->node[node].text);
    default: return read_list(j, node, row, to);
    }
}

enum err json_read_fields(const struct json *j, int object, void *out,
                          const struct json_field *fields, int n_fields, struct fail *f) {
    if (!json_is(j, object, JSON_OBJECT))
        return FAIL(f, ERR_CORRUPT, "%.160s holds no object%s%.*s", j->what, object ? " at " : "",
                    (int)(object ? j->node[object].key.n : 0), object ? j->node[object].key.p : "");
    for (int i = 0; i < n_fields; i++) {
        int node = json_find(j, object, fields[i].key);
        if (node == JSON_NONE || json_is(j, node, JSON_NULL)) continue;
        if (!read_field(j, node, &fields[i], (char *)out + fields[i].offset))
            return FAIL(f, ERR_CORRUPT,
                        "%.120s: \"%s\" has a wrong type or is out of range (%g..%g)", j->what,
                        fields[i].key, fields[i].min, fields[i].max);
    }
    return ERR_OK;
}
