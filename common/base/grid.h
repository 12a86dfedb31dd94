/* grid.h - the arithmetic between pixels and latents. Pure numbers, no memory.
 *
 * A causal video VAE turns 1 + factor_t * n frames into 1 + n latent frames and cells of
 * factor_s x factor_s pixels into one latent column; the transformer groups patch x patch columns
 * into a token. Server, worker and engine share these rules so that they agree on what is legal. */
#ifndef BASE_GRID_H
#define BASE_GRID_H

#include <stdbool.h>
#include <stdint.h>

struct grid {
    int factor_s; /* pixels per latent column, 8 or 16 */
    int factor_t; /* frames per latent after the first, 4 */
    int patch;    /* latent columns per token side, 1 or 2 */
};

struct canvas {
    int n_frames, width, height; /* pixels */
};

/* Pixels that every side must be a multiple of: factor_s * patch. */
int grid_multiple(const struct grid *g);
bool grid_is_legal(const struct grid *g, const struct canvas *c);
/* Latent frames of n_frames pixel frames; n_frames must be 1 + factor_t * k. */
int grid_latent_frames(const struct grid *g, int n_frames);
int grid_pixel_frames(const struct grid *g, int n_latents);
/* The smallest legal frame count that is at least n_frames. */
int grid_round_frames(const struct grid *g, int n_frames);
int64_t grid_tokens(const struct grid *g, const struct canvas *c);

#endif
