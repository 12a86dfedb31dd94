#include "tests/lib/tensors.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/half.h"
#include "engine/rng.h"

enum { SEED = 7 };

static void *held[TENSORS_MAX];
static int n_held;
static uint64_t stream;

void *tensors_take(size_t bytes) {
    ASSERT(n_held < TENSORS_MAX);
    void *p = mem_take_aligned(bytes ? bytes : 4);
    ASSERT(p);
    return held[n_held++] = p;
}

void tensors_drop(void) {
    while (n_held > 0)
        mem_free_aligned(held[--n_held]);
}

float tensors_get(const struct tensor *t, int64_t i) {
    if (t->dtype == DTYPE_BF16) return half_bf16(((const uint16_t *)t->data)[i]);
    return ((const float *)t->data)[i];
}

struct tensor tensors_zero(enum dtype dtype, int n_dims, const int64_t *dims) {
    struct tensor t = tensor_of(NULL, dtype, n_dims, dims);
    t.data = tensors_take(tensor_bytes(&t));
    memset(t.data, 0, tensor_bytes(&t));
    return t;
}

struct tensor tensors_random(enum dtype dtype, int n_dims, const int64_t *dims, double scale) {
    struct tensor t = tensors_zero(dtype, n_dims, dims);
    int64_t n = tensor_count(&t);
    float *v = mem_take((size_t)(n ? n : 1), sizeof *v);
    ASSERT(v);
    rng_normal_fill(SEED, ++stream, 0, v, n);
    for (int64_t i = 0; i < n; i++) {
        v[i] *= (float)scale;
        if (dtype == DTYPE_BF16)
            ((uint16_t *)t.data)[i] = half_to_bf16(v[i]);
        else
            ((float *)t.data)[i] = v[i];
    }
    mem_free(v);
    return t;
}

struct tensor tensors_packed(struct device *dev, const struct tensor *w, enum dtype dtype) {
    struct tensor p = tensor_of(NULL, dtype, w->n_dims, w->dim);
    int64_t K = tensor_count(w) / w->dim[0];
    p.data = tensors_take(op_packed(dev, &p));
    for (int64_t first = 0; first < w->dim[0]; first += OP_PACK_ROWS) {
        int64_t n = w->dim[0] - first < OP_PACK_ROWS ? w->dim[0] - first : OP_PACK_ROWS;
        op_pack(dev, &p, (const float *)w->data + first * K, first, n);
    }
    return p;
}
