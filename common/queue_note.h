/* queue_note.h - small records beside the jobs: uploaded files, characters, what a model can do.
 *
 *   {ns}:note:KIND:TENANT:ID     JSON, goes by itself after its time
 *   {ns}:notes:KIND:TENANT       ids in order; those whose note is gone are dropped when seen
 *
 * Plain commands, no job is touched. Safe to repeat. Ids are made by the caller (common/base/id.h)
 * and sort by age. */
#ifndef COMMON_QUEUE_NOTE_H
#define COMMON_QUEUE_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/queue_view.h"
#include "common/redis.h"

enum { QUEUE_NOTE_BYTES_MAX = 16 * 1024, QUEUE_NOTE_ROWS_MAX = 100 };

/* Which record: kind is a short word of ours, tenant and id as everywhere. */
struct queue_note {
    const char *kind, *tenant, *id;
};

/* Writes or replaces it; it lives for ttl_ms from now. */
MUST_CHECK enum err queue_note_put(struct redis *r, const struct queue_note *n, const char *json,
                                   int64_t ttl_ms, struct fail *f);
/* Appends the JSON; ERR_NOT_FOUND: unknown, gone, or another tenant's. */
MUST_CHECK enum err queue_note_get(struct redis *r, struct buf *json, const struct queue_note *n,
                                   struct fail *f);
/* ERR_NOT_FOUND when there was none. */
MUST_CHECK enum err queue_note_drop(struct redis *r, const struct queue_note *n, struct fail *f);

struct queue_note_page {
    int n_rows;
    bool has_more;
    const char *json[QUEUE_NOTE_ROWS_MAX];
    struct redis_reply *own[2];
};
struct queue_note_query {
    const char *kind, *tenant;
    const char *after; /* id of the last row of the page before, NULL = from the start */
    int limit;         /* 1..QUEUE_NOTE_ROWS_MAX */
    enum queue_sort sort;
};
MUST_CHECK enum err queue_note_list(struct redis *r, struct queue_note_page *out,
                                    const struct queue_note_query *q, struct fail *f);
void queue_note_page_free(struct queue_note_page *page);

#endif
