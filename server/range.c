#include "server/range.h"

#include "common/base/assert.h"

/* The slice behind "bytes=", unit without case; false for any other unit. */
static bool strip_unit(struct str header, struct str *out) {
    struct str rest = header, unit;
    if (!str_split(&rest, '=', &unit) || !str_eq_nocase(str_trim(unit), "bytes")) return false;
    *out = str_trim(rest);
    return true;
}

static enum range_verdict suffix(struct range *out, struct str digits, int64_t size) {
    int64_t n;
    if (!str_parse_i64(digits, 0, INT64_MAX, &n)) return RANGE_WHOLE;
    if (n == 0 || size == 0) return RANGE_UNSATISFIABLE;
    *out = (struct range){n >= size ? 0 : size - n, size - 1};
    return RANGE_PART;
}

enum range_verdict range_parse(struct range *out, struct str header, int64_t size) {
    ASSERT(size >= 0);
    struct str spec, first;
    int64_t a, b = INT64_MAX;
    if (header.n == 0 || !strip_unit(header, &spec) || spec.n == 0) return RANGE_WHOLE;
    for (size_t i = 0; i < spec.n; i++)
        if (spec.p[i] == ',' || spec.p[i] == ' ') return RANGE_WHOLE;
    if (spec.p[0] == '-') return suffix(out, (struct str){spec.p + 1, spec.n - 1}, size);
    struct str rest = spec;
    if (!str_split(&rest, '-', &first) || first.n == spec.n) return RANGE_WHOLE;
    if (!str_parse_i64(first, 0, INT64_MAX, &a)) return RANGE_WHOLE;
    if (rest.n && (!str_parse_i64(rest, 0, INT64_MAX, &b) || b < a)) return RANGE_WHOLE;
    if (a >= size) return RANGE_UNSATISFIABLE;
    *out = (struct range){a, b >= size ? size - 1 : b};
    return RANGE_PART;
}

/* The tag between the quotes; false when it is not an entity tag. */
static bool unquote(struct str s, bool *is_weak, struct str *tag) {
    s = str_trim(s);
    *is_weak = s.n >= 2 && s.p[0] == 'W' && s.p[1] == '/';
    if (*is_weak) s = (struct str){s.p + 2, s.n - 2};
    if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"') return false;
    *tag = (struct str){s.p + 1, s.n - 2};
    return true;
}

bool range_etag_matches(struct str list, const char *etag) {
    struct str part, tag;
    bool is_weak;
    if (str_eq(str_trim(list), "*")) return true;
    while (str_split(&list, ',', &part))
        if (unquote(part, &is_weak, &tag) && str_eq(tag, etag)) return true;
    return false;
}

bool range_if_range_holds(struct str header, const char *etag) {
    struct str tag;
    bool is_weak;
    return unquote(header, &is_weak, &tag) && !is_weak && str_eq(tag, etag);
}
