/* device.h - one piece of hardware and the table of functions that drives it.
 *
 * Owns the state of the backend, never tensors. One thread per device. */
#ifndef ENGINE_DEVICE_H
#define ENGINE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

struct backend_ops; /* op.h */

/* Where the time went. */
enum device_op {
    DEVICE_OP_LINEAR,
    DEVICE_OP_ATTENTION,
    DEVICE_OP_NORM,
    DEVICE_OP_MODULATE,
    DEVICE_OP_ROPE,
    DEVICE_OP_ELEMENT,
    DEVICE_OP_CONV,
    DEVICE_OP_VOLUME,
    DEVICE_OP_COUNT
};

struct device_spent {
    int64_t ns;
};

/* In what numbers the big products are computed. Sums are always f32 or better. */
enum precision {
    PRECISION_AUTO, /* bf16 where the processor multiplies it in hardware, else f32 */
    PRECISION_F32,
    PRECISION_BF16,
    PRECISION_INT8, /* weights i8 per row, activations i8 per token, in the transformer's linears;
                       the rest bf16 */
    PRECISION_COUNT
};

struct device_opts {
    int n_threads; /* of cpu; 0 means all cores */
    enum precision precision;
    const char
        *isa;  /* "base", "avx2", "avx512", "avx512bf16" as the most that may be used; NULL: all */
    int index; /* of cuda; "cuda:N" sets it */
};

struct device {
    const struct backend_ops *ops;
    void *self;               /* the backend's own state */
    enum precision precision; /* decided, never AUTO */
    int64_t n_allocs;         /* device allocations so far; a test watches it */
    struct device_spent spent[DEVICE_OP_COUNT];
    void (*say)(void *ctx, const char *event, const char *text); /* log of the owner, or NULL */
    void *say_ctx;
};

/* `name` is "cpu", "ref", "cuda" or "cuda:N". ERR_UNSUPPORTED, in words, for a precision that the
 * device cannot do; ERR_UNAVAILABLE where there is no CUDA. */
MUST_CHECK enum err device_open(struct device *dev, const char *name,
                                const struct device_opts *opts, struct fail *f);
/* What models take for activations between products: DTYPE_BF16 or DTYPE_F32. */
enum dtype device_activation(const struct device *dev);
/* "auto", "f32", "bf16", "int8". */
const char *device_precision_name(enum precision p);
MUST_CHECK enum err device_precision_parse(enum precision *out, const char *name, struct fail *f);
void device_close(struct device *dev); /* safe on a zeroed device */
/* One line about the hardware that is used: BLAS kernel, threads, instruction sets. */
void device_report(struct device *dev, char *out, size_t size);
/* Host code may read and write the tensors of this device. */
bool device_is_host(const struct device *dev);
/* Of a clock that never goes back. */
int64_t device_now_ns(void);
/* Books the time since start_ns (device_now_ns) on an op. */
void device_spend(struct device *dev, enum device_op op, int64_t start_ns);
const char *device_op_name(enum device_op op);

#ifdef __cplusplus
}
#endif
#endif
