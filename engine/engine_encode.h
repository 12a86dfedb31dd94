/* engine_encode.h - pixels from anywhere to latents in host memory; for the files engine*.c only.
 */
#ifndef ENGINE_ENGINE_ENCODE_H
#define ENGINE_ENGINE_ENCODE_H

#include "engine/engine_own.h"

/* Frames that are made up while they are read. */
struct engine_encode_in {
    int width, height; /* on the grid */
    int64_t L;         /* latent frames, those at the beginning that nobody wants included */
    int64_t n_skip;    /* latent frames that are encoded only to have been there */
    /* frame [height,width,3] in -1..1; index 0 .. factor_t (L-1). */
    void (*fill)(const void *ctx, float *frame, int index);
    const void *ctx;
};

/* out [L - n_skip, h, w, z], normalised. */
MUST_CHECK enum err engine_encode(struct engine *e, float *out, const struct engine_encode_in *in,
                                  struct fail *f);

/* A pixel of a byte picture of any size as it stands on a larger canvas: rows below and columns to
 * the right repeat the last one. frame [height,width,3]. */
void engine_encode_picture(float *frame, const uint8_t *rgb, const struct canvas *size, int width,
                           int height);

#endif
