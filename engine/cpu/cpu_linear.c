#include "engine/cpu/cpu_linear.h"

#include <string.h>

#include "engine/cpu/cpu_gemm_pack.h"

/* How a product is cut must not depend on the number of threads: OpenBLAS sums in an order that
 * depends on the shape it gets. */
enum { LINEAR_ROWS_MIN = 32, LINEAR_TILES = 16 };

void cpu_linear_open(struct cpu_linear *l, enum precision precision, enum cpu_isa isa) {
    l->gemm = precision == PRECISION_F32 ? NULL : cpu_gemm_find(DTYPE_BF16, isa);
    if (!l->gemm) l->gemm = cpu_gemm_find(DTYPE_F32, isa);
    l->gemm_int8 = precision == PRECISION_INT8 ? cpu_gemm_find(DTYPE_I8, isa) : NULL;
    l->rows = cpu_rows_find(isa, precision);
    if (!l->gemm) l->uses_blas = true;
}

/* A product of OpenBLAS is cut along its longer side; bias and activation follow while it is warm.
 */
struct product {
    const struct cpu_linear *l;
    struct tensor *out;
    const struct tensor *x, *w;
    const struct linear_opts *o;
    int64_t N, K, O, rows, cols, n_col_tiles;
};

static void product_tile(void *ctx, int64_t tile, int thread) {
    const struct product *p = ctx;
    (void)thread;
    int64_t row = tile / p->n_col_tiles * p->rows, col = tile % p->n_col_tiles * p->cols;
    int64_t m = p->N - row < p->rows ? p->N - row : p->rows;
    int64_t n = p->O - col < p->cols ? p->O - col : p->cols;
    float *out = (float *)p->out->data + row * p->O + col;
    struct cpu_blas_product g = {.m = m,
                                 .n = n,
                                 .k = p->K,
                                 .x = (const float *)p->x->data + row * p->K,
                                 .w = (const float *)p->w->data + col * p->K,
                                 .out = out,
                                 .out_stride = p->O};
    cpu_blas_multiply(p->l->blas, &g);
    if (!p->o->b && p->o->act == ACT_NONE) return;
    for (int64_t i = 0; i < m; i++)
        p->l->vec->act(out + i * p->O, out + i * p->O,
                       p->o->b ? (const float *)p->o->b->data + col : NULL, n, p->o->act);
}

static int64_t share(int64_t n, int64_t least) {
    int64_t each = ((n + LINEAR_TILES - 1) / LINEAR_TILES + 15) / 16 * 16;
    return each < least ? least : each;
}

static void run_blas(const struct cpu_linear *l, struct tensor *out, const struct tensor *x,
                     const struct tensor *w, const struct linear_opts *o) {
    struct product p = {.l = l, .out = out, .x = x, .w = w, .o = o};
    p.N = tensor_n_rows(x), p.K = tensor_n_cols(x), p.O = w->dim[0];
    bool is_tall = p.N >= p.O / 2 || p.N >= LINEAR_ROWS_MIN * LINEAR_TILES;
    p.rows = is_tall ? share(p.N, LINEAR_ROWS_MIN * 2) : p.N;
    p.cols = is_tall ? p.O : share(p.O, LINEAR_ROWS_MIN);
    if (p.N == 0 || p.O == 0) return;
    p.n_col_tiles = (p.O + p.cols - 1) / p.cols;
    cpu_pool_run(l->pool, (p.N + p.rows - 1) / p.rows * p.n_col_tiles, product_tile, &p);
}

static const struct cpu_gemm_kind *kind_of(const struct cpu_linear *l, const struct tensor *w) {
    return w->dtype == DTYPE_I8 && l->gemm_int8 ? l->gemm_int8 : l->gemm;
}

enum err cpu_linear_run(struct cpu_linear *l, struct tensor *out, const struct tensor *x,
                        const struct tensor *w, const struct linear_opts *o, struct fail *f) {
    if (w->layout == LAYOUT_PACKED) return cpu_gemm_run(l->pool, kind_of(l, w), out, x, w, o, f);
    bool is_f32 = x->dtype == DTYPE_F32 && w->dtype == DTYPE_F32 && out->dtype == DTYPE_F32;
    if (is_f32 && !o->add && l->uses_blas) {
        run_blas(l, out, x, w, o);
        return ERR_OK;
    }
    return cpu_rows_run(
        &(struct cpu_rows){
            .pool = l->pool, .vec = l->vec, .kernel = l->rows, .out = out, .x = x, .w = w, .o = o},
        f);
}

size_t cpu_linear_packed(const struct cpu_linear *l, struct tensor *w) {
    const struct cpu_gemm_kind *kind = kind_of(l, w);
    w->layout = kind ? LAYOUT_PACKED : LAYOUT_ROWS;
    w->dtype = kind ? kind->dtype : DTYPE_F32;
    return kind ? cpu_gemm_pack_bytes(kind, w->dim[0], w->dim[1]) : tensor_bytes(w);
}

void cpu_linear_pack(const struct cpu_linear *l, struct tensor *w, const float *rows, int64_t first,
                     int64_t n) {
    int64_t K = w->dim[1];
    if (kind_of(l, w))
        cpu_gemm_pack_rows(l->pool, kind_of(l, w), w, rows, first, n);
    else
        memcpy((float *)w->data + first * K, rows, (size_t)(n * K) * sizeof *rows);
}
