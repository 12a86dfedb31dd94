/* cpu_attention_kind.h - what attention does per instruction set: packing keys and values into
 * panels for cpu_tile.h, and turning scores into weights.
 *
 * Words are those of cpu_tile.h: one f32 or two neighbouring bf16. */
#ifndef ENGINE_CPU_CPU_ATTENTION_KIND_H
#define ENGINE_CPU_CPU_ATTENTION_KIND_H

#include "engine/cpu/cpu_tile.h"

/* Rows of a group fit this many lanes. */
enum { CPU_ATTENTION_LANES = 16 };

/* A few queries against a block of keys. Scores lie panel by panel, each [n_rows, panel]; weights
 * lie row by row, as the tile reads them. top, sum and keep hold one number per row: the largest
 * logit so far, the sum of the weights, and what earlier results are to be multiplied with. */
struct cpu_attention_soft {
    float *score;
    void *weight;
    int64_t n_rows, n_keys; /* keys in whole narrow panels */
    int64_t stride;         /* words of a row of weights */
    float scale;            /* logit = score * scale + key_bias + bias */
    const float *key_bias;  /* [n_keys], -inf where there is no key; or NULL, if scale > 0 */
    const float *bias;      /* [n_rows, bias_stride], only with key_bias; or NULL */
    int64_t bias_stride, n_bias;
    float bias_by; /* `bias` is multiplied with this; the others were before */
    float *top, *sum, *keep;
};

/* Rows first .. first+n-1 of one head, D numbers of f32 or bf16 each, rows `stride` apart. */
struct cpu_attention_source {
    const void *data;
    enum dtype dtype;
    int64_t stride, D;
    int64_t n_rows; /* of the tensor: what lies past them reads as zero */
};

struct cpu_attention_kind {
    const char *name; /* of its cpu_tile_kind */
    int64_t group;    /* numbers in a word */
    float log_unit;   /* weights are powers of this: logits come in its units */
    /* Rows as they are, n of them, each padded to whole words. */
    void (*copy)(uint32_t *out, const struct cpu_attention_source *s, int64_t first, int64_t n);
    /* One panel of n keys: [words of D, n]. */
    void (*keys)(uint32_t *out, const struct cpu_attention_source *s, int64_t first, int64_t n);
    /* One panel of n channels from channel c on: [words of n_keys, n]; keys from `first` on. */
    void (*values)(uint32_t *out, const struct cpu_attention_source *s, int64_t first,
                   int64_t n_keys, int64_t c, int64_t n);
    void (*soften)(const struct cpu_attention_soft *s);
    /* Rows of sums [n, panel] are multiplied with their number. */
    void (*fade)(float *sum, const float *keep, int64_t n, int64_t panel);
    /* out = x * s, n numbers to f32 or bf16. */
    void (*finish)(void *out, enum dtype dtype, const float *x, float s, int64_t n);
};

extern const struct cpu_attention_kind cpu_attention_base;
#if defined(__x86_64__)
extern const struct cpu_attention_kind cpu_attention_avx2;
extern const struct cpu_attention_kind cpu_attention_avx512;
extern const struct cpu_attention_kind cpu_attention_bf16;
#endif

#endif
