#include "engine/cpu/cpu_isa.h"

#include <string.h>

#include "common/base/assert.h"

#if defined(__x86_64__)
static enum cpu_isa best(void) {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CPU_ISA_BASE;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512vl"))
        return CPU_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512bf16")) return CPU_ISA_AVX512;
    return __builtin_cpu_supports("avx512vnni") ? CPU_ISA_AVX512VNNI : CPU_ISA_AVX512BF16;
}
#else
static enum cpu_isa best(void) {
    return CPU_ISA_BASE;
}
#endif

/* A name asks for a step to be there and allows all up to another. */
static const struct {
    const char *name;
    enum cpu_isa least, most;
} names[] = {
    {"base", CPU_ISA_BASE, CPU_ISA_BASE},
    {"avx2", CPU_ISA_AVX2, CPU_ISA_AVX2},
    {"avx512", CPU_ISA_AVX512, CPU_ISA_AVX512},
    {"avx512bf16", CPU_ISA_AVX512BF16, CPU_ISA_AVX512VNNI},
};

enum err cpu_isa_find(enum cpu_isa *out, const char *most, struct fail *f) {
    *out = best();
    if (!most) return ERR_OK;
    for (int i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(names[i].name, most) != 0) continue;
        if (*out < names[i].least)
            return FAIL(f, ERR_UNSUPPORTED, "this processor has no %s", most);
        if (*out > names[i].most) *out = names[i].most;
        return ERR_OK;
    }
    return FAIL(f, ERR_UNSUPPORTED,
                "there is no instruction set \"%.20s\": base, avx2, avx512, avx512bf16", most);
}
