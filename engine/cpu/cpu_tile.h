/* cpu_tile.h - the innermost product: a few rows of numbers times one panel of packed weights, all
 * sums in registers. Convolutions are made of it, one tap after the other; a matrix product is the
 * case of one tap.
 *
 * Everything is counted in words of four bytes: a word is one f32, or a pair of neighbouring bf16.
 * Weights [O,K] are packed in panels: `wide` rows each, and a last one of `narrow` rows when that
 * is enough for the rest. A panel is [K words][rows]; rows past O are zeros. So panel p begins at
 * word p * wide * K. The order of a sum is that of K, whatever the tile. */
#ifndef ENGINE_CPU_CPU_TILE_H
#define ENGINE_CPU_CPU_TILE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/cpu/cpu_isa.h"
#include "engine/op.h"

enum { CPU_TILE_WIDE_MAX = 32, CPU_TILE_PIXELS_MAX = 12 };

/* One run of the sum: its words of the first row, and its weights. */
struct cpu_tile_tap {
    const uint32_t *x;
    const uint32_t *w; /* [run, rows of the panel] */
};

struct cpu_tile {
    const struct cpu_tile_tap *tap;
    int n_taps;
    int64_t run;    /* words that one tap reads of one row */
    int64_t stride; /* words from one row to the next */
    int64_t x;      /* words to add to every tap */
    float *sum;     /* [rows, rows of the panel], dense */
    bool is_first;  /* sums begin at zero, else at what is there */
};

/* What happens to sums before they are stored: out = sum + b + add. */
struct cpu_tile_out {
    const float *sum;    /* [n, panel] */
    int64_t n, panel, O; /* rows; numbers of a row of sums; those of them that are stored */
    const float *b;      /* [O] or NULL */
    const void *add;     /* or NULL; rows are `stride` apart, like those of out */
    void *out;
    enum dtype add_dtype, out_dtype; /* f32 or bf16 */
    int64_t stride;                  /* elements */
};

struct cpu_tile_kind {
    const char *name;
    enum dtype dtype; /* of the weights and of the rows */
    int wide, narrow; /* rows of a panel */
    int n_pixels_max;
    void (*run[2])(const struct cpu_tile *t, int64_t n); /* 0 wide, 1 narrow; n <= n_pixels_max */
    void (*store)(const struct cpu_tile_out *o);
};

extern const struct cpu_tile_kind cpu_tile_base;
#if defined(__x86_64__)
extern const struct cpu_tile_kind cpu_tile_avx2;
extern const struct cpu_tile_kind cpu_tile_avx512;
extern const struct cpu_tile_kind cpu_tile_bf16;
#endif

/* The best one of a type that `isa` allows; NULL when there is none: bf16 needs hardware for it. */
const struct cpu_tile_kind *cpu_tile_find(enum dtype dtype, enum cpu_isa isa);

/* Words of all panels of O rows with K words. */
int64_t cpu_tile_words(const struct cpu_tile_kind *kind, int64_t O, int64_t K);
/* Width of panel p. */
int64_t cpu_tile_panel(const struct cpu_tile_kind *kind, int64_t O, int64_t p);

#endif
