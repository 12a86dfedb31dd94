/* picture.h - a still image as one frame. Runs in the jail.
 *
 * jpeg, png and webp; of an animation the first frame counts; the EXIF orientation is honoured. */
#ifndef DECODE_PICTURE_H
#define DECODE_PICTURE_H

#include "common/base/err.h"
#include "decode/ask.h"
#include "decode/source.h"
#include "decode/tell.h"

enum { PICTURE_BYTES_MAX = 32 * 1024 * 1024, PICTURE_PIXELS_MAX = 50 * 1000 * 1000 };

/* Tells head and frame. ERR_MEDIA in words for the owner of the file. */
MUST_CHECK enum err picture_send(struct tell *tell, struct source *source, enum source_kind kind,
                                 const struct ask *ask, struct fail *f);

#endif
