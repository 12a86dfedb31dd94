/* job_flags.h - the command line of `misora job`, and the request that it means.
 *
 * A flag that is a field of the API is one row: its name, the field, what kind of value it has.
 * Files are streamed from disk as parts of a form; without files the body is JSON. */
#ifndef TOOLS_JOB_FLAGS_H
#define TOOLS_JOB_FLAGS_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/fetch.h"

enum { JOB_FLAGS_VALUES = 40, JOB_FLAGS_SETS = 16, JOB_FLAGS_WORDS = 2 };

struct job_flags {
    const char *value[JOB_FLAGS_VALUES]; /* by the row of the table; NULL: not given */
    const char *set[JOB_FLAGS_SETS];     /* --set NAME=VALUE */
    int n_sets;
    const char *word[JOB_FLAGS_WORDS]; /* what is no flag: an id, an operation */
    bool is_watched;
};

/* Reads what follows the action. ERR_INPUT names the argument. */
MUST_CHECK enum err job_flags_read(struct job_flags *o, int argc, char **argv, struct fail *f);
/* The value of a flag such as "--url"; NULL: not given. */
const char *job_flags_get(const struct job_flags *o, const char *name);
void job_flags_print(void);

/* What is sent; job_flags_body_free() ends it. */
struct job_flags_body {
    struct buf text;        /* JSON, when there are no files */
    struct fetch_file file; /* the form; fd -1: there is none */
    char content_type[96];
};

MUST_CHECK enum err job_flags_body(struct job_flags_body *out, const struct job_flags *o,
                                   struct fail *f);
void job_flags_body_free(struct job_flags_body *b);

#endif
