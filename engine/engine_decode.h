/* engine_decode.h - a decoding that goes on from window to window; for the files engine*.c only. */
#ifndef ENGINE_ENGINE_DECODE_H
#define ENGINE_ENGINE_DECODE_H

#include "engine/engine_own.h"
#include "engine/vae_tile.h"

/* One stream of latents to frames. Lives in the pool of the job until the caller rewinds it. */
struct engine_decode_stream {
    struct engine *engine;
    engine_frame_fn each;
    void *ctx;
    struct taehv_stream taehv;    /* by the tiny decoder that the caller asked for, or */
    struct vae_stream vae;        /* of whole frames, or */
    struct vae_tile *tiles;       /* of frames in tiles, when whole ones take too much memory */
    struct tensor latent, packed; /* device: one latent, its frames */
    uint8_t *rgb;                 /* its frames, host */
    int n_total;                  /* frames, for the progress; of this stream, or part of it */
    int n_done;
    int64_t started_ns;
};

/* dims [L,h,w,C] of all the latents to come. The caller closes it in any case. */
MUST_CHECK enum err engine_decode_open(struct engine_decode_stream *d, struct engine *e,
                                       const int64_t dims[4], engine_frame_fn each, void *ctx,
                                       struct fail *f);
/* The next n latents [n,h,w,C], host memory. */
MUST_CHECK enum err engine_decode_more(struct engine_decode_stream *d, const float *latents,
                                       int64_t n, struct fail *f);
void engine_decode_close(struct engine_decode_stream *d);
/* Bytes of memory that it takes. */
double engine_decode_bytes(const struct engine *e, const int64_t dims[4]);
/* Whether frames go through the VAE in tiles: when a stream of whole ones would take more than half
 * the memory of a job, and tiles take less and fit. */
bool engine_decode_is_tiled(const struct engine *e, enum vae_direction direction,
                            const int64_t dims[4]);

#endif
