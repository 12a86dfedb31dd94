/* dit_image.h - rows of an image encoder to rows that the blocks attend to (image_embedder of
 * Wan 2.1 I2V):
 *
 *   rows [+ positions] -> norm -> linear, GELU (erf) -> linear -> norm */
#ifndef ENGINE_DIT_IMAGE_H
#define ENGINE_DIT_IMAGE_H

#include "engine/dit_config.h"

struct dit_image_net {
    struct tensor norm_in, norm_in_b, up, up_b, down, down_b, norm_out, norm_out_b;
    struct tensor place; /* [Ni,dim], or no data */
};

MUST_CHECK enum err dit_image_bind(struct dit_image_net *n, struct weights *w,
                                   const struct dit_caps *caps, int64_t width, struct fail *f);
/* out [Ni,d] of device_activation(); rows f32 [Ni,dim]. ERR_INPUT when the model has positions for
 * another number of rows. */
MUST_CHECK enum err dit_image_embed(const struct dit_image_net *n, struct device *dev,
                                    struct tensor *out, const struct tensor *rows,
                                    struct pool *step, struct fail *f);

#endif
