/* footage.h - the files that a job names, as frames of the size and rate that are needed.
 *
 * The one place of the worker that opens what clients sent or earlier jobs made. Engine thread. */
#ifndef WORKER_FOOTAGE_H
#define WORKER_FOOTAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/job.h"
#include "common/store.h"

enum {
    FOOTAGE_NOTES_MAX = 4,
    FOOTAGE_NOTE_SIZE = 200,
    FOOTAGE_BYTES_MAX = 2000 * 1000 * 1000 /* of the frames that are held at once */
};

struct footage {
    struct store *store;
    const char *decode_program;
    bool (*is_cancelled)(void *ctx); /* may be NULL */
    void *ctx;
    int n_notes; /* what was conformed, in words for the owner of the file */
    char note[FOOTAGE_NOTES_MAX][FOOTAGE_NOTE_SIZE];
};

struct footage_want {
    int width, height, fps;
    int from;  /* frame of the clip at that rate; below 0: counted from its end */
    int n_max; /* 0: up to the end */
};

/* The wanted frames of a clip. */
struct footage_clip {
    uint8_t *rgb; /* [n_frames,height,width,3], for mem_free() */
    int first, n_frames;
    int n_whole; /* frames of the whole clip at that rate */
};

/* Called once per frame in order; anything but ERR_OK stops the reading and is handed on. */
typedef enum err (*footage_frame_fn)(void *ctx, const uint8_t *rgb, struct fail *f);

/* Size, rate and length of a clip that nobody has looked at yet. */
MUST_CHECK enum err footage_learn(struct footage *from, struct job_asset *asset, struct fail *f);
/* rgb [height][width][3], made by the caller. ERR_MEDIA when the file cannot be used. */
MUST_CHECK enum err footage_picture(struct footage *from, uint8_t *rgb,
                                    const struct job_asset *asset, int width, int height,
                                    struct fail *f);
MUST_CHECK enum err footage_read(struct footage *from, struct footage_clip *out,
                                 const struct job_asset *asset, const struct footage_want *want,
                                 struct fail *f);
/* Exactly want->n_max frames: a clip that ends before repeats its last one. */
MUST_CHECK enum err footage_each(struct footage *from, const struct job_asset *asset,
                                 const struct footage_want *want, footage_frame_fn each, void *ctx,
                                 struct fail *f);

#endif
