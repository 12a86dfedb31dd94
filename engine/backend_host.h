/* backend_host.h - what every backend in host memory does the same way: memory and the
 * conversion of pixels. Rows of struct backend_ops; see op.h for shapes. */
#ifndef ENGINE_BACKEND_HOST_H
#define ENGINE_BACKEND_HOST_H

#include "engine/half.h"
#include "engine/op.h"

/* Element i of a tensor of f32, bf16 or f16. */
static inline float backend_host_get(const struct tensor *t, int64_t i) {
    if (t->dtype == DTYPE_BF16) return half_bf16(((const uint16_t *)t->data)[i]);
    if (t->dtype == DTYPE_F16) return half_f16(((const uint16_t *)t->data)[i]);
    return ((const float *)t->data)[i];
}

static inline void backend_host_set(const struct tensor *t, int64_t i, float v) {
    if (t->dtype == DTYPE_BF16)
        ((uint16_t *)t->data)[i] = half_to_bf16(v);
    else
        ((float *)t->data)[i] = v;
}

void *backend_host_alloc(struct device *dev, size_t bytes);
void backend_host_release(struct device *dev, void *p);
void backend_host_move(struct device *dev, void *to, const void *from, size_t bytes);
void backend_host_fill(struct device *dev, struct tensor *out, float value);
void backend_host_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x);

#endif
