/* vae_state.h - the past of a stream as bytes in host memory, so that another stream can go on
 * exactly where this one stopped: the caches of its convolutions and how far it came.
 *
 *   header   magic, direction, n_latents, number of caches
 *   cache    its type, shape and oldest frame, then its values as the device keeps them
 * Only for the same model, frame size and precision; anything else is refused in words. Thread:
 * that of the stream. */
#ifndef ENGINE_VAE_STATE_H
#define ENGINE_VAE_STATE_H

#include "engine/vae.h"

/* Bytes that vae_state_save() writes. */
size_t vae_state_bytes(const struct vae_stream *s);
/* `host` has room for vae_state_bytes(). */
void vae_state_save(const struct vae_stream *s, void *host);
/* The stream was made for chunks of the same frame size; what it did before is forgotten. ERR_INPUT
 * when the bytes are not the state of such a stream. */
MUST_CHECK enum err vae_state_restore(struct vae_stream *s, const void *host, size_t bytes,
                                      struct fail *f);

#endif
