#include "engine/cpu/cpu_tile.h"

#include "common/base/assert.h"

static const struct {
    const struct cpu_tile_kind *kind;
    enum cpu_isa isa;
} rows[] = {
#if defined(__x86_64__)
    {&cpu_tile_bf16, CPU_ISA_AVX512BF16},
    {&cpu_tile_avx512, CPU_ISA_AVX512},
    {&cpu_tile_avx2, CPU_ISA_AVX2},
#endif
    {&cpu_tile_base, CPU_ISA_BASE},
};

const struct cpu_tile_kind *cpu_tile_find(enum dtype dtype, enum cpu_isa isa) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].kind->dtype == dtype && rows[i].isa <= isa) return rows[i].kind;
    return NULL;
}

int64_t cpu_tile_panel(const struct cpu_tile_kind *kind, int64_t O, int64_t p) {
    return O - p * kind->wide <= kind->narrow ? kind->narrow : kind->wide;
}

int64_t cpu_tile_words(const struct cpu_tile_kind *kind, int64_t O, int64_t K) {
    int64_t last = (O - 1) / kind->wide;
    return (last * kind->wide + cpu_tile_panel(kind, O, last)) * K;
}
