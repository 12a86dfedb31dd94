/* preview.h - what a latent roughly looks like: one pixel for each of its places, a linear map of
 * its channels. Costs nothing, so it can follow the denoising.
 *
 * The map is fitted once per VAE by train/fit_preview.py and lies beside it, vae/preview.json:
 *   {"red": [z numbers], "green": [...], "blue": [...], "bias": [3]}     colours in -1..1
 * A folder without the file has no preview. Pure: host memory, any thread. */
#ifndef ENGINE_PREVIEW_H
#define ENGINE_PREVIEW_H

#include "engine/json.h"

struct preview {
    struct json_reals colour[3]; /* red, green, blue; an entry for each channel of a latent */
    struct json_reals bias;
};

/* `folder` is that of the VAE. ERR_NOT_FOUND without the file, ERR_CORRUPT when it is not for
 * z_dim channels. */
MUST_CHECK enum err preview_read(struct preview *out, const char *folder, int z_dim,
                                 struct fail *f);
/* latent [n,z] normalised, as the transformer makes it -> rgb [n,3]. */
void preview_make(const struct preview *p, uint8_t *rgb, const float *latent, int64_t n);

#endif
