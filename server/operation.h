/* operation.h - what a client may ask for, one row per route that makes a job.
 *
 * The row says which job it becomes, what must be given and which fields of the body are read: a
 * field of validate.c names the operations that it belongs to by their bits. A new operation is a
 * new row here and in the worker's plan. Pure. */
#ifndef SERVER_OPERATION_H
#define SERVER_OPERATION_H

#include <stdbool.h>

#include "common/base/str.h"
#include "common/job.h"

/* Bits of the fields' rows. */
enum {
    OPERATION_CREATE = 1,
    OPERATION_EDIT = 2,
    OPERATION_REMIX = 4,
    OPERATION_EXTEND = 8,
    OPERATION_CONNECT = 16,
    OPERATION_LOOP = 32,
    OPERATION_IMAGE = 64,
    OPERATION_VIDEOS = 63,
    OPERATION_ALL = 127,
    OPERATION_EDITS = OPERATION_EDIT | OPERATION_REMIX
};

/* What must come with the request. */
enum {
    OPERATION_PROMPT = 1,
    OPERATION_SECONDS = 2,
    OPERATION_VIDEO = 4,
    OPERATION_SECOND_VIDEO = 8,
    OPERATION_VIDEO_OR_PROMPT = 16
};

struct operation {
    const char *route; /* name of its row in routes.c */
    const char *name;  /* on the wire: create, edit, extend, connect, loop */
    enum job_operation job;
    unsigned bit;
    unsigned needs;
    int seconds;             /* when none are asked */
    bool has_size;           /* the API's default size; else that of the source */
    const char *first_video; /* what the field of the (first) clip is called; "" when it has none */
};

/* NULL when the route makes no job. */
const struct operation *operation_find(const char *route);
/* By its name on the wire; NULL when there is none. */
const struct operation *operation_named(struct str name);
/* True when some route makes this kind of job. */
bool operation_has(enum job_operation job);

#endif
