#include "engine/device.h"

#include <string.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/base/str.h"
#include "engine/backend_cpu.h"
#include "engine/backend_cuda.h"
#include "engine/backend_ref.h"

enum { DEVICES_MAX = 64 }; /* of one kind in one machine */

static const struct backend_ops *const backends[] = {&backend_cpu, &backend_ref, &backend_cuda};

static const char *const op_names[DEVICE_OP_COUNT] = {
    [DEVICE_OP_LINEAR] = "linear", [DEVICE_OP_ATTENTION] = "attention",
    [DEVICE_OP_NORM] = "norm",     [DEVICE_OP_MODULATE] = "modulate",
    [DEVICE_OP_ROPE] = "rope",     [DEVICE_OP_ELEMENT] = "element",
    [DEVICE_OP_CONV] = "conv",     [DEVICE_OP_VOLUME] = "volume",
};

enum err device_open(struct device *dev, const char *name, const struct device_opts *opts,
                     struct fail *f) {
    struct str rest = str_of(name), kind;
    struct device_opts o = *opts;
    int64_t index = 0;
    memset(dev, 0, sizeof *dev);
    if (!str_split(&rest, ':', &kind)) kind = rest;
    bool has_index = kind.n < strlen(name);
    if (has_index && (!str_eq(kind, "cuda") || !str_parse_i64(rest, 0, DEVICES_MAX - 1, &index)))
        return FAIL(f, ERR_INPUT, "there is no device \"%.40s\"; cuda:0 to cuda:%d may exist", name,
                    DEVICES_MAX - 1);
    if (has_index) o.index = (int)index;
    for (int i = 0; i < COUNT_OF(backends); i++)
        if (str_eq(kind, backends[i]->name)) {
            dev->ops = backends[i];
            return dev->ops->open(dev, &o, f);
        }
    return FAIL(f, ERR_INPUT, "there is no device \"%.40s\"; cpu, cuda, cuda:N and ref exist",
                name);
}

bool device_is_host(const struct device *dev) {
    return !dev->ops->check;
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
