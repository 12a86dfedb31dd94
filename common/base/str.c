#include "common/base/str.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"

struct str str_of(const char *s) {
    return (struct str){s, s ? strlen(s) : 0};
}

bool str_eq(struct str s, const char *text) {
    size_t n = strlen(text);
    return s.n == n && (n == 0 || memcmp(s.p, text, n) == 0);
}

static int lower(int c) {
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

bool str_eq_nocase(struct str s, const char *text) {
    if (s.n != strlen(text)) return false;
    for (size_t i = 0; i < s.n; i++)
        if (lower((unsigned char)s.p[i]) != lower((unsigned char)text[i])) return false;
    return true;
}

bool str_starts(struct str s, const char *prefix) {
    size_t n = strlen(prefix);
    return s.n >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s) {
    while (s.n && is_blank(s.p[0]))
        s.p++, s.n--;
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *rest, char sep, struct str *part) {
    if (!rest->p) return false;
    const char *end = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    if (!end) {
        *part = *rest;
        *rest = (struct str){0};
        return true;
    }
    *part = (struct str){rest->p, (size_t)(end - rest->p)};
    rest->n -= part->n + 1;
    rest->p = end + 1;
    return true;
}

bool str_parse_i64(struct str s, int64_t min, int64_t max, int64_t *out) {
    ASSERT(min <= max);
    bool is_negative = s.n && s.p[0] == '-';
    if (is_negative) s.p++, s.n--;
    if (s.n == 0 || s.n > 19) return false;
    if (s.n > 1 && s.p[0] == '0') return false;
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10, &v)) return false;
        if (__builtin_sub_overflow(v, s.p[i] - '0', &v)) return false;
    }
    if (!is_negative && __builtin_sub_overflow((int64_t)0, v, &v)) return false;
    if (v < min || v > max) return false;
    *out = v;
    return true;
}

/* Reads digits into a mantissa of at most 18 of them; further ones only move the point. */
static size_t read_digits(struct str s, size_t i, uint64_t *mantissa, int *n_kept, int *n_cut) {
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++) {
        if (*n_kept >= 18) {
            (*n_cut)++;
            continue;
        }
        *mantissa = *mantissa * 10 + (uint64_t)(s.p[i] - '0');
        if (*mantissa) (*n_kept)++;
    }
    return i;
}

static bool read_exponent(struct str s, size_t *i, int *exponent) {
    if (*i >= s.n || (s.p[*i] != 'e' && s.p[*i] != 'E')) return true;
    struct str digits = {s.p + *i + 1, s.n - *i - 1};
    bool is_negative = digits.n && digits.p[0] == '-';
    if (digits.n && (is_negative || digits.p[0] == '+')) digits.p++, digits.n--;
    while (digits.n > 1 && digits.p[0] == '0')
        digits.p++, digits.n--;
    int64_t v;
    if (!str_parse_i64(digits, 0, 400, &v)) return false;
    *exponent = (int)(is_negative ? -v : v);
    *i = s.n;
    return true;
}

bool str_parse_f64(struct str s, double min, double max, double *out) {
    bool is_negative = s.n && s.p[0] == '-';
    if (is_negative) s.p++, s.n--;
    uint64_t mantissa = 0;
    int n_kept = 0, n_cut = 0, exponent = 0;
    size_t whole = read_digits(s, 0, &mantissa, &n_kept, &n_cut);
    int shift = n_cut;
    size_t i = whole;
    if (i < s.n && s.p[i] == '.') {
        int kept = 0, cut = 0;
        size_t end = read_digits(s, i + 1, &mantissa, &n_kept, &cut);
        kept = (int)(end - i - 1) - cut;
        if (end == i + 1) return false;
        shift -= kept;
        i = end;
    }
    if (whole == 0 || !read_exponent(s, &i, &exponent) || i != s.n) return false;
    double v = (double)mantissa * pow(10, exponent + shift);
    if (exponent + shift < 0) v = (double)mantissa / pow(10, -(exponent + shift));
    if (is_negative) v = -v;
    if (!isfinite(v) || v < min || v > max) return false;
    *out = v;
    return true;
}

/* Length of the UTF-8 character at s, 0 when it is malformed (RFC 3629: no overlong forms, no
 * surrogates, nothing above U+10FFFF). */
static size_t character_bytes(const unsigned char *s, size_t n) {
    unsigned char c = s[0];
    if (c < 0x80) return c ? 1 : 0;
    size_t len = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || len > n) return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (c == 0xe0 && s[1] < 0xa0) return 0;
    if (c == 0xed && s[1] > 0x9f) return 0;
    if (c == 0xf0 && s[1] < 0x90) return 0;
    if (c == 0xf4 && s[1] > 0x8f) return 0;
    return len;
}

bool str_is_utf8(struct str s, size_t *n_points) {
    size_t count = 0;
    for (size_t i = 0; i < s.n; count++) {
        size_t len = character_bytes((const unsigned char *)s.p + i, s.n - i);
        if (len == 0) return false;
        i += len;
    }
    if (n_points) *n_points = count;
    return true;
}

bool str_copy(char *out, size_t cap, struct str s) {
    ASSERT(cap > 0);
    size_t n = s.n < cap - 1 ? s.n : cap - 1;
    if (n) memcpy(out, s.p, n);
    out[n] = 0;
    return n == s.n;
}

bool str_is_hex(struct str s, size_t n_digits) {
    if (s.n != n_digits) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
    return true;
}
