/* doc.h - strict JSON (RFC 8259), read and written: the door to jansson.
 *
 * Reading: UTF-8 only, no duplicate keys, no NUL, depth and size capped, nothing behind the end.
 * A value never turns into another type: "5" is no number and 5 is no text. Every value knows its
 * path ("metadata.color"), so that errors name the field. A document belongs to one thread. */
#ifndef COMMON_DOC_H
#define COMMON_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

enum doc_type { DOC_NULL, DOC_BOOL, DOC_INT, DOC_REAL, DOC_TEXT, DOC_ARRAY, DOC_OBJECT };

struct doc;   /* owns the values */
struct value; /* borrowed from its document */

/* Parses `text` of at most max_bytes. ERR_INPUT names line and column, ERR_LIMIT the cap. The
 * caller ends it with doc_free(). */
MUST_CHECK enum err doc_parse(struct doc **out, struct str text, size_t max_bytes, struct fail *f);
void doc_free(struct doc *d);
const struct value *doc_root(const struct doc *d);

enum doc_type doc_type(const struct value *v);
/* "object", "array", "text", ...: for error texts. */
const char *doc_type_name(const struct value *v);
/* The member, or NULL: an answer. v must be an object. */
const struct value *doc_find(const struct value *v, const char *key);
/* Members of an object or elements of an array, 0 for anything else. */
size_t doc_size(const struct value *v);
const struct value *doc_at(const struct value *v, size_t i);
/* Calls `each` for every member in the order of the text; stops at the first that is not ERR_OK. */
typedef enum err (*doc_each_fn)(void *ctx, const char *key, const struct value *v, struct fail *f);
enum err doc_each(const struct value *v, doc_each_fn each, void *ctx, struct fail *f);

/* The value itself; the type must fit (ASSERT), so look at doc_type() first. doc_real() also
 * takes an integer. */
bool doc_bool(const struct value *v);
int64_t doc_int(const struct value *v);
double doc_real(const struct value *v);
struct str doc_text(const struct value *v);

/* Members that must be there or may be missing. ERR_INPUT names `key`, what came and what is
 * needed. The may_ forms leave *out alone when the member is missing or null. */
MUST_CHECK enum err doc_get_text(const struct value *v, const char *key, struct str *out,
                                 struct fail *f);
/* The same into cap bytes with a zero at the end. ERR_CORRUPT, named after `what` (the record that
 * v is read from), when it is longer. */
MUST_CHECK enum err doc_copy_text(const struct value *v, const char *key, char *out, size_t cap,
                                  const char *what, struct fail *f);
MUST_CHECK enum err doc_get_int(const struct value *v, const char *key, int64_t min, int64_t max,
                                int64_t *out, struct fail *f);
MUST_CHECK enum err doc_may_text(const struct value *v, const char *key, struct str *out,
                                 struct fail *f);
MUST_CHECK enum err doc_may_int(const struct value *v, const char *key, int64_t min, int64_t max,
                                int64_t *out, struct fail *f);
MUST_CHECK enum err doc_may_real(const struct value *v, const char *key, double min, double max,
                                 double *out, struct fail *f);
MUST_CHECK enum err doc_may_bool(const struct value *v, const char *key, bool *out, struct fail *f);

/* A writer appends to a buffer. The first failure sticks and later calls do nothing, so a caller
 * writes the whole object and asks once with doc_done(). Keys are our own and need no escape;
 * texts are escaped. key is NULL inside arrays. */
struct doc_out {
    struct buf *buf;
    enum err rc;
    bool needs_comma;
    int depth;
};

void doc_out_make(struct doc_out *o, struct buf *b);
void doc_open_object(struct doc_out *o, const char *key);
void doc_open_array(struct doc_out *o, const char *key);
void doc_close_object(struct doc_out *o);
void doc_close_array(struct doc_out *o);
void doc_put_text(struct doc_out *o, const char *key, const char *text); /* NULL writes null */
void doc_put_str(struct doc_out *o, const char *key, struct str text);
void doc_put_int(struct doc_out *o, const char *key, int64_t v);
/* Shortest text that reads back the same; not finite writes null. */
void doc_put_real(struct doc_out *o, const char *key, double v);
void doc_put_bool(struct doc_out *o, const char *key, bool v);
void doc_put_null(struct doc_out *o, const char *key);
/* Copies a parsed value, or JSON text that we wrote earlier, as it is. */
void doc_put_value(struct doc_out *o, const char *key, const struct value *v);
void doc_put_json(struct doc_out *o, const char *key, struct str json);
MUST_CHECK enum err doc_done(const struct doc_out *o, struct fail *f);

#endif
