#include "engine/backend_host.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "engine/half.h"
#include "engine/rng.h"

void *backend_host_alloc(struct device *dev, size_t bytes) {
    (void)dev;
    return mem_take_aligned(bytes);
}

void backend_host_release(struct device *dev, void *p) {
    (void)dev;
    mem_free_aligned(p);
}

void backend_host_move(struct device *dev, void *to, const void *from, size_t bytes) {
    (void)dev;
    if (bytes) memmove(to, from, bytes);
}

enum err backend_host_sync(struct device *dev, struct fail *f) {
    (void)dev, (void)f;
    return ERR_OK;
}

void backend_host_fill(struct device *dev, struct tensor *out, float value) {
    (void)dev;
    float *o = out->data;
    for (int64_t i = 0, n = tensor_count(out); i < n; i++)
        o[i] = value;
}

/* Element i of a tensor of any float type; the address may be unaligned (mapped files). */
static float value_at(const void *data, enum dtype dtype, int64_t i) {
    uint16_t h;
    float v;
    const char *at = (const char *)data + (size_t)i * tensor_dtype_bytes(dtype);
    if (dtype == DTYPE_F32) {
        memcpy(&v, at, sizeof v);
        return v;
    }
    memcpy(&h, at, sizeof h);
    return dtype == DTYPE_BF16 ? half_bf16(h) : half_f16(h);
}

void backend_host_cast(struct device *dev, struct tensor *out, const struct tensor *x) {
    (void)dev;
    float *o = out->data;
    for (int64_t i = 0, n = tensor_count(out); i < n; i++)
        o[i] = value_at(x->data, x->dtype, i);
}

void backend_host_embed(struct device *dev, struct tensor *out, const struct tensor *table,
                        const struct tensor *ids) {
    (void)dev;
    int64_t N = tensor_count(ids), C = tensor_n_cols(out);
    const int32_t *id = ids->data;
    float *po = out->data;
    for (int64_t i = 0; i < N; i++)
        for (int64_t c = 0; c < C; c++)
            po[i * C + c] = value_at(table->data, table->dtype, id[i] * C + c);
}

void backend_host_noise(struct device *dev, struct tensor *out, const struct noise_key *key,
                        uint64_t first) {
    (void)dev;
    rng_normal_fill(key->seed, key->stream, first, out->data, tensor_count(out));
}

void backend_host_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x) {
    (void)dev;
    const float *px = x->data;
    uint8_t *po = out->data;
    for (int64_t i = 0, n = tensor_count(x); i < n; i++) {
        double v = px[i] < -1.0f ? -1 : px[i] > 1.0f ? 1 : (double)px[i];
        po[i] = v == v ? (uint8_t)lrint((v + 1) * 127.5) : 0;
    }
}
