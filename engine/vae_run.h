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
 * Volumes between the layers are of the type of activations, what comes in and goes out is f32. As
 * few frames as possible go through a layer together: where time has doubled, and in an encoder
 * before it is halved, each frame is taken on its own as far as it goes (is_split, n_singles), so
 * that work buffers hold a frame or two and stay in the caches of the processor. */
#ifndef ENGINE_VAE_RUN_H
#define ENGINE_VAE_RUN_H

#include "engine/vae_net.h"

enum { VAE_WORK_MAX = 12 };

/* Shape of a chunk: frames, rows, columns, channels. */
struct vae_shape {
    int64_t T, H, W, C;
};

struct vae_run {
    const struct vae_net *net; /* borrowed */
    struct pool *pool;         /* scratch of attention; rewound after each use */
    struct tensor cache[VAE_SLOTS_MAX];
    int oldest[VAE_SLOTS_MAX];        /* caches are rings */
    struct tensor work[VAE_WORK_MAX]; /* flat */
    int n_work;
    unsigned busy;     /* bit i: work[i] holds something */
    struct tensor out; /* of the chunk that runs, and the frames of it that are done */
    int64_t n_out;
    bool is_first;
};

/* Takes caches and work buffers from `pool`, sized for chunks of shape `in`, which is that of a
 * chunk after the first. *out gets the shape of what such a chunk becomes. */
MUST_CHECK enum err vae_run_make(struct vae_run *r, struct vae_shape *out,
                                 const struct vae_net *net, struct pool *pool,
                                 const struct vae_shape *in, struct fail *f);
/* As if it was just made. */
void vae_run_restart(struct vae_run *r);
/* Bytes that vae_run_make() takes, and a pass besides. */
double vae_run_bytes(const struct vae_net *net, const struct device *dev,
                     const struct vae_shape *in);
/* Runs the next chunk. `x` [T,H,W,C] and `out`, f32, are the caller's. */
MUST_CHECK enum err vae_run_chunk(struct vae_run *r, struct tensor *out, const struct tensor *x,
                                  struct fail *f);

#endif
