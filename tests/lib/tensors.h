/* tensors.h - tensors in host memory for tests of operations: taken one by one, dropped together.
 *
 * Real tensors are f32 or bf16. Random ones come from one stream of one seed, so a run repeats. */
#ifndef TESTS_TENSORS_H
#define TESTS_TENSORS_H

#include "engine/op.h"

enum { TENSORS_MAX = 24 };

/* 64-byte aligned, at least 4 bytes; the test stops when there is no memory. */
void *tensors_take(size_t bytes);
/* Frees all that was taken since the last drop. */
void tensors_drop(void);
/* Element i as f32. */
float tensors_get(const struct tensor *t, int64_t i);
struct tensor tensors_zero(enum dtype dtype, int n_dims, const int64_t *dims);
/* Normal numbers of standard deviation `scale`. */
struct tensor tensors_random(enum dtype dtype, int n_dims, const int64_t *dims, double scale);
/* The weight w, f32 rows, as the device keeps it, in the pieces that the loader gives; dtype as a
 * hint to op_packed(): DTYPE_I8 asks for int8. */
struct tensor tensors_packed(struct device *dev, const struct tensor *w, enum dtype dtype);

#endif
