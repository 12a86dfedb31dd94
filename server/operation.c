#include "server/operation.h"

#include <string.h>

#include "common/base/assert.h"

static const struct operation rows[] = {
    {"videos.create", "create", JOB_CREATE, OPERATION_CREATE, OPERATION_PROMPT, 4, true, ""},
    {"videos.edit", "edit", JOB_EDIT, OPERATION_EDIT, OPERATION_PROMPT | OPERATION_VIDEO, 4, false,
     "video"},
    {"videos.remix", "edit", JOB_EDIT, OPERATION_REMIX, OPERATION_PROMPT | OPERATION_VIDEO, 4,
     false, "id"},
    {"videos.extend", "extend", JOB_EXTEND, OPERATION_EXTEND,
     OPERATION_PROMPT | OPERATION_SECONDS | OPERATION_VIDEO, 4, false, "video"},
    {"videos.connect", "connect", JOB_CONNECT, OPERATION_CONNECT,
     OPERATION_VIDEO | OPERATION_SECOND_VIDEO, 2, false, "first_video"},
    {"images.generate", "image", JOB_IMAGE, OPERATION_IMAGE, OPERATION_PROMPT, 1, false, ""},
    {"videos.loop", "loop", JOB_LOOP, OPERATION_LOOP, OPERATION_VIDEO_OR_PROMPT, 2, false, "video"},
};

const struct operation *operation_find(const char *route) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(rows[i].route, route) == 0) return &rows[i];
    return NULL;
}

const struct operation *operation_named(struct str name) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (str_eq(name, rows[i].name)) return &rows[i];
    return NULL;
}

bool operation_has(enum job_operation job) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].job == job) return true;
    return false;
}
