/* vision.h - CLIPVisionModel: a picture to rows that Wan 2.1 I2V attends to (ViT-H/14, the
 * penultimate hidden layer, 257 rows of 1280). Folder image_encoder/ in the layout of transformers.
 *
 *   x = norm([class, patches] + positions)
 *   x += out(attention(norm x));  x += fc2(gelu(fc1(norm x)))     all layers but the last
 *
 * On the thread of its device. */
#ifndef ENGINE_VISION_H
#define ENGINE_VISION_H

#include <stdint.h>

#include "engine/json.h"
#include "engine/weights.h"

enum { VISION_LAYERS_MAX = 64 };

struct vision_config {
    int width, inner, n_layers, n_heads, image_px, patch_px, n_channels;
    double eps;
    char act[JSON_TEXT_MAX];
};

struct vision_layer {
    struct tensor norm_1, norm_1b, norm_2, norm_2b;
    struct tensor q, q_b, k, k_b, v, v_b, out, out_b, up, up_b, down, down_b;
};

struct vision {
    struct vision_config config;
    struct device *dev;
    struct tensor class_row, place, patch, norm, norm_b;
    struct vision_layer layer[VISION_LAYERS_MAX];
};

/* Weights go to `pool`. The caller owns *out: vision_close(). */
MUST_CHECK enum err vision_open(struct vision **out, struct device *dev, struct pool *pool,
                                const char *folder, struct fail *f);
void vision_close(struct vision *c);           /* NULL is fine; the weights stay with their pool */
int64_t vision_n_rows(const struct vision *c); /* patches and the class */

/* A picture of bytes [height,width,3] as the model wants it: the shorter side resized (bicubic),
 * the middle cut out, normalised. pixels f32 host [S,S,3], S = image_px. */
MUST_CHECK enum err vision_prepare(const struct vision *c, float *pixels, const uint8_t *rgb,
                                   int width, int height, struct fail *f);
/* out f32 [vision_n_rows, width]. */
MUST_CHECK enum err vision_encode(struct vision *c, struct tensor *out, const float *pixels,
                                  struct pool *step, struct fail *f);

#endif
