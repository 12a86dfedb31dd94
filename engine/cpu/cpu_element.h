/* cpu_element.h - everything that goes over the numbers once: norms, modulation, rotation,
 * activation, sums. Rows are dealt out to the cores; what is bf16 is widened row by row in the
 * first-level cache, so that the loops of cpu_vec.h know floats only. */
#ifndef ENGINE_CPU_CPU_ELEMENT_H
#define ENGINE_CPU_CPU_ELEMENT_H

#include "engine/cpu/cpu_pool.h"
#include "engine/cpu/cpu_vec.h"

/* The operands of one op; what it does not use is zero. */
struct cpu_element {
    struct cpu_pool *pool;
    const struct cpu_vec *vec;
    struct tensor *out;
    const struct tensor *x, *y, *z; /* f32 or bf16 where op.h says real */
    const struct norm_opts *norm;
    const struct mod_table *mod;
    int row_a, row_b; /* of `mod` */
    int n_heads;
    float s;
    enum act act;
};

/* Bytes of scratch that every thread of the pool must have before any of these is called. */
size_t cpu_element_scratch(void);

/* out = act(x) */
void cpu_element_act(const struct cpu_element *e);
/* out = x + s * y */
void cpu_element_add_scaled(const struct cpu_element *e);
/* out = x * y */
void cpu_element_mul(const struct cpu_element *e);
/* out = x * y + z; y and z are one row */
void cpu_element_affine(const struct cpu_element *e);
/* out = norm(x) */
void cpu_element_norm(const struct cpu_element *e);
/* out = norm(x) * (1 + row_b) + row_a, rows of `mod`; s is epsilon */
void cpu_element_norm_mod(const struct cpu_element *e);
/* out += row_a of `mod` * y */
void cpu_element_gate_add(const struct cpu_element *e);
/* out is rotated by the table y */
void cpu_element_rope(const struct cpu_element *e);

#endif
