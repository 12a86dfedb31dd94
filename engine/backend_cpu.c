#include "engine/backend_cpu.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/backend_host.h"
#include "engine/backend_ref_volume.h"
#include "engine/cpu/cpu_attention.h"
#include "engine/cpu/cpu_blas.h"
#include "engine/cpu/cpu_conv.h"
#include "engine/cpu/cpu_element.h"
#include "engine/cpu/cpu_rows.h"

enum { CPU_TILE_ROWS_MIN = 32, CPU_TILES_PER_THREAD = 4, WIDE_MAX = 6 };

struct cpu {
    float *wide[WIDE_MAX]; /* see wide_in() */
    size_t n_wide[WIDE_MAX];
    struct cpu_pool *pool;
    struct cpu_blas blas;
    const struct cpu_vec *vec;
    const struct cpu_rows_kernel *rows; /* of products with weights as they lie in a file */
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
    for (int i = 0; i < WIDE_MAX; i++)
        mem_free_aligned(c->wide[i]);
    mem_free(c);
    dev->self = NULL;
}

/* Kernels of convolutions are of the type of the activations where the processor multiplies it. */
static void open_conv(struct cpu *c, const struct device *dev, const char *isa) {
    bool is_all = !isa || strcmp(isa, "avx512bf16") == 0;
    c->conv = (struct cpu_conv){.pool = c->pool, .vec = c->vec};
    c->conv.plain = cpu_tile_find(DTYPE_F32, is_all ? NULL : isa);
    c->conv.tile = is_all ? cpu_tile_find(device_activation(dev), NULL) : NULL;
    if (!c->conv.tile) c->conv.tile = c->conv.plain;
}

static enum err cpu_open(struct device *dev, const struct device_opts *opts, struct fail *f) {
    enum err rc = ERR_OK;
    struct cpu *c = mem_take(1, sizeof *c);
    if (!c) return FAIL(f, ERR_NOMEM, "no memory for the device");
    dev->self = c;
    c->vec = cpu_vec_find(opts->isa && strcmp(opts->isa, "avx512bf16") == 0 ? NULL : opts->isa);
    if (!c->vec)
        return FAIL(f, ERR_UNSUPPORTED, "this processor has no instruction set \"%.20s\"",
                    opts->isa);
    dev->precision = opts->precision == PRECISION_AUTO ? PRECISION_F32 : opts->precision;
    TRY(cpu_blas_open(&c->blas, f));
    TRY(cpu_pool_open(&c->pool, opts->n_threads, f));
    TRY(cpu_pool_reserve(c->pool, cpu_element_scratch(), f));
    open_conv(c, dev, opts->isa);
    cpu_attention_open(&c->attention, c->pool, opts->isa);
    c->rows = cpu_rows_find(opts->isa, dev->precision);
out:
    if (rc != ERR_OK) cpu_close(dev);
    return rc;
}

static void cpu_report(struct device *dev, char *out, size_t size) {
    const struct cpu *c = cpu_of(dev);
    snprintf(out, size, "cpu: %d threads, %s loops, OpenBLAS %s", cpu_pool_n_threads(c->pool),
             c->vec->name, c->blas.core_name);
}

/* What has no kernel for bf16 yet goes through f32 copies: `in` and `out` give the tensor itself or
 * a wide one of the same shape, wide_end() writes the results back. */
struct wide {
    struct cpu *cpu;
    int n;
    struct tensor room[WIDE_MAX];
    struct tensor *back[WIDE_MAX];
};

static struct tensor *wide_room(struct wide *w, const struct tensor *t) {
    int i = w->n++;
    size_t n = (size_t)tensor_count(t);
    ASSERT(i < WIDE_MAX);
    if (w->cpu->n_wide[i] < n) {
        mem_free_aligned(w->cpu->wide[i]);
        w->cpu->wide[i] = mem_take_aligned(n * sizeof(float));
        ASSERT(w->cpu->wide[i]);
        w->cpu->n_wide[i] = n;
    }
    w->room[i] = *t;
    w->room[i].dtype = DTYPE_F32;
    w->room[i].data = w->cpu->wide[i];
    w->back[i] = NULL;
    return &w->room[i];
}

static const struct tensor *wide_in(struct wide *w, const struct tensor *t) {
    if (!t || t->dtype != DTYPE_BF16) return t;
    struct tensor *r = wide_room(w, t);
    for (int64_t i = 0, n = tensor_count(t); i < n; i++)
        ((float *)r->data)[i] = half_bf16(((const uint16_t *)t->data)[i]);
    return r;
}

static struct tensor *wide_out(struct wide *w, struct tensor *t) {
    if (t->dtype != DTYPE_BF16) return t;
    struct tensor *r = wide_room(w, t);
    w->back[w->n - 1] = t;
    return r;
}

static void wide_end(struct wide *w) {
    for (int i = 0; i < w->n; i++)
        for (int64_t e = 0, n = w->back[i] ? tensor_count(w->back[i]) : 0; e < n; e++)
            backend_host_set(w->back[i], e, ((const float *)w->room[i].data)[e]);
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

/* A matrix product is cut along its longer side; bias and activation follow while it is warm. */
struct linear {
    const struct cpu *cpu;
    struct tensor *out;
    const struct tensor *x, *w, *b;
    enum act act;
    int64_t N, K, O, rows, cols, n_col_tiles;
};

static void linear_tile(void *ctx, int64_t tile, int thread) {
    const struct linear *l = ctx;
    (void)thread;
    int64_t row = tile / l->n_col_tiles * l->rows, col = tile % l->n_col_tiles * l->cols;
    int64_t m = l->N - row < l->rows ? l->N - row : l->rows;
    int64_t n = l->O - col < l->cols ? l->O - col : l->cols;
    float *out = (float *)l->out->data + row * l->O + col;
    struct cpu_gemm g = {.m = m,
                         .n = n,
                         .k = l->K,
                         .alpha = 1.0f,
                         .a = {(const float *)l->x->data + row * l->K, l->K},
                         .b = {(const float *)l->w->data + col * l->K, l->K},
                         .out = out,
                         .out_stride = l->O};
    cpu_blas_nt(&l->cpu->blas, &g);
    if (!l->b && l->act == ACT_NONE) return;
    for (int64_t i = 0; i < m; i++)
        l->cpu->vec->act(out + i * l->O, out + i * l->O,
                         l->b ? (const float *)l->b->data + col : NULL, n, l->act);
}

static int64_t share(int64_t n, int64_t n_threads, int64_t least) {
    int64_t each = (n + n_threads * CPU_TILES_PER_THREAD - 1) / (n_threads * CPU_TILES_PER_THREAD);
    each = (each + 15) / 16 * 16;
    return each < least ? least : each;
}

static void linear_run(struct cpu *c, struct tensor *out, const struct tensor *x,
                       const struct tensor *w, const struct linear_opts *o) {
    struct linear l = {.cpu = c, .out = out, .x = x, .w = w, .b = o->b, .act = o->act};
    l.N = tensor_n_rows(x), l.K = tensor_n_cols(x), l.O = w->dim[0];
    int n_threads = cpu_pool_n_threads(l.cpu->pool);
    bool is_tall = l.N >= l.O / 2 || l.N >= CPU_TILE_ROWS_MIN * 4 * n_threads;
    l.rows = is_tall ? share(l.N, n_threads, CPU_TILE_ROWS_MIN * 2) : l.N;
    l.cols = is_tall ? l.O : share(l.O, n_threads, CPU_TILE_ROWS_MIN);
    if (l.N == 0 || l.O == 0) return;
    l.n_col_tiles = (l.O + l.cols - 1) / l.cols;
    cpu_pool_run(l.cpu->pool, (l.N + l.rows - 1) / l.rows * l.n_col_tiles, linear_tile, &l);
}

static enum err cpu_linear(struct device *dev, struct tensor *out, const struct tensor *x,
                           const struct tensor *w, const struct linear_opts *o, struct fail *f) {
    struct cpu_rows rows = {.out = out, .x = x, .w = w, .o = o};
    struct wide wide = {.cpu = dev->self};
    rows.pool = wide.cpu->pool, rows.vec = wide.cpu->vec, rows.kernel = wide.cpu->rows;
    if (w->layout == LAYOUT_ROWS && w->dtype != DTYPE_F32) return cpu_rows_run(&rows, f);
    const struct tensor *wx = wide_in(&wide, x), *ww = wide_in(&wide, w);
    struct tensor *to = o->add ? wide_room(&wide, out) : wide_out(&wide, out);
    (void)f;
    linear_run(wide.cpu, to, wx, ww, o);
    if (o->add && o->gate)
        dev->ops->gate_add(dev, out, to, o->gate, o->gate_row);
    else if (o->add)
        dev->ops->add_scaled(dev, out, out, to, 1.0f);
    wide_end(&wide);
    return ERR_OK;
}

/* Matrices lie as bf16 rows when products are bf16, else as f32 rows; kernels of convolutions are
 * packed. */
static size_t cpu_packed(struct device *dev, struct tensor *w) {
    const struct cpu_tile_kind *kind = cpu_of(dev)->conv.tile;
    w->layout = w->n_dims == 5 ? LAYOUT_PACKED : LAYOUT_ROWS;
    w->dtype = w->n_dims == 5 ? kind->dtype : device_activation(dev);
    return w->n_dims == 5 ? cpu_conv_packed(kind, w) : tensor_bytes(w);
}

static void cpu_pack(struct device *dev, struct tensor *w, const float *rows, int64_t first,
                     int64_t n) {
    int64_t K = tensor_count(w) / (w->dim[0] ? w->dim[0] : 1);
    if (w->layout == LAYOUT_PACKED) {
        cpu_conv_pack(cpu_of(dev)->conv.tile, w, rows, first, n);
        return;
    }
    for (int64_t i = 0; i < n * K; i++)
        backend_host_set(w, first * K + i, rows[i]);
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

/* What only moves numbers, or runs once per clip, is shared with the oracle. */
const struct backend_ops backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = backend_host_alloc,
    .release = backend_host_release,
    .upload = backend_host_move,
    .download = backend_host_move,
    .copy = backend_host_move,
    .report = cpu_report,
    .fill = backend_host_fill,
    .linear = cpu_linear,
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
    .upsample2 = backend_ref_volume_upsample2,
    .time_split = backend_ref_volume_time_split,
    .dup_up_add = backend_ref_volume_dup_up_add,
    .avg_down_add = backend_ref_volume_avg_down_add,
    .patchify = backend_ref_volume_patchify,
    .unpatchify = backend_ref_volume_unpatchify,
    .pack_rgb = backend_host_pack_rgb,
};
