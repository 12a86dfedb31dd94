/* golden.h - fixtures that the Python classes made, and how far we are from them. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <stdint.h>

#include "engine/safetensors.h"

/* Distance of two arrays. */
struct golden_error {
    double max_abs;
    double rel_l2; /* |got - want| / |want| */
};

/* The values of a tensor of the open file, to be freed with mem_free(); *n gets their count. NULL,
 * counted as a failed check, when the file has no such tensor. */
float *golden_f32(const struct safetensors *file, const char *name, int64_t *n);
int32_t *golden_i32(const struct safetensors *file, const char *name, int64_t *n);
uint8_t *golden_u8(const struct safetensors *file, const char *name, int64_t *n);

struct golden_error golden_compare(const float *got, const float *want, int64_t n);
/* Prints one line of the parity table and counts a failed check when max_abs is over `tolerance`
 * or not a number. */
void golden_check(const char *what, const char *device, struct golden_error e, double tolerance);

#endif
