/* backend_host.h - what every backend in host memory does the same way: memory and the
 * conversion of pixels. Rows of struct backend_ops; see op.h for shapes. */
#ifndef ENGINE_BACKEND_HOST_H
#define ENGINE_BACKEND_HOST_H

#include "engine/op.h"

void *backend_host_alloc(struct device *dev, size_t bytes);
void backend_host_release(struct device *dev, void *p);
void backend_host_move(struct device *dev, void *to, const void *from, size_t bytes);
void backend_host_fill(struct device *dev, struct tensor *out, float value);
void backend_host_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x);

#endif
