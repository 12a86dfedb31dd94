/* job.h - what a client asked for, in the form that travels through Redis.
 *
 * `struct job` is the canonical request: valid by construction, defaults filled in, files replaced
 * by the SHA-256 of their bytes. Its JSON form is written by one function with one order of keys,
 * so equal requests have equal bytes and the SHA-256 of those bytes is the fingerprint.
 * Pure: no I/O, no clock.
 *
 *   {"operation":"create","model":M,"asked_model":A,"prompt":P,"negative_prompt":N?,
 *    "upsampling":true?,"revised_prompt":R?,"size":"WxH","seconds":"4",
 *    "fps":24?,"num_frames":97?,"steps":20?,"guidance_scale":5.0?,"seed":7?,"priority":"normal",
 *    "input_reference":{"sha256","type","bytes"}?,"last_frame":{..}?,"task":{..}?,"webhook_url":U?,
 *    "upload_url":U?,
 *    "webhook_events":[..]?,"metadata":{..}?,"deadline_seconds":90?,
 *    "expires_after_seconds":86400,"output":{"crf":23?,"format":"png"?}?}
 *
 * A key marked ? is left out when the client did not choose it. "task" holds what only some
 * operations read: see struct job_task. A size of "auto" is that of the source clip. */
#ifndef COMMON_JOB_H
#define COMMON_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/limits.h"

enum {
    JOB_JSON_MAX = LIMIT_SPEC_BYTES,
    JOB_METADATA_MAX = LIMIT_METADATA_PAIRS,
    JOB_EVENTS_MAX = LIMIT_WEBHOOK_EVENTS,
};

/* Stored as texts, which never change their meaning. */
enum job_operation {
    JOB_CREATE,
    JOB_EDIT,
    JOB_EXTEND,
    JOB_CONNECT,
    JOB_LOOP,
    JOB_VIEWS,
    JOB_IMAGE,
    JOB_OPERATION_COUNT
};

enum job_priority { JOB_LOW, JOB_NORMAL, JOB_HIGH, JOB_PRIORITY_COUNT };

/* Which end of a clip grows. */
enum job_direction { JOB_FORWARD, JOB_BACKWARD, JOB_BOTH, JOB_DIRECTION_COUNT };

/* What kind of file is made. */
enum job_format { JOB_MP4, JOB_PNG, JOB_WEBP, JOB_FORMAT_COUNT };

/* How a clip is edited: begun again from a noisy copy, or led from old words to new ones. */
enum job_method { JOB_SDEDIT, JOB_FLOWEDIT, JOB_METHOD_COUNT };

/* A file that a job needs; sha256[0] == 0: none. An upload lies in the store under its hash. What
 * an earlier job made lies under `key`, and what it is was written into its receipt. */
struct job_asset {
    char sha256[65];
    char type[32]; /* sniffed: image/png, image/jpeg, image/webp, video/mp4, .. */
    int64_t n_bytes;
    char video_id[48]; /* the job that made it; "": an upload */
    char key[160];
    int width, height, n_frames; /* 0: not known before it is decoded */
    double fps;
};

/* What only some operations read; a field that its operation does not know stays as it was made. */
struct job_task {
    struct job_asset video, second_video; /* clips: the source, or the two that are connected */
    struct job_asset mask;                /* white is made anew */
    enum job_direction direction;
    enum job_method method;
    const char *old_prompt; /* what the source shows as it is, for flowedit */
    double strength;        /* 0..1, below 0: the default of the method */
    double context_seconds; /* of each clip that the new part is told; 0: the model's own */
    double from_seconds, to_seconds; /* the part that is edited; to 0: up to the end */
    bool is_bare; /* only the new part is delivered, not stitched to its source */
    bool is_loop; /* the last frame is followed by the first */
};

struct job_pair {
    const char *key;
    const char *value;
};

/* Strings live in `mem` and are never NULL after job_make() or job_parse(); "" means not given. */
struct job {
    struct arena mem;
    enum job_operation operation;
    enum job_priority priority;
    const char *model;       /* id of a model card; aliases are resolved */
    const char *asked_model; /* what the client called it */
    const char *prompt;
    const char *negative_prompt;
    bool wants_upsampling;
    const char *revised_prompt; /* what is made in the place of `prompt`; "": the prompt itself */
    int width;  /* pixels as asked; the worker picks the model's canvas and scales to this; 0: as */
    int height; /* the source clip has */
    int seconds;           /* whole seconds, as in the API's string */
    int fps;               /* 0: the model's own */
    int num_frames;        /* 0: from seconds and fps; else it overrides seconds */
    int steps;             /* 0: the model's default */
    double guidance_scale; /* below 0: the model's default */
    bool has_seed;         /* false only before the server drew one */
    uint32_t seed;
    struct job_asset input_reference; /* the first frame */
    struct job_asset last_frame;
    struct job_task task;
    const char *webhook_url;
    const char *upload_url; /* where the finished video is also put; "" nowhere */
    int n_webhook_events;
    const char *webhook_events[JOB_EVENTS_MAX]; /* none: completed and failed */
    int n_metadata;
    struct job_pair metadata[JOB_METADATA_MAX];
    int64_t deadline_seconds; /* 0: none; counted from creation */
    int64_t expires_after_seconds;
    int crf; /* below 0: the worker's default */
    enum job_format format;
};

/* Makes an empty job with the defaults of the API: 720x1280, 4 seconds, priority normal. */
void job_make(struct job *job);
void job_free(struct job *job);

/* Copies `n` bytes of text into the job; NULL when the job's memory is used up. */
const char *job_keep(struct job *job, const char *text, size_t n) MUST_CHECK;

/* Appends the canonical JSON. Fails with ERR_LIMIT when it is over JOB_JSON_MAX. */
MUST_CHECK enum err job_write(const struct job *job, struct buf *out, struct fail *f);

/* Reads what job_write() wrote; `job` is made by this call and must be freed even on failure.
 * Fails with ERR_CORRUPT on anything else: strangers' bodies are read by server/validate.c. */
MUST_CHECK enum err job_parse(struct job *job, const char *json, size_t n, struct fail *f);

/* The SHA-256 (hex) of the canonical JSON. */
MUST_CHECK enum err job_fingerprint(const struct job *job, char out[65], struct fail *f);

const char *job_operation_name(enum job_operation op);
/* Find a value by its name on the wire; false when there is none. */
bool job_direction_find(const char *name, enum job_direction *out);
bool job_method_find(const char *name, enum job_method *out);
bool job_format_find(const char *name, enum job_format *out);
const char *job_format_type(enum job_format f); /* video/mp4, .. */
const char *job_priority_name(enum job_priority p);
/* Finds a priority by its name; false when there is none. */
bool job_priority_find(const char *name, enum job_priority *out);

/* What the queue calls them: larger is sooner (0..9). */
int job_priority_rank(enum job_priority p);

#endif
