/* json.h - a small strict reader of the JSON files of a model folder.
 *
 * Built for files of strangers: the input is bounded, nesting is capped, duplicate keys, invalid
 * UTF-8, trailing text and lone surrogates are refused, nothing recurses. The tree is one array
 * of nodes; a node is named by its index, 0 is the root, JSON_NONE is "not there". Immutable
 * after parsing. (common/ has another reader for the wire; the engine may not see it.) */
#ifndef ENGINE_JSON_H
#define ENGINE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

enum { JSON_NONE = -1, JSON_DEPTH_MAX = 32, JSON_INTS_MAX = 128 };

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_node {
    enum json_type type;
    int next, first; /* sibling, first child */
    int n_children;
    struct str key;  /* of a member of an object, unescaped */
    struct str text; /* string unescaped, number as written, "true"/"false" */
};

struct json {
    struct json_node *node;
    int n_nodes, cap_nodes;
    char *text; /* copy of the input; strings are unescaped in place */
    char what[256];
};

/* `what` names the input in failures: a file name. ERR_CORRUPT with the byte offset. */
MUST_CHECK enum err json_parse(struct json *j, const char *p, size_t n, const char *what,
                               struct fail *f);
/* Reads a regular file of at most max_bytes. ERR_NOT_FOUND when it is missing, ERR_IO when
 * it cannot be read. */
MUST_CHECK enum err json_read_file(struct json *j, const char *path, size_t max_bytes,
                                   struct fail *f);
void json_free(struct json *j); /* safe on a zeroed struct */

const struct json_node *json_at(const struct json *j, int node);
int json_find(const struct json *j, int object, const char *key);
bool json_i64(const struct json *j, int node, int64_t min, int64_t max, int64_t *out);
bool json_f64(const struct json *j, int node, double min, double max, double *out);
bool json_is(const struct json *j, int node, enum json_type type);

/* Config files are read by tables: one row per field. */
enum json_field_kind {
    JSON_FIELD_INT,   /* int */
    JSON_FIELD_REAL,  /* double */
    JSON_FIELD_FLAG,  /* bool */
    JSON_FIELD_TEXT,  /* char[64] */
    JSON_FIELD_INTS,  /* struct json_ints; booleans count as 0 and 1 */
    JSON_FIELD_REALS, /* struct json_reals */
};

struct json_ints {
    int n;
    int v[JSON_INTS_MAX];
};

struct json_reals {
    int n;
    double v[JSON_INTS_MAX];
};

enum { JSON_TEXT_MAX = 64 };

struct json_field {
    const char *key;
    enum json_field_kind kind;
    size_t offset;
    double min, max; /* of numbers, of each entry of a list */
};

/* Fills the fields that are present and not null; the others keep what `out` holds, so put the
 * defaults there first. Wrong type or range, or no object: ERR_CORRUPT naming file and key.
 * Unknown keys are not looked at. */
MUST_CHECK enum err json_read_fields(const struct json *j, int object, void *out,
                                     const struct json_field *fields, int n_fields, struct fail *f);

#endif
