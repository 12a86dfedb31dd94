/* seam.h - how well the end of a clip that loops meets its beginning.
 *
 * Measured on the frames as they pass by: the mean difference of neighbours, and that of the last
 * frame and the first, both as a share of full scale. Two frames are held. Engine thread. */
#ifndef WORKER_SEAM_H
#define WORKER_SEAM_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct seam {
    size_t n_bytes; /* of a frame */
    uint8_t *first, *last;
    int n_frames;
    double sum; /* of the differences of neighbours */
};

struct seam_result {
    double error, usual;
};

MUST_CHECK enum err seam_make(struct seam *s, size_t n_bytes, struct fail *f);
void seam_frame(struct seam *s, const uint8_t *rgb);
struct seam_result seam_end(const struct seam *s);
void seam_free(struct seam *s); /* safe on a zeroed struct */

#endif
