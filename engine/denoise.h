/* denoise.h - the loop: schedule, transformer, guidance and sampler over a canvas of latents.
 *
 * A canvas longer than the window of the model is made piece by piece: the last frames of one
 * window are the known first frames of the next. Noise belongs to latent places of the canvas,
 * not to windows. Host memory at the door, device memory inside. */
#ifndef ENGINE_DENOISE_H
#define ENGINE_DENOISE_H

#include "engine/dit.h"
#include "engine/sampler.h"

struct denoise_canvas {
    int64_t L, h, w, C;
    const float *known; /* [L,h,w,C], or NULL */
    const float *level; /* [L,h,w], or NULL when all is free */
};

struct denoise_opts {
    struct schedule schedule;
    enum sampler_kind kind;
    double guidance; /* at most 1: the negative text is not used */
    uint64_t seed;
    const float *noise;      /* [L,h,w,C] instead of the seed's, or NULL: for golden tests */
    int64_t window, overlap; /* latent frames; window 0 = all at once */
    /* After each step; anything but ERR_OK stops the run. May be NULL. */
    enum err (*on_step)(void *ctx, int done, int total, struct fail *f);
    void *ctx;
};

struct denoise_text {
    const struct dit_text *words, *negative; /* negative may be NULL without guidance */
};

/* out [L,h,w,C]. `pool` gives the buffers of a window, `step` the scratch of a forward pass; both
 * are back where they were afterwards. */
MUST_CHECK enum err denoise_run(struct dit *d, float *out, const struct denoise_canvas *canvas,
                                const struct denoise_text *text, const struct denoise_opts *o,
                                struct pool *pool, struct pool *step, struct fail *f);
/* Forward passes of the transformer that a run takes: for progress and cost. */
int denoise_n_steps(const struct denoise_canvas *canvas, const struct denoise_opts *o);

#endif
