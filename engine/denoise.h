/* denoise.h - the loop: schedule, velocity and sampler over one canvas of latents.
 *
 * Host memory. On the thread of the device. */
#ifndef ENGINE_DENOISE_H
#define ENGINE_DENOISE_H

#include "engine/flow.h"
#include "engine/sampler.h"

struct denoise_canvas {
    const float *known; /* [L,h,w,C], or NULL */
    const float *level; /* [L,h,w], or NULL when all is free */
    /* Place of latent frame 0 in the clip that the canvas is a window of: noise belongs to places
     * of the clip. */
    int64_t first;
    int64_t n_front; /* of the L frames: pictures for reference, before the first place */
    enum sampler_wait wait;
    bool is_ring; /* the last latent frame is followed by the first */
};

struct denoise_opts {
    struct schedule schedule;
    enum sampler_kind kind;
    uint64_t seed;
    const float *noise; /* [L,h,w,C] instead of the seed's, or NULL: for golden tests */
    /* After each step; x0 [L,h,w,C] is what the model expects to come out. Anything but ERR_OK
     * stops the run. May be NULL. */
    enum err (*on_step)(void *ctx, int done, int total, const float *x0, struct fail *f);
    void *ctx;
};

/* out [L,h,w,C]. `pool` gives the buffers of the run, `step` the scratch of a forward pass; both
 * are back where they were afterwards. ERR_INPUT when the canvas does not fit the transformer,
 * ERR_CORRUPT when the model gives infinite numbers. */
MUST_CHECK enum err denoise_run(float *out, const struct flow_in *in,
                                const struct denoise_canvas *canvas, const struct denoise_opts *o,
                                struct pool *pool, struct pool *step, struct fail *f);

#endif
