/* tensor.h - a shape, a type and an address in the memory of some device. Owns nothing.
 *
 * Tensors are dense and row-major, slowest dimension first. A run of rows is again a tensor
 * (tensor_rows); columns never are. Whether `data` may be read by host code is decided by the
 * device it came from, so models do not read it: they call op_*(). */
#ifndef ENGINE_TENSOR_H
#define ENGINE_TENSOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dtype {
    DTYPE_F32,
    DTYPE_BF16,
    DTYPE_F16,
    DTYPE_I32,
    DTYPE_U8,
    DTYPE_I8,
    DTYPE_F8_E4M3, /* of files only: no op reads it */
    DTYPE_F8_E5M2, /* of files only */
    DTYPE_I64,     /* of files only: bookkeeping of old exporters */
    DTYPE_COUNT
};

/* LAYOUT_PACKED: in the order that the product kernels of one device read; op_pack() writes it and
 * only op_linear() and op_conv() of that device may read it. The dimensions stay the logical ones.
 */
enum layout { LAYOUT_ROWS, LAYOUT_PACKED };

enum { TENSOR_DIMS_MAX = 6, TENSOR_SHAPE_TEXT_MAX = 128 };

struct tensor {
    void *data; /* NULL means "no tensor" */
    enum dtype dtype;
    enum layout layout;
    int n_dims;
    int64_t dim[TENSOR_DIMS_MAX];
};

/* A tensor over memory of somebody else. `dims` has n_dims entries. */
struct tensor tensor_of(void *data, enum dtype dtype, int n_dims, const int64_t *dims);
struct tensor tensor_1d(float *data, int64_t n);
struct tensor tensor_2d(float *data, int64_t rows, int64_t cols);

/* Same memory, other shape; the counts must agree. */
struct tensor tensor_as_2d(const struct tensor *t, int64_t rows, int64_t cols);
/* Rows first .. first+n-1 of the slowest dimension. */
struct tensor tensor_rows(const struct tensor *t, int64_t first, int64_t n);

int64_t tensor_count(const struct tensor *t);
size_t tensor_bytes(const struct tensor *t);
/* Product of all dimensions but the last; the last one. */
int64_t tensor_n_rows(const struct tensor *t);
int64_t tensor_n_cols(const struct tensor *t);
int tensor_same_shape(const struct tensor *a, const struct tensor *b);

size_t tensor_dtype_bytes(enum dtype dtype);
const char *tensor_dtype_name(enum dtype dtype);
/* Writes "[2,3,4]"; returns `out`. */
char *tensor_shape_text(const struct tensor *t, char out[TENSOR_SHAPE_TEXT_MAX]);

#ifdef __cplusplus
}
#endif
#endif
