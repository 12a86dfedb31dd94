/* device.h - one piece of hardware and the table of functions that drives it.
 *
 * Owns the state of the backend, never tensors. One thread per device. */
#ifndef ENGINE_DEVICE_H
#define ENGINE_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

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

struct device {
    const struct backend_ops *ops;
    void *self;       /* the backend's own state */
    int64_t n_allocs; /* device allocations so far; a test watches it */
    struct device_spent spent[DEVICE_OP_COUNT];
    void (*say)(void *ctx, const char *event, const char *text); /* log of the owner, or NULL */
    void *say_ctx;
};

/* `name` is "cpu" or "ref"; n_threads 0 means all cores. */
MUST_CHECK enum err device_open(struct device *dev, const char *name, int n_threads,
                                struct fail *f);
void device_close(struct device *dev); /* safe on a zeroed device */
/* One line about the hardware that is used: BLAS kernel, threads, instruction sets. */
void device_report(struct device *dev, char *out, size_t size);
/* Of a clock that never goes back. */
int64_t device_now_ns(void);
/* Books the time since start_ns (device_now_ns) on an op. */
void device_spend(struct device *dev, enum device_op op, int64_t start_ns);
const char *device_op_name(enum device_op op);

#ifdef __cplusplus
}
#endif
#endif
