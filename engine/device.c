#include "engine/device.h"

#include <string.h>
#include <time.h>

#include "common/base/assert.h"
#include "engine/backend_cpu.h"
#include "engine/backend_ref.h"

static const struct backend_ops *const backends[] = {&backend_cpu, &backend_ref};

static const char *const op_names[DEVICE_OP_COUNT] = {
    [DEVICE_OP_LINEAR] = "linear", [DEVICE_OP_ATTENTION] = "attention",
    [DEVICE_OP_NORM] = "norm",     [DEVICE_OP_MODULATE] = "modulate",
    [DEVICE_OP_ROPE] = "rope",     [DEVICE_OP_ELEMENT] = "element",
    [DEVICE_OP_CONV] = "conv",     [DEVICE_OP_VOLUME] = "volume",
};

enum err device_open(struct device *dev, const char *name, const struct device_opts *opts,
                     struct fail *f) {
    memset(dev, 0, sizeof *dev);
    for (int i = 0; i < COUNT_OF(backends); i++)
        if (strcmp(backends[i]->name, name) == 0) {
            dev->ops = backends[i];
            return dev->ops->open(dev, opts, f);
        }
    return FAIL(f, ERR_INPUT, "there is no device \"%s\"; cpu and ref exist", name);
}

enum dtype device_activation(const struct device *dev) {
    return dev->precision == PRECISION_F32 ? DTYPE_F32 : DTYPE_BF16;
}

static const char *const precision_names[PRECISION_COUNT] = {[PRECISION_AUTO] = "auto",
                                                             [PRECISION_F32] = "f32",
                                                             [PRECISION_BF16] = "bf16",
                                                             [PRECISION_INT8] = "int8"};

const char *device_precision_name(enum precision p) {
    return precision_names[p];
}

enum err device_precision_parse(enum precision *out, const char *name, struct fail *f) {
    for (int i = 0; i < PRECISION_COUNT; i++)
        if (strcmp(name, precision_names[i]) == 0) {
            *out = (enum precision)i;
            return ERR_OK;
        }
    return FAIL(f, ERR_INPUT, "there is no precision \"%.40s\"; auto, f32, bf16 and int8 exist",
                name);
}

void device_close(struct device *dev) {
    if (dev->ops) dev->ops->close(dev);
    memset(dev, 0, sizeof *dev);
}

void device_report(struct device *dev, char *out, size_t size) {
    dev->ops->report(dev, out, size);
}

int64_t device_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void device_spend(struct device *dev, enum device_op op, int64_t start_ns) {
    dev->spent[op].ns += device_now_ns() - start_ns;
}

const char *device_op_name(enum device_op op) {
    return op_names[op];
}
