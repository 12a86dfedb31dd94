/* video.h - a job as the API's Video object: OpenAI's thirteen keys, always present, and ours.
 *
 * Pure reading: the queue's record and the two documents in it go in, JSON comes out. */
#ifndef SERVER_VIDEO_H
#define SERVER_VIDEO_H

#include "common/doc.h"
#include "common/queue_view.h"

/* Warnings of the create call stand before those of the worker. */
struct video_extra {
    int n_warnings;
    const char *warnings[8];
};

/* Fails with ERR_CORRUPT when the stored request cannot be read. `extra` may be NULL. */
MUST_CHECK enum err video_put(struct doc_out *o, const char *key, const struct queue_job *q,
                              const struct video_extra *extra, struct fail *f);

/* The error code and text of a job that ended badly; NULL while it did not. */
const char *video_error_code(const struct queue_job *q);

#endif
