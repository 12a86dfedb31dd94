#include "engine/cpu/cpu_vec.h"

#include <string.h>

#include "common/base/assert.h"

#if defined(__x86_64__)
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif

static int has_base(void) {
    return 1;
}

static const struct {
    const struct cpu_vec *vec;
    int (*is_there)(void);
} rows[] = {
#if defined(__x86_64__)
    {&cpu_vec_avx512, has_avx512},
    {&cpu_vec_avx2, has_avx2},
#endif
    {&cpu_vec_base, has_base},
};

const struct cpu_vec *cpu_vec_find(const char *name) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        if ((!name || strcmp(name, rows[i].vec->name) == 0) && rows[i].is_there())
            return rows[i].vec;
    return NULL;
}
