/* probe.h - what an mp4 of ours really contains, read back from the file before it is published.
 *
 * Only for files that we wrote: strangers' files go through decode.h. Owner: any one thread. */
#ifndef WORKER_MEDIA_PROBE_H
#define WORKER_MEDIA_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct probe {
    int width, height, n_frames; /* frames are counted, not believed */
    double fps;
    uint64_t size_bytes;
    bool is_moov_first, is_h264, is_yuv420p;
};

/* ERR_CORRUPT when it is not an mp4 with a video stream. */
MUST_CHECK enum err probe_mp4(struct probe *out, const char *path, struct fail *f);

#endif
