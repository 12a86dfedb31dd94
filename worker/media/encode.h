/* encode.h - our own frames to an H.264 mp4 (a door to FFmpeg).
 *
 * Frames are packed RGB, 8 bits, top row first, and go in one at a time in order of display; no
 * more than the encoder's look-ahead is ever held. The file is yuv420p, bt.709 limited range, moov
 * first. The same frames and options give the same bytes on every run (bitexact, a fixed number of
 * threads). Owner: one thread per struct. Knows neither jobs nor the engine. */
#ifndef WORKER_MEDIA_ENCODE_H
#define WORKER_MEDIA_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct encode_opts {
    int width, height;         /* of the frames that are handed in */
    int out_width, out_height; /* of the file; 0 = the same. Scaled by Lanczos; must be even */
    int fps_num, fps_den;      /* 16/1 */
    int crf;                   /* 0 = default 16; 1..51 */
    const char *preset;        /* NULL = "medium" */
};

struct encode; /* opaque */

/* `path` is created or truncated. On failure *out is NULL and the file is gone. */
MUST_CHECK enum err encode_open(struct encode **out, const char *path,
                                const struct encode_opts *opts, struct fail *f);
/* rgb [height][width][3], rows `stride` bytes apart. Borrowed only during the call. */
MUST_CHECK enum err encode_frame(struct encode *e, const uint8_t *rgb, size_t stride,
                                 struct fail *f);
/* Flushes, moves moov to the front, fsyncs, frees. NULL is ERR_OK. */
MUST_CHECK enum err encode_close(struct encode *e, struct fail *f);
/* Gives up: frees everything and removes the file. NULL is fine. */
void encode_drop(struct encode *e);

#endif
