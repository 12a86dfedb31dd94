/* queue_admin.h - what an operator does to the queue: migrate, audit, dead letters.
 *
 * Only the command line and tests use it; services neither load functions nor walk keys. */
#ifndef COMMON_QUEUE_ADMIN_H
#define COMMON_QUEUE_ADMIN_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/queue.h"
#include "common/redis.h"

struct queue_migration {
    char from[16]; /* schema before, "0" = no data */
    int64_t n_seen, n_changed;
};
/* Loads our library and brings the data to our schema in batches. May be killed and started again:
 * it goes on where it stopped. ERR_CONFIG: the data is newer than this program. `out` may be NULL.
 */
MUST_CHECK enum err queue_admin_migrate(struct redis *r, struct queue_migration *out,
                                        struct fail *f);

typedef void (*queue_admin_problem_fn)(void *ctx, const char *text);

struct queue_audit {
    int64_t n_keys, n_problems;
};
/* Checks every key of the namespace against all that must agree with it (invariants of
 * migrations/README.md). Read only; may run beside live traffic. Each problem is told once. */
MUST_CHECK enum err queue_admin_audit(struct redis *r, struct queue_audit *out,
                                      queue_admin_problem_fn tell, void *ctx, struct fail *f);

enum { QUEUE_DEAD_ROWS_MAX = 100, QUEUE_ATTEMPT_ROWS_MAX = 16, QUEUE_ATTEMPT_MAX = 160 };

struct queue_dead {
    int64_t n_all;
    int n_rows;
    struct queue_dead_row {
        char id[QUEUE_ID_MAX], tenant[QUEUE_NAME_MAX], code[QUEUE_NAME_MAX];
        char message[QUEUE_TEXT_MAX];
        int64_t done_ms;
    } row[QUEUE_DEAD_ROWS_MAX];
};
/* Failed jobs, newest first. Large: keep it off small stacks. */
MUST_CHECK enum err queue_admin_dead(struct redis *r, struct queue_dead *out, struct fail *f);

/* Whose job it is. ERR_NOT_FOUND: no such job. */
MUST_CHECK enum err queue_admin_owner(struct redis *r, char tenant[QUEUE_NAME_MAX], const char *id,
                                      struct fail *f);

struct queue_attempts {
    int n_rows;
    char row[QUEUE_ATTEMPT_ROWS_MAX]
            [QUEUE_ATTEMPT_MAX]; /* "epoch worker started-ms ended-ms how" */
};
/* The last attempts of a job, oldest first. */
MUST_CHECK enum err queue_admin_attempts(struct redis *r, struct queue_attempts *out,
                                         const char *id, struct fail *f);

/* Runs a failed job again from the start with fresh tries. ERR_NOT_FOUND; ERR_CONFLICT: it has not
 * failed. */
MUST_CHECK enum err queue_admin_retry(struct redis *r, const char *id, struct fail *f);

#endif
