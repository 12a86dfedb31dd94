/* picture.h - a stranger's still image to RGB of an asked size. Runs only inside misora-decode.
 *
 * Takes jpeg, png and webp, known by their first bytes, never by a name. The first frame of an
 * animation counts; alpha is dropped; the EXIF orientation is honoured; the middle is cut to the
 * asked shape and scaled by Lanczos. Every refusal is ERR_MEDIA in words for the owner of the file.
 */
#ifndef WORKER_MEDIA_PICTURE_H
#define WORKER_MEDIA_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum {
    PICTURE_BYTES_MAX = 32 * 1024 * 1024,
    PICTURE_PIXELS_MAX = 50 * 1000 * 1000,
    PICTURE_SIDE_MAX = 16384,
    PICTURE_OUT_SIDE_MAX = 4096
};

/* rgb holds width * height * 3 bytes, made by the caller. `data` needs 64 bytes of zeros behind
 * its n bytes, for libav reads in words. */
MUST_CHECK enum err picture_decode(uint8_t *rgb, int width, int height, const uint8_t *data,
                                   size_t n, struct fail *f);

#endif
