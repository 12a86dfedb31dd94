/* push.h - a finished video to the address that its owner gave: a presigned PUT.
 *
 * The address is a stranger's: it is called like a webhook (guard.h, no redirects), with the file
 * as the body and no header of ours, for such links are signed over what is sent. A few tries; what
 * does not work is a warning of the job and never its end: the file is in the store all the same.
 * Engine thread. */
#ifndef WORKER_PUSH_H
#define WORKER_PUSH_H

#include "common/base/err.h"
#include "common/guard.h"

enum { PUSH_TRIES = 3, PUSH_CONNECT_MS = 5000, PUSH_TOTAL_MS = 30000 };

struct push_target {
    const char *url;
    struct guard_rules rules;
};

/* ERR_FORBIDDEN: the address may not be called, and was not. ERR_IO, ERR_TIMEOUT: it did not take
 * the file, in words for the owner. */
MUST_CHECK enum err push_file(const struct push_target *target, const char *path, struct fail *f);

#endif
