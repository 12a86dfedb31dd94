/* vae.h - pixels to latents and back: AutoencoderKLWan, 2.1 and 2.2 style, frame by frame.
 *
 * At the door volumes are channels-last f32 in device memory: pixels [T,H,W,3] in -1..1, latents
 * [L,h,w,z] normalised as the transformer wants them. The first latent stands for one frame, each
 * further one for factor_t frames. Both directions stream: one latent frame at a time, with the
 * past in caches, so memory does not grow with the length of the clip, and the result is the same
 * as if the whole clip went through at once.
 *
 * One stream is one clip in one direction. A vae may carry several streams, one after another;
 * all on the thread of its device. */
#ifndef ENGINE_VAE_H
#define ENGINE_VAE_H

#include "engine/vae_net.h"
#include "engine/vae_run.h"

struct vae {
    struct vae_config config;
    struct device *dev;
    struct pool *pool; /* of the weights, borrowed */
    char *folder;
    bool has_encoder; /* its weights are loaded */
    struct vae_net encoder, decoder;
    struct tensor quant, quant_b; /* first z rows: the mean; the rest, the log variance, unused */
    struct tensor post, post_b;
    struct tensor std, mean;         /* latent = normalised * std + mean */
    struct tensor inv_std, neg_mean; /* normalised = latent * inv_std + neg_mean */
    struct weights weights;
};

enum vae_direction { VAE_ENCODE, VAE_DECODE };

struct vae_stream {
    struct vae *vae; /* borrowed */
    enum vae_direction direction;
    struct vae_run run;
    struct tensor in[2];  /* what the layers read: decode: latents before and after post_quant;
                             encode: pixels after patchify, where there are patches */
    struct tensor head;   /* what they made; not of a decoder without patches */
    struct tensor result; /* frames [T,H,W,3] or latents [n,h,w,z] of the biggest chunk */
    int64_t n_latents;    /* done so far */
};

/* Reads `folder`/config.json and the weights of the decoder, which go to `pool`; those of the
 * encoder are checked now and loaded by the first stream that encodes. The caller owns *out:
 * vae_close(). A folder that does not fit fails with file, tensor and both shapes. */
MUST_CHECK enum err vae_open(struct vae **out, struct device *dev, struct pool *pool,
                             const char *folder, struct fail *f);
void vae_close(struct vae *v); /* NULL is allowed; the weights stay with their pool */

/* Caches and buffers come from `pool` and live as long as the caller keeps them there. `latent`:
 * the shape of the biggest chunk; T = 1 needs the least memory, more is for tests and GPUs. C is
 * not read. */
MUST_CHECK enum err vae_stream_make(struct vae_stream *s, struct vae *v,
                                    enum vae_direction direction, const struct vae_shape *latent,
                                    struct pool *pool, struct fail *f);
/* Forgets what it did: the next call is the first one of a clip. */
void vae_stream_restart(struct vae_stream *s);
/* Bytes of device memory that such a stream takes. */
double vae_stream_bytes(const struct vae *v, enum vae_direction direction,
                        const struct vae_shape *latent);
/* latent [n,h,w,z], n = 1 in the first call and at most T later -> *frames [..,H,W,3], not
 * clamped; valid until the next call. */
MUST_CHECK enum err vae_stream_decode(struct vae_stream *s, struct tensor *frames,
                                      const struct tensor *latent, struct fail *f);
/* pixels [1,H,W,3] at first, then [n * factor_t,H,W,3] -> *latent [n,h,w,z]; valid until the next
 * call. */
MUST_CHECK enum err vae_stream_encode(struct vae_stream *s, struct tensor *latent,
                                      const struct tensor *pixels, struct fail *f);
/* Frames that belong to the next n latents. */
int64_t vae_stream_frames(const struct vae_stream *s, int64_t n);

/* Called with [T,H,W,3] for each latent in order; `first` counts frames. Anything but ERR_OK stops
 * the decoding and is handed on. */
typedef enum err (*vae_frames_fn)(void *ctx, const struct tensor *frames, int64_t first,
                                  struct fail *f);
/* The whole clip through one stream; latent [L,h,w,z]. `pool` is back where it was afterwards. */
MUST_CHECK enum err vae_decode(struct vae *v, const struct tensor *latent, struct pool *pool,
                               vae_frames_fn each, void *ctx, struct fail *f);
/* Writes frames first .. first + T - 1 of the clip to pixels [T,H,W,3], device memory, -1..1. */
typedef enum err (*vae_pixels_fn)(void *ctx, struct tensor *pixels, int64_t first, struct fail *f);
/* The other way: latent [L,h,w,z] is the caller's; `fill` gives 1 + factor_t (L-1) frames, in
 * order, as many at a time as a latent stands for. */
MUST_CHECK enum err vae_encode(struct vae *v, struct tensor *latent, struct pool *pool,
                               vae_pixels_fn fill, void *ctx, struct fail *f);

#endif
