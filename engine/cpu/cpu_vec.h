/* cpu_vec.h - the loops over numbers, three times: AVX-512, AVX2 with FMA, plain x86-64.
 *
 * The same source (cpu_vec_body.h) is compiled for each; which one runs is decided once, by what
 * the processor says. Rows are contiguous, of any length, unaligned. */
#ifndef ENGINE_CPU_CPU_VEC_H
#define ENGINE_CPU_CPU_VEC_H

#include <stdint.h>

#include "engine/op.h"

enum { CPU_VEC_TILE_KINDS = 3, CPU_VEC_TILE_NR_MAX = 64, CPU_VEC_TAPS_MAX = 32 };

/* One kernel position: where its input row starts and where its weights are. */
struct cpu_vec_tap {
    const float *x;
    const float *w; /* [run, nr] */
};

/* A few output pixels times one panel of `nr` channels. */
struct cpu_vec_tile {
    const struct cpu_vec_tap *tap;
    int n_taps;
    int64_t run;    /* floats that one tap reads for one pixel */
    int64_t stride; /* floats from one pixel to the next */
    int64_t x;      /* floats from the start of the row to the first pixel */
    float *out;     /* [pixels, out_stride]; nr channels are written */
    int64_t out_stride;
};

/* The kernel for panels of nr channels works on `mr` pixels at a time, or 4, or 1. */
struct cpu_vec_tile_kind {
    int nr, mr;
    void (*many)(const struct cpu_vec_tile *t);
    void (*four)(const struct cpu_vec_tile *t);
    void (*one)(const struct cpu_vec_tile *t);
};

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
    struct cpu_vec_tile_kind tile[CPU_VEC_TILE_KINDS];        /* widest first */
};

extern const struct cpu_vec cpu_vec_base;
#if defined(__x86_64__)
extern const struct cpu_vec cpu_vec_avx2;
extern const struct cpu_vec cpu_vec_avx512;
#endif

/* The best one for this processor; `name` "base", "avx2", "avx512" asks for one (tests), NULL
 * when it is not there. */
const struct cpu_vec *cpu_vec_find(const char *name);

#endif
