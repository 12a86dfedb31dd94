/* vace.h - what a control branch is told (VACE), put together around the VAE. Host memory; pure.
 *
 * A control volume has, per latent place, [inactive C | reactive C | mask s*s]: the latents of the
 * known and of the unknown part of the clip, and the mask itself, the s x s pixels of a place side
 * by side. Pictures for reference are latent frames in front of it, the last of the list first,
 * with nothing behind their C channels; the latent that is denoised has as many frames in front,
 * which are dropped before it is decoded. In a mask 1 is to be made and 0 is known. */
#ifndef ENGINE_VACE_H
#define ENGINE_VACE_H

#include <stdint.h>

#include "common/base/err.h"

struct vace_parts {
    int64_t T;                        /* frames of pixels */
    int64_t L, h, w;                  /* of latents, without references */
    int C, s;                         /* channels of a latent; pixels of a place, each way */
    const float *inactive, *reactive; /* [L,h,w,C] */
    const float *mask;                /* [T,h*s,w*s] */
    const float *const *reference;    /* n_references times [h,w,C] */
    int n_references;
};

int64_t vace_channels(const struct vace_parts *p);
/* The frame whose mask a latent frame gets: the nearest one by torch's "nearest-exact", which is
 * the second, not the first, for latent frame 0 of a clip. */
int64_t vace_source_frame(int64_t latent, int64_t T, int64_t L);
/* video [n,3] in -1..1 and mask [n] of n pixels; the mask counts as 1 above a half. Either result
 * may be `video` itself. Unknown pixels become grey. */
void vace_inactive(float *out, const float *video, const float *mask, int64_t n);
void vace_reactive(float *out, const float *video, const float *mask, int64_t n);
/* out [n_references + L, h, w, vace_channels]. */
void vace_control(float *out, const struct vace_parts *p);

struct vace_picture {
    const uint8_t *rgb; /* [height,width,3] */
    int width, height;
};
/* A picture for reference as the VAE shall see it, in the middle of a white canvas [H,W,3] in
 * -1..1, bilinear. (diffusers squeezes it to multiples of 8 before, which is an accident and not
 * done here.) ERR_INPUT when nothing of it would be left. */
MUST_CHECK enum err vace_letterbox(float *canvas, int H, int W, const struct vace_picture *p,
                                   struct fail *f);

#endif
