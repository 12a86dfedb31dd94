/* still.h - one of our frames as a file: webp for thumbnails and sheets, png for pictures.
 *
 * The same frame gives the same bytes. Owner: any one thread. */
#ifndef WORKER_MEDIA_STILL_H
#define WORKER_MEDIA_STILL_H

#include <stdint.h>

#include "common/base/err.h"

struct still {
    const uint8_t *rgb; /* [height][width][3], rows packed */
    int width, height;
    int out_width, out_height; /* even; scaled by Lanczos, the middle is cut to the shape */
};

/* Lossy webp, quality 82, fsynced. On failure no file is left. */
MUST_CHECK enum err still_write_webp(const char *path, const struct still *s, struct fail *f);

/* The frame as it is, without loss; out_width and out_height are not read. */
MUST_CHECK enum err still_write_png(const char *path, const struct still *s, struct fail *f);

#endif
