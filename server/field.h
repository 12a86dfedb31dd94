/* field.h - one body field as a value of the type that is needed, or a problem in words.
 *
 * A JSON value never turns into another type; a field of a form is text and is read by what is
 * needed. Pure. */
#ifndef SERVER_FIELD_H
#define SERVER_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "server/body.h"

/* The name for error texts: steps, metadata[k]. Borrowed from a small ring of the thread. */
const char *field_name(const struct body_field *f);

/* Absent in effect: JSON null, or an empty text in a form (Python's None). */
bool field_is_empty(const struct body_field *f);

MUST_CHECK enum err field_text(const struct body_field *f, size_t max_chars, struct str *out,
                               struct problem *p);
MUST_CHECK enum err field_int(const struct body_field *f, int64_t min, int64_t max, int64_t *out,
                              struct problem *p);
MUST_CHECK enum err field_real(const struct body_field *f, double min, double max, double *out,
                               struct problem *p);
MUST_CHECK enum err field_bool(const struct body_field *f, bool *out, struct problem *p);

#endif
