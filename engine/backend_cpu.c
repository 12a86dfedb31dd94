#include "engine/backend_cpu.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "engine/backend_host.h"
#include "engine/cpu/cpu_attention.h"
#include "engine/cpu/cpu_conv.h"
#include "engine/cpu/cpu_element.h"
#include "engine/cpu/cpu_linear.h"
#include "engine/cpu/cpu_volume.h"

struct cpu {
    struct cpu_pool *pool;
    const struct cpu_vec *vec;
    struct cpu_blas blas;
    struct cpu_linear linear;
    struct cpu_conv conv;
    struct cpu_attention attention;
};

static struct cpu *cpu_of(struct device *dev) {
    return dev->self;
}

static void cpu_close(struct device *dev) {
    struct cpu *c = dev->self;
    if (!c) return;
    cpu_pool_close(c->pool);
    cpu_blas_close(&c->blas);
    mem_free(c);
    dev->self = NULL;
}

/* Kernels of convolutions are of the type of the activations where the processor multiplies it. */
static void open_conv(struct cpu *c, const struct device *dev, enum cpu_isa isa) {
    c->conv = (struct cpu_conv){.pool = c->pool, .vec = c->vec};
    c->conv.plain = cpu_tile_find(DTYPE_F32, isa);
    c->conv.tile = cpu_tile_find(device_activation(dev), isa);
    if (!c->conv.tile) c->conv.tile = c->conv.plain;
}

static enum err cpu_open(struct device *dev, const struct device_opts *opts, struct fail *f) {
    enum err rc = ERR_OK;
    enum cpu_isa isa;
    struct cpu *c = mem_take(1, sizeof *c);
    if (!c) return FAIL(f, ERR_NOMEM, "no memory for the device");
    dev->self = c;
    TRY(cpu_isa_find(&isa, opts->isa, f));
    c->vec = cpu_vec_find(isa);
    dev->precision = opts->precision;
    if (opts->precision == PRECISION_AUTO)
        dev->precision = cpu_gemm_find(DTYPE_BF16, isa) ? PRECISION_BF16 : PRECISION_F32;
    if (dev->precision == PRECISION_INT8 && !cpu_gemm_find(DTYPE_I8, isa))
        TRY(FAIL(f, ERR_UNSUPPORTED, "int8 products need AVX-512 with VNNI and bf16"));
    TRY(cpu_blas_open(&c->blas, f));
    TRY(cpu_pool_open(&c->pool, opts->n_threads, f));
    TRY(cpu_pool_reserve(c->pool, cpu_element_scratch(), f));
    open_conv(c, dev, isa);
    cpu_attention_open(&c->attention, c->pool, isa);
    c->linear = (struct cpu_linear){
        .pool = c->pool, .vec = c->vec, .blas = &c->blas, .uses_blas = !opts->isa};
    cpu_linear_open(&c->linear, dev->precision, isa);
out:
    if (rc != ERR_OK) cpu_close(dev);
    return rc;
}

static void cpu_report(struct device *dev, char *out, size_t size) {
    const struct cpu *c = cpu_of(dev);
    snprintf(out, size, "cpu: %d threads, %s, %s loops, %s products, OpenBLAS %s",
             cpu_pool_n_threads(c->pool), device_precision_name(dev->precision), c->vec->name,
             c->linear.gemm ? c->linear.gemm->name : "OpenBLAS", c->blas.core_name);
}

static struct cpu_element element(struct device *dev, struct tensor *out, const struct tensor *x) {
    const struct cpu *c = cpu_of(dev);
    return (struct cpu_element){.pool = c->pool, .vec = c->vec, .out = out, .x = x};
}

static void cpu_act(struct device *dev, struct tensor *out, const struct tensor *x, enum act act) {
    struct cpu_element e = element(dev, out, x);
    e.act = act;
    cpu_element_act(&e);
}

static void cpu_add_scaled(struct device *dev, struct tensor *out, const struct tensor *a,
                           const struct tensor *b, float s) {
    struct cpu_element e = element(dev, out, a);
    e.y = b, e.s = s;
    cpu_element_add_scaled(&e);
}

static void cpu_mul(struct device *dev, struct tensor *out, const struct tensor *a,
                    const struct tensor *b) {
    struct cpu_element e = element(dev, out, a);
    e.y = b;
    cpu_element_mul(&e);
}

static void cpu_affine(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct tensor *scale, const struct tensor *shift) {
    struct cpu_element e = element(dev, out, x);
    e.y = scale, e.z = shift;
    cpu_element_affine(&e);
}

static void cpu_norm(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct norm_opts *o) {
    struct cpu_element e = element(dev, out, x);
    e.norm = o;
    cpu_element_norm(&e);
}

static void cpu_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct mod_table *mod, int shift_row, int scale_row, float eps) {
    struct cpu_element e = element(dev, out, x);
    e.mod = mod, e.row_a = shift_row, e.row_b = scale_row, e.s = eps;
    cpu_element_norm_mod(&e);
}

static void cpu_gate_add(struct device *dev, struct tensor *x, const struct tensor *y,
                         const struct mod_table *mod, int gate_row) {
    struct cpu_element e = element(dev, x, NULL);
    e.y = y, e.mod = mod, e.row_a = gate_row;
    cpu_element_gate_add(&e);
}

static void cpu_rope(struct device *dev, struct tensor *x, const struct tensor *table,
                     int n_heads) {
    struct cpu_element e = element(dev, x, NULL);
    e.y = table, e.n_heads = n_heads;
    cpu_element_rope(&e);
}

static enum err cpu_linear_op(struct device *dev, struct tensor *out, const struct tensor *x,
                              const struct tensor *w, const struct linear_opts *o, struct fail *f) {
    return cpu_linear_run(&cpu_of(dev)->linear, out, x, w, o, f);
}

static size_t cpu_packed(struct device *dev, struct tensor *w) {
    const struct cpu *c = cpu_of(dev);
    if (w->n_dims == 2) return cpu_linear_packed(&c->linear, w);
    w->layout = LAYOUT_PACKED;
    w->dtype = c->conv.tile->dtype;
    return cpu_conv_pack_bytes(c->conv.tile, w);
}

static void cpu_pack(struct device *dev, struct tensor *w, const float *rows, int64_t first,
                     int64_t n) {
    const struct cpu *c = cpu_of(dev);
    if (w->n_dims == 2)
        cpu_linear_pack(&c->linear, w, rows, first, n);
    else
        cpu_conv_pack_rows(c->conv.tile, w, rows, first, n);
}

static enum err cpu_attention_op(struct device *dev, struct tensor *out, const struct tensor *q,
                                 const struct tensor *k, const struct tensor *v,
                                 const struct attention_opts *o, struct fail *f) {
    return cpu_attention_run(&cpu_of(dev)->attention, out, q, k, v, o, f);
}

static enum err cpu_conv_op(struct device *dev, struct tensor *out, const struct tensor *x,
                            const struct conv_opts *o, struct fail *f) {
    return cpu_conv_run(&cpu_of(dev)->conv, out, x, o, f);
}

static void cpu_copy(struct device *dev, void *to, const void *from, size_t bytes) {
    cpu_volume_copy(cpu_of(dev)->pool, to, from, bytes);
}

static void cpu_depthwise(struct device *dev, struct tensor *out, const struct tensor *x,
                          const struct tensor *w) {
    cpu_volume_depthwise(cpu_of(dev)->pool, out, x, w);
}

static void cpu_time_split(struct device *dev, struct tensor *out, const struct tensor *x) {
    cpu_volume_time_split(cpu_of(dev)->pool, out, x);
}

static void cpu_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                           int fs, int n_drop) {
    cpu_volume_dup_up_add(cpu_of(dev)->pool, out, x, ft, fs, n_drop);
}

static void cpu_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                             int fs, int n_zero) {
    cpu_volume_avg_down_add(cpu_of(dev)->pool, out, x, ft, fs, n_zero);
}

static void cpu_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct patch *p) {
    cpu_volume_patchify(cpu_of(dev)->pool, out, x, p);
}

static void cpu_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                           const struct patch *p) {
    cpu_volume_unpatchify(cpu_of(dev)->pool, out, x, p);
}

static void cpu_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x) {
    cpu_volume_pack_rgb(cpu_of(dev)->pool, out, x);
}

const struct backend_ops backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = backend_host_alloc,
    .release = backend_host_release,
    .upload = backend_host_move,
    .download = backend_host_move,
    .copy = cpu_copy,
    .report = cpu_report,
    .fill = backend_host_fill,
    .linear = cpu_linear_op,
    .packed = cpu_packed,
    .pack = cpu_pack,
    .attention = cpu_attention_op,
    .norm = cpu_norm,
    .norm_mod = cpu_norm_mod,
    .gate_add = cpu_gate_add,
    .rope = cpu_rope,
    .act = cpu_act,
    .add_scaled = cpu_add_scaled,
    .mul = cpu_mul,
    .affine = cpu_affine,
    .conv = cpu_conv_op,
    .depthwise = cpu_depthwise,
    .time_split = cpu_time_split,
    .dup_up_add = cpu_dup_up_add,
    .avg_down_add = cpu_avg_down_add,
    .patchify = cpu_patchify,
    .unpatchify = cpu_unpatchify,
    .pack_rgb = cpu_pack_rgb,
};
