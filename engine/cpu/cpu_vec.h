/* cpu_vec.h - the loops over numbers, three times: AVX-512, AVX2 with FMA, plain x86-64.
 *
 * The same source (cpu_vec_body.h) is compiled for each; which one runs is decided once, by what
 * the processor says. Rows are contiguous, of any length, unaligned. */
#ifndef ENGINE_CPU_CPU_VEC_H
#define ENGINE_CPU_CPU_VEC_H

#include <stdint.h>

#include "engine/cpu/cpu_isa.h"
#include "engine/op.h"

struct cpu_vec {
    const char *name;
    /* out = act(x + b); b may be NULL. */
    void (*act)(float *out, const float *x, const float *b, int64_t n, enum act act);
    void (*add_scaled)(float *out, const float *a, const float *b, float s, int64_t n);
    void (*mul)(float *out, const float *a, const float *b, int64_t n);
    void (*affine)(float *out, const float *x, const float *scale, const float *shift, int64_t n);
    void (*norm)(float *out, const float *x, int64_t n, const struct norm_opts *o);
    void (*norm_mod)(float *out, const float *x, const float *shift, const float *scale, int64_t n,
                     float eps);
    void (*rope)(float *out, const float *x, const float *table, int64_t n);
    void (*widen)(float *out, const uint16_t *x, int64_t n);  /* bf16 to f32 */
    void (*narrow)(uint16_t *out, const float *x, int64_t n); /* and back */
};

extern const struct cpu_vec cpu_vec_base;
#if defined(__x86_64__)
extern const struct cpu_vec cpu_vec_avx2;
extern const struct cpu_vec cpu_vec_avx512;
#endif

/* The best one that `isa` allows; never NULL. */
const struct cpu_vec *cpu_vec_find(enum cpu_isa isa);

#endif
