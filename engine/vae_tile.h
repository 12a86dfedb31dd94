/* vae_tile.h - big frames through the VAE in overlapping tiles, for when a stream of whole frames
 * would not fit the memory.
 *
 * Tiles have all the same size and lie evenly, so that none is a sliver; where they overlap, one
 * goes over into the next linearly. The attention in the middle of the VAE sees one tile only, so
 * the result differs a little from that of whole frames. In time nothing is cut: a tile runs a
 * segment of the clip and its past is carried to the next segment (vae_state), in host memory.
 * Memory: the stream of one tile on the device; on the host the frames of a segment and, for
 * clips of more than one segment, the past of every tile. */
#ifndef ENGINE_VAE_TILE_H
#define ENGINE_VAE_TILE_H

#include "engine/vae.h"

struct vae_tile_opts {
    int64_t tile, stride; /* sides of a tile and the greatest step between tiles, in latents */
    int64_t segment;      /* latents that a tile runs before the next one begins */
    /* Asked before every latent of every tile; anything but ERR_OK ends the call. Or NULL. */
    enum err (*go_on)(void *ctx, struct fail *f);
    void *ctx;
};

struct vae_tile; /* one clip in one direction, like a stream */

/* As diffusers: 256 and 192 pixels. Segments of 9 latents. */
struct vae_tile_opts vae_tile_default(const struct vae *v);
/* Bytes that are taken in all, device and host, for a clip of shape `latent`. Its T is that of all
 * the clip. */
double vae_tile_bytes(const struct vae *v, enum vae_direction direction,
                      const struct vae_tile_opts *o, const struct vae_shape *latent);
/* Device memory comes from `pool` and lives as long as the caller keeps it there. The caller owns
 * *out: vae_tile_close(). */
MUST_CHECK enum err vae_tile_open(struct vae_tile **out, struct vae *v,
                                  enum vae_direction direction, const struct vae_tile_opts *o,
                                  const struct vae_shape *latent, struct pool *pool,
                                  struct fail *f);
void vae_tile_close(struct vae_tile *t); /* NULL is allowed */
/* The next latents of the clip [n,h,w,z], any number; `each` gets their frames, those of one
 * latent at a time, with the number of the first in the clip. */
MUST_CHECK enum err vae_tile_decode(struct vae_tile *t, const struct tensor *latent,
                                    vae_frames_fn each, void *ctx, struct fail *f);
/* Fills the next latents [n,h,w,z]; `fill` is asked for their frames, in order. */
MUST_CHECK enum err vae_tile_encode(struct vae_tile *t, struct tensor *latent, vae_pixels_fn fill,
                                    void *ctx, struct fail *f);

#endif
