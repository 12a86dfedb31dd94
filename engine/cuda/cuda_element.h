/* cuda_element.h - ops that look at one element at a time. Rows of struct backend_ops. */
#ifndef ENGINE_CUDA_CUDA_ELEMENT_H
#define ENGINE_CUDA_CUDA_ELEMENT_H

#include "engine/op.h"

void cuda_element_fill(struct device *dev, struct tensor *out, float value);
void cuda_element_act(struct device *dev, struct tensor *out, const struct tensor *x, enum act act);
void cuda_element_add_scaled(struct device *dev, struct tensor *out, const struct tensor *a,
                             const struct tensor *b, float s);
void cuda_element_mul(struct device *dev, struct tensor *out, const struct tensor *a,
                      const struct tensor *b);
void cuda_element_affine(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct tensor *scale, const struct tensor *shift);
void cuda_element_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x);

#endif
