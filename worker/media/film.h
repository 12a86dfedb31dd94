/* film.h - frames of a clip that the owner of this machine named, at an asked size and rate.
 *
 * Runs in the calling process: for files of one's own on the command line, never for what strangers
 * send. The middle is cut to the asked shape and scaled by Lanczos; a frame of the result shows
 * what the clip shows at its moment. Owner: any one thread. */
#ifndef WORKER_MEDIA_FILM_H
#define WORKER_MEDIA_FILM_H

#include <stdint.h>

#include "common/base/err.h"

struct film_opts {
    int width, height, fps;
    int n_max; /* frames; what comes after is not read */
};

struct film {
    uint8_t *rgb; /* [n_frames,height,width,3], for mem_free() */
    int n_frames;
};

/* ERR_MEDIA when it holds no video that can be read. */
MUST_CHECK enum err film_read(struct film *out, const char *path, const struct film_opts *opts,
                              struct fail *f);

#endif
