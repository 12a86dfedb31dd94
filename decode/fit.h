/* fit.h - a decoded frame of any kind to 8-bit RGB of the asked size, upright, in plain colours.
 *
 * The middle is cut to the asked shape and scaled. Whatever is changed beyond that is
 * said once: HDR, more than 8 bits, alpha (shown on white), fields, pixels that are not square, a
 * size that changes on the way. Runs in the jail. */
#ifndef DECODE_FIT_H
#define DECODE_FIT_H

#include <stdbool.h>
#include <stdint.h>

#include <libavutil/frame.h>

#include "common/base/err.h"
#include "decode/tell.h"

enum {
    FIT_SIDE_MAX = 16384 /* of a frame */
};

struct fit_opts {
    int width, height; /* of the answer */
    int orientation;   /* as EXIF counts: 1 upright .. 8; from 5 on the sides change places */
    bool is_still;     /* stills are BT.601 by their formats, and never made of fields */
    struct tell *tell;
};

struct fit; /* opaque */

/* How the frame looks: upright and with square pixels. */
void fit_look(int *width, int *height, const AVFrame *frame, int orientation);

MUST_CHECK enum err fit_open(struct fit **out, const struct fit_opts *opts, struct fail *f);
/* rgb [height][width][3]. The frame's cropping is changed. */
MUST_CHECK enum err fit_frame(struct fit *fit, uint8_t *rgb, AVFrame *frame, struct fail *f);
void fit_close(struct fit *fit); /* NULL is fine */

#endif
