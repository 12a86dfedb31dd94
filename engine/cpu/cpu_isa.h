/* cpu_isa.h - what the processor can do, in steps: each has all that the steps before it have.
 *
 * Kernels say the step that they need; one question to the processor, here, decides which run. */
#ifndef ENGINE_CPU_CPU_ISA_H
#define ENGINE_CPU_CPU_ISA_H

#include "common/base/err.h"

enum cpu_isa {
    CPU_ISA_BASE,       /* what every processor of the target has */
    CPU_ISA_AVX2,       /* with FMA */
    CPU_ISA_AVX512,     /* F, DQ, BW, VL */
    CPU_ISA_AVX512BF16, /* products of bf16 */
    CPU_ISA_AVX512VNNI, /* and of bytes */
    CPU_ISA_COUNT
};

/* The last step that the processor has and `most`, a name of struct device_opts, allows; NULL
 * allows all, "avx512bf16" too. ERR_UNSUPPORTED, naming it, when `most` is unknown or not there. */
MUST_CHECK enum err cpu_isa_find(enum cpu_isa *out, const char *most, struct fail *f);

#endif
