/* scale.h - frames of one size as frames of another: the middle of the shape, by Lanczos.
 *
 * The same bytes on every machine. Owner: one thread per struct. */
#ifndef WORKER_MEDIA_SCALE_H
#define WORKER_MEDIA_SCALE_H

#include <stdint.h>

#include "common/base/err.h"

struct scale; /* opaque */

struct scale_opts {
    int width, height, out_width, out_height;
};

MUST_CHECK enum err scale_open(struct scale **out, const struct scale_opts *opts, struct fail *f);
/* rgb [height][width][3]; the answer [out_height][out_width][3] lives until the next call. */
const uint8_t *scale_frame(struct scale *s, const uint8_t *rgb);
void scale_close(struct scale *s); /* NULL is fine */

#endif
