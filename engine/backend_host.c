#include "engine/backend_host.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"

void *backend_host_alloc(struct device *dev, size_t bytes) {
    (void)dev;
    return mem_take_raw(bytes);
}

void backend_host_release(struct device *dev, void *p) {
    (void)dev;
    mem_free_aligned(p);
}

void backend_host_move(struct device *dev, void *to, const void *from, size_t bytes) {
    (void)dev;
    if (bytes) memmove(to, from, bytes);
}

void backend_host_fill(struct device *dev, struct tensor *out, float value) {
    (void)dev;
    for (int64_t i = 0, n = tensor_count(out); i < n; i++)
        backend_host_set(out, i, value);
}

void backend_host_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x) {
    (void)dev;
    uint8_t *po = out->data;
    for (int64_t i = 0, n = tensor_count(x); i < n; i++) {
        double v = (double)backend_host_get(x, i);
        v = v < -1 ? -1 : v > 1 ? 1 : v;
        po[i] = v == v ? (uint8_t)lrint((v + 1) * 127.5) : 0;
    }
}
