/* engine_decode.h - a decoding that goes on from window to window; for the files engine*.c only. */
#ifndef ENGINE_ENGINE_DECODE_H
#define ENGINE_ENGINE_DECODE_H

#include "engine/engine_own.h"

/* One stream of latents to frames. Lives in the pool of the job until the caller rewinds it. */
struct engine_decode_stream {
    struct engine *engine;
    engine_frame_fn each;
    void *ctx;
    struct vae_stream vae;
    struct tensor latent, packed; /* device: one latent, its frames */
    uint8_t *rgb;                 /* its frames, host */
    int n_total;                  /* frames, for the progress; of this stream, or part of it */
    int n_done;
    int64_t started_ns;
};

/* h, w of the latents. The caller closes it in any case. */
MUST_CHECK enum err engine_decode_open(struct engine_decode_stream *d, struct engine *e, int64_t h,
                                       int64_t w, engine_frame_fn each, void *ctx, struct fail *f);
/* The next n latents [n,h,w,C], host memory. */
MUST_CHECK enum err engine_decode_more(struct engine_decode_stream *d, const float *latents,
                                       int64_t n, struct fail *f);
void engine_decode_close(struct engine_decode_stream *d);
/* Bytes of device memory that it takes. */
double engine_decode_bytes(const struct engine *e, int64_t h, int64_t w);

#endif
