/* vae_run.h - walks the layers of one half of the VAE over one chunk of frames at a time.
 *
 * The convolutions are causal: a chunk needs nothing of the future, and of the past only the last
 * two input frames of each convolution, which are kept in caches between chunks. So a clip of any
 * length runs in the memory of one chunk, and the result is the same as in one piece.
 *
 * The first chunk is a single frame and differs in three places:
 *   - samplers in time pass it through; the upsampler does not even remember it, the downsampler
 *     remembers it as the left neighbour of the next chunk;
 *   - AvgDown puts one zero frame before it;  DupUp drops the first ft - 1 of its copies.
 * Caches start as zero frames, which is the padding of the whole-sequence form.
 *
 * Four work buffers go round: what was kept for a shortcut, the current x, and two temporaries. */
#ifndef ENGINE_VAE_RUN_H
#define ENGINE_VAE_RUN_H

#include "engine/vae_net.h"

enum { VAE_WORK_BUFFERS = 4 };

/* Shape of a chunk: frames, rows, columns, channels. */
struct vae_shape {
    int64_t T, H, W, C;
};

struct vae_run {
    const struct vae_net *net; /* borrowed */
    struct pool *pool;         /* scratch of attention; rewound after each use */
    struct tensor cache[VAE_SLOTS_MAX];
    struct tensor work[VAE_WORK_BUFFERS]; /* flat */
    unsigned busy;                        /* bit i: work[i] holds something */
    bool is_first;
};

/* Takes caches and work buffers from `pool`, sized for chunks of shape `in`, which is that of a
 * chunk after the first. *out gets the shape of what such a chunk becomes. */
MUST_CHECK enum err vae_run_make(struct vae_run *r, struct vae_shape *out,
                                 const struct vae_net *net, struct pool *pool,
                                 const struct vae_shape *in, struct fail *f);
/* Bytes that vae_run_make() takes. */
double vae_run_bytes(const struct vae_net *net, const struct vae_shape *in);
/* Runs the next chunk. `x` is the caller's; *out lives in a work buffer until the next call. */
MUST_CHECK enum err vae_run_chunk(struct vae_run *r, struct tensor *out, const struct tensor *x,
                                  struct fail *f);

#endif
