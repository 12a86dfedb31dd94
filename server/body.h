/* body.h - the body of a POST as one flat list of fields, whether it came as JSON or as a form.
 *
 *   {"prompt":"a","input_reference":{"image_url":"data:.."},"webhook_events":["x"]}
 *   prompt=a  input_reference[image_url]=data:..  webhook_events[]=x
 * are the same three fields. Values of a form are texts, so such a field is `is_loose`: a number
 * may be read from its text. Files go to the store's temporary directory as they arrive and get a
 * name only after the request was found valid. Owner: the thread of the exchange. */
#ifndef SERVER_BODY_H
#define SERVER_BODY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/str.h"
#include "common/doc.h"
#include "common/store.h"
#include "server/multipart.h"
#include "server/problem.h"
#include "server/sniff.h"

enum {
    BODY_FIELDS_MAX = 256,
    BODY_FILES_MAX = 4,
    BODY_DOCS_MAX = 8,
    BODY_NAME_MAX = MULTIPART_NAME_MAX,
    BODY_FILE_NAME_MAX = 128,
};

enum body_kind {
    BODY_TEXT,
    BODY_INT,
    BODY_REAL,
    BODY_BOOL,
    BODY_NULL,
    BODY_EMPTY,
    BODY_DEEP,
    BODY_FILE
};

/* What stands behind the name: nothing, [member] or []. */
enum body_shape { BODY_WHOLE, BODY_MEMBER, BODY_ELEMENT };

struct body_field {
    const char *name;
    enum body_shape shape;
    const char *member;  /* "" unless BODY_MEMBER, or of an object in a list */
    enum body_kind kind; /* EMPTY: {} or []; DEEP: an object or array below a member */
    bool is_loose;
    struct str text; /* TEXT */
    int64_t integer; /* INT */
    double real;     /* REAL */
    bool boolean;    /* BOOL */
    int file;        /* FILE: index into body.files */
};

/* A file that has arrived and has no name yet. */
struct body_file {
    struct store_upload upload;
    bool is_open;
    char
        name[BODY_FILE_NAME_MAX]; /* as the client calls it, for its eyes only; "" of a data: URL */
    size_t n_head;
    unsigned char head[SNIFF_HEAD_MAX];
};

/* Which names hold JSON even when it comes as text, and which dissolve into their members. */
struct body_schema {
    const char *const *nested; /* NULL-ended */
    const char *const *merged; /* NULL-ended */
    const char *const *large;  /* NULL-ended: prefixes of names that may hold a data URL */
    const char *const *videos; /* NULL-ended: names whose file may be a clip, and as large */
};

struct body {
    const struct body_schema *schema;
    struct store *store;
    struct arena mem;
    bool is_form;
    int n_fields;
    struct body_field fields[BODY_FIELDS_MAX];
    int n_docs;
    struct doc *docs[BODY_DOCS_MAX];
    int n_files;
    struct body_file files[BODY_FILES_MAX];
    struct buf text;     /* the JSON body, or the text part that is being read */
    size_t n_small_text; /* bytes of all text parts that hold no data URL */
    int64_t n_bytes, max_bytes;
    int64_t min_free_bytes; /* files are refused when the store has less room */
    struct multipart form;
    struct body_field part; /* the part that is being read */
    bool is_large_part;
};

/* Looks at the Content-Type: application/json or multipart/form-data (if `form` is allowed), else
 * 415. The body is zeroed memory of the caller; body_free() ends it in every case. */
MUST_CHECK enum err body_open(struct body *b, const struct body_schema *schema, struct store *store,
                              struct str content_type, int64_t max_bytes, struct problem *p);
MUST_CHECK enum err body_feed(struct body *b, const char *bytes, size_t n, struct problem *p);
/* All bytes are in: fills `fields`. */
MUST_CHECK enum err body_close(struct body *b, struct problem *p);
void body_free(struct body *b);

/* Decodes a data: URL of a field into a new file; its index goes to *file. `param` names the field
 * in errors. */
MUST_CHECK enum err body_data_url(struct body *b, struct str url, const char *param, int *file,
                                  struct problem *p);

#endif
