/* libav.h - what the FFmpeg files of this folder share: errors in words, scalers, frames, log.
 *
 * Only worker/media/ may include this or any libav header. */
#ifndef WORKER_MEDIA_LIBAV_H
#define WORKER_MEDIA_LIBAV_H

#include <libavutil/frame.h>
#include <libswscale/swscale.h>

#include "common/base/err.h"

enum { LIBAV_PATH_MAX = 1200 };

/* mp4 carries BT.709; lossy webp and jpeg are BT.601 by their formats. */
enum libav_matrix { LIBAV_MATRIX_709, LIBAV_MATRIX_601 };

/* "media: cannot WHAT: reason of libav". */
enum err libav_fail(struct fail *f, enum err code, int averror, const char *what);

/* The first call sends libav's warnings and errors to our log, cut to one short line each. */
void libav_log_start(void);

/* A yuv420p limited-range frame of one size with its own memory; NULL when there is none left. */
AVFrame *libav_frame(int width, int height);

/* RGB24 to yuv420p by Lanczos; the same bytes on every machine. NULL on failure. */
struct SwsContext *libav_scaler(int width, int height, int out_width, int out_height,
                                enum libav_matrix matrix);

#endif
