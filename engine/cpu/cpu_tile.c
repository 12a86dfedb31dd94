#include "engine/cpu/cpu_tile.h"

#include <string.h>

#include "common/base/assert.h"

#if defined(__x86_64__)
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

static int has_bf16(void) {
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

static int has_base(void) {
    return 1;
}

static const struct {
    const struct cpu_tile_kind *kind;
    int (*is_there)(void);
} rows[] = {
#if defined(__x86_64__)
    {&cpu_tile_bf16, has_bf16},
    {&cpu_tile_avx512, has_avx512},
    {&cpu_tile_avx2, has_avx2},
#endif
    {&cpu_tile_base, has_base},
};

const struct cpu_tile_kind *cpu_tile_find(enum dtype dtype, const char *name) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].kind->dtype == dtype && (!name || strcmp(name, rows[i].kind->name) == 0) &&
            rows[i].is_there())
            return rows[i].kind;
    return NULL;
}

int64_t cpu_tile_panel(const struct cpu_tile_kind *kind, int64_t O, int64_t p) {
    return O - p * kind->wide <= kind->narrow ? kind->narrow : kind->wide;
}

int64_t cpu_tile_words(const struct cpu_tile_kind *kind, int64_t O, int64_t K) {
    int64_t last = (O - 1) / kind->wide;
    return (last * kind->wide + cpu_tile_panel(kind, O, last)) * K;
}
