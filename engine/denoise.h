/* denoise.h - the loop: schedule, transformer, guidance and sampler over one canvas of latents.
 *
 * Host memory at the door, device memory inside. On the thread of the device. */
#ifndef ENGINE_DENOISE_H
#define ENGINE_DENOISE_H

#include "engine/dit.h"
#include "engine/sampler.h"

struct denoise_canvas {
    int64_t L, h, w, C;
    const float *known; /* [L,h,w,C], or NULL */
    const float *level; /* [L,h,w], or NULL when all is free */
    /* Place of latent frame 0 in the clip that the canvas is a window of: noise belongs to places
     * of the clip. */
    int64_t first;
};

struct denoise_opts {
    struct schedule schedule;
    enum sampler_kind kind;
    double guidance; /* at most 1: the negative text is not used */
    uint64_t seed;
    const float *noise; /* [L,h,w,C] instead of the seed's, or NULL: for golden tests */
    /* After each step; anything but ERR_OK stops the run. May be NULL. */
    enum err (*on_step)(void *ctx, int done, int total, struct fail *f);
    void *ctx;
};

struct denoise_text {
    const struct dit_text *words, *negative; /* negative may be NULL without guidance */
};

/* out [L,h,w,C]. `pool` gives the buffers of the run, `step` the scratch of a forward pass; both
 * are back where they were afterwards. ERR_INPUT when the canvas does not fit the transformer,
 * ERR_CORRUPT when the model gives infinite numbers. */
MUST_CHECK enum err denoise_run(struct dit *d, float *out, const struct denoise_canvas *canvas,
                                const struct denoise_text *text, const struct denoise_opts *o,
                                struct pool *pool, struct pool *step, struct fail *f);
/* Bytes of device memory that a run of this canvas takes from both pools, near enough to refuse
 * one that is far too large. */
double denoise_bytes(const struct dit *d, const struct denoise_canvas *canvas);

#endif
