/* str.h - slices of text and strict numbers.
 *
 * A slice borrows its bytes and may hold NUL. Numbers of strangers are parsed whole or refused:
 * no leading blanks, no trailing text, no locale, no silent zero. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *p;
    size_t n;
};

/* The slice of a NUL-terminated string; NULL gives the empty slice. */
struct str str_of(const char *s);
bool str_eq(struct str s, const char *text);
/* Compares ASCII letters without case, as header names and hosts need it. */
bool str_eq_nocase(struct str s, const char *text);
bool str_starts(struct str s, const char *prefix);
struct str str_trim(struct str s);
/* Cuts the part before the first `sep` off `rest`; false when `rest` is used up. */
bool str_split(struct str *rest, char sep, struct str *part);

/* Decimal integer with optional '-', within [min,max]. */
bool str_parse_i64(struct str s, int64_t min, int64_t max, int64_t *out);
/* Decimal number (digits, one '.', optional exponent), finite, within [min,max]. */
bool str_parse_f64(struct str s, double min, double max, double *out);
/* True when the bytes are well-formed UTF-8 without NUL; *n_points gets the code points. */
bool str_is_utf8(struct str s, size_t *n_points);
/* Copies into a fixed field, always NUL-terminated; false when it had to be cut. */
bool str_copy(char *out, size_t cap, struct str s);
bool str_is_hex(struct str s, size_t n_digits);

#endif
