#include "tests/lib/golden.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/lib/check.h"

static const struct safetensors_entry *find(const struct safetensors *file, const char *name,
                                            int64_t *n) {
    const struct safetensors_entry *e = safetensors_find(file, name);
    *n = e ? (int64_t)(e->bytes / tensor_dtype_bytes(e->dtype)) : 0;
    if (!e) {
        check_failed++;
        fprintf(stderr, "  the golden file has no tensor %s\n", name);
    }
    return e;
}

static void *read_all(const struct safetensors *file, const char *name, int64_t *n) {
    struct fail f = {0};
    const struct safetensors_entry *e = find(file, name, n);
    void *out = e ? mem_take(e->bytes, 1) : NULL;
    if (out) CHECK_OK(safetensors_read_bytes(file, e, out, &f), &f);
    return out;
}

float *golden_f32(const struct safetensors *file, const char *name, int64_t *n) {
    return read_all(file, name, n);
}

int32_t *golden_i32(const struct safetensors *file, const char *name, int64_t *n) {
    return read_all(file, name, n);
}

uint8_t *golden_u8(const struct safetensors *file, const char *name, int64_t *n) {
    return read_all(file, name, n);
}

struct golden_error golden_compare(const float *got, const float *want, int64_t n) {
    double max_abs = 0, diff = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        if (!(fabs(d) <= max_abs)) max_abs = fabs(d); /* a NaN stays */
        diff += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    return (struct golden_error){max_abs, sqrt(diff / (norm > 0 ? norm : 1))};
}

void golden_check(const char *what, const char *device, struct golden_error e, double tolerance) {
    printf("  %-34s %-4s max %.2e  relative %.2e  tolerance %.0e\n", what, device, e.max_abs,
           e.rel_l2, tolerance);
    if (e.max_abs <= tolerance) return;
    check_failed++;
    fprintf(stderr, "  %s on %s: off by %.3e, %.0e is allowed\n", what, device, e.max_abs,
            tolerance);
}
