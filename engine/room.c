#include "engine/room.h"

#include <stdio.h>

#include "common/base/assert.h"
#include "engine/op.h"
#include "engine/safetensors.h"

static double available_bytes(void) {
    char line[256];
    double kb = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file) return 0;
    while (kb == 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %lf kB", &kb) != 1) kb = 0;
    fclose(file);
    return kb * 1024;
}

static double read_bytes(const char *path) {
    double bytes = 0;
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    if (fscanf(file, "%lf", &bytes) != 1) bytes = 0; /* "max" is no limit */
    fclose(file);
    return bytes;
}

static double free_bytes(void) {
    double room = available_bytes();
    double limit = read_bytes("/sys/fs/cgroup/memory.max");
    double left = limit - read_bytes("/sys/fs/cgroup/memory.current");
    if (limit > 0 && left > 0 && left < room) room = left;
    return room;
}

double room_free_on(struct device *dev) {
    return dev->ops->free_bytes ? dev->ops->free_bytes(dev) : free_bytes();
}

/* Matrices are packed in the precision of the products; int8 keeps some of them in bf16. */
static double bytes_each(enum precision precision) {
    return precision == PRECISION_F32 ? 4 : 2;
}

enum err room_weights_bytes(double *out, const char *folder, const char *stem,
                            enum precision precision, struct fail *f) {
    enum err rc = ERR_OK;
    struct safetensors files = {0};
    *out = 0;
    TRY(safetensors_open(&files, folder, stem, f));
    for (int i = 0; i < files.n_entries; i++) {
        const struct safetensors_entry *e = &files.entry[i];
        double n = (double)e->bytes / (double)tensor_dtype_bytes(e->dtype);
        *out += n * (e->n_dims >= 2 ? bytes_each(precision) : 4);
    }
out:
    safetensors_close(&files);
    return rc;
}

enum err room_check(double need, double room, const char *what, struct fail *f) {
    const double gib = 1 << 30;
    if (room <= 0 || need <= room) return ERR_OK;
    return FAIL(f, ERR_LIMIT, "%.160s needs about %.1f GiB of memory, %.1f GiB are free", what,
                need / gib, room / gib);
}
