#include "engine/tensor.h"

#include <stdio.h>

#include "common/base/assert.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[DTYPE_COUNT] = {
    [DTYPE_F32] = {"F32", 4},         [DTYPE_BF16] = {"BF16", 2},       [DTYPE_F16] = {"F16", 2},
    [DTYPE_I32] = {"I32", 4},         [DTYPE_U8] = {"U8", 1},           [DTYPE_I8] = {"I8", 1},
    [DTYPE_F8_E4M3] = {"F8_E4M3", 1}, [DTYPE_F8_E5M2] = {"F8_E5M2", 1}, [DTYPE_I64] = {"I64", 8},
};

struct tensor tensor_of(void *data, enum dtype dtype, int n_dims, const int64_t *dims) {
    ASSERT(n_dims >= 0 && n_dims <= TENSOR_DIMS_MAX);
    struct tensor t = {.data = data, .dtype = dtype, .n_dims = n_dims};
    for (int i = 0; i < n_dims; i++)
        t.dim[i] = dims[i];
    return t;
}

struct tensor tensor_1d(float *data, int64_t n) {
    return tensor_of(data, DTYPE_F32, 1, &n);
}

struct tensor tensor_2d(float *data, int64_t rows, int64_t cols) {
    return tensor_of(data, DTYPE_F32, 2, (int64_t[]){rows, cols});
}

struct tensor tensor_as_2d(const struct tensor *t, int64_t rows, int64_t cols) {
    ASSERT(tensor_count(t) == rows * cols);
    return tensor_of(t->data, t->dtype, 2, (int64_t[]){rows, cols});
}

struct tensor tensor_rows(const struct tensor *t, int64_t first, int64_t n) {
    ASSERT(t->n_dims >= 1 && first >= 0 && n >= 0 && first + n <= t->dim[0]);
    struct tensor r = *t;
    int64_t row = 1;
    for (int i = 1; i < t->n_dims; i++)
        row *= t->dim[i];
    r.data = (char *)t->data + (size_t)(first * row) * dtypes[t->dtype].bytes;
    r.dim[0] = n;
    return r;
}

int64_t tensor_count(const struct tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= t->dim[i];
    return n;
}

size_t tensor_bytes(const struct tensor *t) {
    return (size_t)tensor_count(t) * dtypes[t->dtype].bytes;
}

int64_t tensor_n_cols(const struct tensor *t) {
    return t->n_dims > 0 ? t->dim[t->n_dims - 1] : 1;
}

int64_t tensor_n_rows(const struct tensor *t) {
    int64_t n = 1;
    for (int i = 0; i + 1 < t->n_dims; i++)
        n *= t->dim[i];
    return n;
}

int tensor_same_shape(const struct tensor *a, const struct tensor *b) {
    if (a->n_dims != b->n_dims) return 0;
    for (int i = 0; i < a->n_dims; i++)
        if (a->dim[i] != b->dim[i]) return 0;
    return 1;
}

size_t tensor_dtype_bytes(enum dtype dtype) {
    return dtypes[dtype].bytes;
}

const char *tensor_dtype_name(enum dtype dtype) {
    return dtypes[dtype].name;
}

char *tensor_shape_text(const struct tensor *t, char out[TENSOR_SHAPE_TEXT_MAX]) {
    int n = snprintf(out, TENSOR_SHAPE_TEXT_MAX, "[");
    for (int i = 0; i < t->n_dims; i++)
        n += snprintf(out + n, (size_t)(TENSOR_SHAPE_TEXT_MAX - n), i ? ",%lld" : "%lld",
                      (long long)t->dim[i]);
    snprintf(out + n, (size_t)(TENSOR_SHAPE_TEXT_MAX - n), "]");
    return out;
}
