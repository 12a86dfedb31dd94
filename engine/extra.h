/* extra.h - what Wan I2V and FLF2V read behind the channels of the latent: [mask | picture C]. Host
 * memory; pure.
 *
 * The mask has one channel for each frame of pixels that a latent frame stands for: 1 is known, 0
 * is to be made (the other way round than a start level). Frame 0 stands alone and counts for all
 * of them. The picture part is the latents of a clip that holds the known frames, and grey
 * elsewhere. */
#ifndef ENGINE_EXTRA_H
#define ENGINE_EXTRA_H

#include <stdbool.h>
#include <stdint.h>

struct extra_parts {
    int64_t L, h, w;
    int C, factor_t;      /* channels of a latent; frames that one stands for */
    const bool *is_known; /* factor_t * (L - 1) + 1 frames of pixels */
    const float *picture; /* [L,h,w,C], normalised */
};

/* out [L,h,w, factor_t + C]. */
void extra_fill(float *out, const struct extra_parts *p);
/* Pixels [n,3] in -1..1 of a frame that is not known, for the clip that becomes `picture`. */
void extra_grey(float *pixels, int64_t n);

#endif
