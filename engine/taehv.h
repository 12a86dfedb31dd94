/* taehv.h - a tiny autoencoder of frames (TAEHV: taew2_1, taew2_2, taew2_2_super) for previews and
 * for decoding where the time of the big VAE is too long: about a hundredth of its work, and of its
 * fidelity a preview.
 *
 * Volumes as in vae.h: pixels [T,H,W,3] in -1..1, latents [L,h,w,z] normalised as the transformer
 * wants them. Decoding is aligned with the big VAE: the first latent gives one frame, each further
 * one four. Encoding is not: every latent stands for four frames, so the latents of an encoding
 * are no condition for a transformer. Both stream; one stream is one clip in one direction, on the
 * thread of its device. */
#ifndef ENGINE_TAEHV_H
#define ENGINE_TAEHV_H

#include "engine/taehv_net.h"
#include "engine/vae.h"

enum { TAEHV_WORK_MAX = 8 };

struct taehv {
    struct device *dev;
    struct taehv_shape shape;
    int factor_s; /* pixels per latent column */
    struct taehv_net encoder, decoder;
    struct tensor half; /* [3] of 0.5: pixels -1..1 to 0..1 */
    struct weights weights;
};

struct taehv_stream {
    struct taehv *taehv; /* borrowed */
    enum vae_direction direction;
    struct tensor past[TAEHV_STAGES * TAEHV_BLOCKS]; /* the frame before, in every block */
    struct tensor work[TAEHV_WORK_MAX];              /* flat */
    unsigned busy;                                   /* bit i: work[i] holds something */
    struct tensor in, head, result; /* what the layers read and make; frames or a latent */
    int64_t n_out, n_latents;
};

/* The file `path`/diffusion_pytorch_model.safetensors, or the only one there; weights go to `pool`.
 * ERR_CORRUPT naming a tensor and both shapes when it does not fit. The caller owns *out. */
MUST_CHECK enum err taehv_open(struct taehv **out, struct device *dev, struct pool *pool,
                               const char *path, struct fail *f);
void taehv_close(struct taehv *t); /* NULL is allowed; the weights stay with their pool */

/* Memory comes from `pool`. `latent`: rows and columns of latents; T and C are not read. */
MUST_CHECK enum err taehv_stream_make(struct taehv_stream *s, struct taehv *t,
                                      enum vae_direction direction, const struct vae_shape *latent,
                                      struct pool *pool, struct fail *f);
/* Bytes of device memory that it takes. */
double taehv_stream_bytes(const struct taehv *t, enum vae_direction direction,
                          const struct vae_shape *latent);
/* latent [1,h,w,z] -> *frames [1 or 4,H,W,3], not clamped; valid until the next call. */
MUST_CHECK enum err taehv_stream_decode(struct taehv_stream *s, struct tensor *frames,
                                        const struct tensor *latent, struct fail *f);
/* pixels [4,H,W,3] -> *latent [1,h,w,z]; valid until the next call. */
MUST_CHECK enum err taehv_stream_encode(struct taehv_stream *s, struct tensor *latent,
                                        const struct tensor *pixels, struct fail *f);

#endif
