#include "engine/cpu/cpu_gemm.h"

#include <string.h>

#include "common/base/assert.h"
#include "engine/cpu/cpu_gemm_pack.h"

/* A stretch of K, so long that sums are rarely stored, and short enough that its rows of x and two
 * panels of its weights stay in a second-level cache of 1 MiB. Tiles are 120 x 128: the last
 * ones, which some threads wait for, are a hundredth of a product. */
enum {
    GEMM_PANEL_BYTES = 256 << 10,
    GEMM_TILE_ROWS = 120,
    GEMM_TILE_COLS = 128,
    GEMM_TILES_PER_THREAD = 8,
    GEMM_CONVERT_BYTES = 64 << 20,
    GEMM_LINE_BYTES = 64
};

static const struct {
    const struct cpu_gemm_kind *kind;
    enum cpu_isa isa;
} kinds[] = {
#if defined(__x86_64__)
    {&cpu_gemm_int8, CPU_ISA_AVX512VNNI},
    {&cpu_gemm_bf16, CPU_ISA_AVX512BF16},
    {&cpu_gemm_avx512, CPU_ISA_AVX512},
    {&cpu_gemm_avx2, CPU_ISA_AVX2},
#endif
};

const struct cpu_gemm_kind *cpu_gemm_find(enum dtype dtype, enum cpu_isa isa) {
    for (int i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].kind->dtype == dtype && kinds[i].isa <= isa) return kinds[i].kind;
    return NULL;
}

/* One product, or a stretch of its rows. */
struct gemm {
    struct cpu_pool *pool;
    const struct cpu_gemm_kind *kind;
    const struct linear_opts *o;
    struct tensor *out;
    const struct tensor *source; /* x as it came */
    const uint32_t *w;
    const char *x; /* in the kernel's numbers: row `first` and what follows */
    char *converted;
    float *x_scale;  /* of u8 rows, beside their zero points */
    int32_t *x_zero; /* both NULL for other numbers */
    const float *w_scale;
    const int32_t *w_total;
    int64_t x_stride; /* bytes */
    int64_t first, M; /* rows of the stretch */
    int64_t O, K, n_words;
    int64_t tile_rows, tile_panels, n_row_tiles, n_panels;
    int64_t k_step; /* numbers of K between two stores of the sums */
};

static void convert_rows(void *ctx, int64_t tile, int thread) {
    const struct gemm *g = ctx;
    (void)thread;
    size_t each = tensor_dtype_bytes(g->source->dtype);
    for (int64_t i = tile * CPU_GEMM_ROWS; i < (tile + 1) * CPU_GEMM_ROWS && i < g->M; i++) {
        const char *x = (const char *)g->source->data + (size_t)((g->first + i) * g->K) * each;
        g->kind->convert(g->converted + i * g->x_stride, x, g->source->dtype, g->K,
                         g->x_scale ? g->x_scale + i : NULL, g->x_zero ? g->x_zero + i : NULL);
    }
}

/* Where the sums of one sliver of rows and one panel lie between two stretches of K. */
struct tile {
    const struct gemm *g;
    float *sums; /* [panels][slivers][6][nr] */
    int64_t row, n_rows, panel, n_panels, n_slivers;
};

/* Where one sliver and one panel of the tile go. What is written there is fetched now, because a
 * store that misses the caches would hold up all that follow it. */
static struct cpu_gemm_out place(const struct tile *t, int64_t sliver, int64_t panel) {
    const struct gemm *g = t->g;
    int64_t nr = g->kind->nr, col = panel * nr, at = t->row + sliver * CPU_GEMM_ROWS;
    int64_t each = (int64_t)tensor_dtype_bytes(g->out->dtype), left = t->row + t->n_rows - at;
    struct cpu_gemm_out o = {.out_stride = g->O * each,
                             .out_dtype = g->out->dtype,
                             .n_rows = left < CPU_GEMM_ROWS ? left : CPU_GEMM_ROWS,
                             .n_cols = g->O - col < nr ? g->O - col : nr,
                             .b = g->o->b ? (const float *)g->o->b->data + col : NULL,
                             .act = g->o->act,
                             .add = g->o->add,
                             .scale_w = g->w_scale ? g->w_scale + col : NULL,
                             .total_w = g->w_total ? g->w_total + col : NULL,
                             .scale_x = g->x_scale ? g->x_scale + at : NULL,
                             .zero_x = g->x_zero ? g->x_zero + at : NULL};
    o.out = (char *)g->out->data + (g->first + at) * o.out_stride + col * each;
    for (int64_t i = 0; i < o.n_rows; i++) {
        if (g->o->gate) o.gate[i] = op_mod_row(g->o->gate, g->first + at + i, g->o->gate_row) + col;
        for (int64_t byte = 0; byte < o.n_cols * each; byte += GEMM_LINE_BYTES)
            __builtin_prefetch(o.out + i * o.out_stride + byte, 1);
    }
    return o;
}

/* The last word of K when a row ends within it: what lies behind the row is not ours to read. */
static void take_cut_word(const struct gemm *g, struct cpu_gemm_step *s, int64_t n_rows,
                          int64_t n_vecs) {
    char word[CPU_GEMM_ROWS][4] = {{0}};
    int64_t group = cpu_gemm_pack_group(g->kind);
    for (int64_t i = 0; i < n_rows; i++)
        memcpy(word[i], s->x + i * s->x_stride + s->n_words * 4,
               (size_t)(g->K % group * 4 / group));
    s->x = word[0];
    s->x_stride = sizeof word[0];
    s->w += s->n_words * g->kind->nr;
    s->is_first = s->is_first && s->n_words == 0;
    s->n_words = 1;
    g->kind->step[n_rows - 1][n_vecs - 1](s);
}

/* All slivers of the tile times one panel, numbers k .. k+n-1 of K. While one sliver is computed, a
 * share of the panel that comes next is fetched. */
static void run_panel(const struct tile *t, int64_t p, int64_t k, int64_t n) {
    const struct gemm *g = t->g;
    int64_t nr = g->kind->nr, panel = t->panel + p, cols = g->O - panel * nr;
    int64_t n_vecs = cols < nr ? (cols + g->kind->vec - 1) / g->kind->vec : nr / g->kind->vec;
    int64_t words = n / cpu_gemm_pack_group(g->kind), at = k / cpu_gemm_pack_group(g->kind);
    const uint32_t *w = g->w + (panel * g->n_words + at) * nr;
    const char *next = (const char *)(p + 1 < t->n_panels ? w + g->n_words * nr : w);
    int64_t share = p + 1 < t->n_panels ? nr * 4 / t->n_slivers + 1 : 0;
    for (int64_t i = 0; i < t->n_slivers; i++) {
        struct cpu_gemm_out o = place(t, i, panel);
        struct cpu_gemm_step s = {
            .x = g->x + (t->row + i * CPU_GEMM_ROWS) * g->x_stride + at * 4,
            .x_stride = g->x_stride,
            .w = w,
            .n_words = words,
            .sum = t->sums + (p * t->n_slivers + i) * CPU_GEMM_ROWS * nr,
            .is_first = k == 0,
            .ahead = next + i * share * words,
            .ahead_step = share,
        };
        if (g->k_step >= g->K) s.sum = t->sums;
        o.sum = s.sum;
        if (words > 0) g->kind->step[o.n_rows - 1][n_vecs - 1](&s);
        if (words * cpu_gemm_pack_group(g->kind) < n) take_cut_word(g, &s, o.n_rows, n_vecs);
        if (k + n == g->K) g->kind->finish(&o);
    }
}

static void run_tile(void *ctx, int64_t tile, int thread) {
    const struct gemm *g = ctx;
    struct tile t = {.g = g, .sums = cpu_pool_scratch(g->pool, thread)};
    t.row = tile % g->n_row_tiles * g->tile_rows;
    t.panel = tile / g->n_row_tiles * g->tile_panels;
    t.n_rows = g->M - t.row < g->tile_rows ? g->M - t.row : g->tile_rows;
    t.n_panels = g->n_panels - t.panel < g->tile_panels ? g->n_panels - t.panel : g->tile_panels;
    t.n_slivers = (t.n_rows + CPU_GEMM_ROWS - 1) / CPU_GEMM_ROWS;
    for (int64_t k = 0; k < g->K; k += g->k_step)
        for (int64_t p = 0; p < t.n_panels; p++)
            run_panel(&t, p, k, g->K - k < g->k_step ? g->K - k : g->k_step);
}

/* Rows are shared out evenly; then columns are cut until there is enough for every thread. */
static void plan_tiles(struct gemm *g) {
    int64_t n_threads = cpu_pool_n_threads(g->pool);
    g->n_row_tiles = (g->M + GEMM_TILE_ROWS - 1) / GEMM_TILE_ROWS;
    g->tile_rows = cpu_gemm_pack_up((g->M + g->n_row_tiles - 1) / g->n_row_tiles, CPU_GEMM_ROWS);
    g->n_row_tiles = (g->M + g->tile_rows - 1) / g->tile_rows;
    g->tile_panels = GEMM_TILE_COLS / g->kind->nr;
    while (g->tile_panels > 1 &&
           g->n_row_tiles * ((g->n_panels + g->tile_panels - 1) / g->tile_panels) <
               n_threads * GEMM_TILES_PER_THREAD)
        g->tile_panels--;
}

/* K is cut into equal stretches of whole words. */
static int64_t plan_k(const struct cpu_gemm_kind *kind, int64_t K) {
    int64_t most = GEMM_PANEL_BYTES / (kind->nr * 4) * cpu_gemm_pack_group(kind);
    int64_t n = (K + most - 1) / most;
    return cpu_gemm_pack_up((K + n - 1) / n, cpu_gemm_pack_group(kind));
}

static void run_stretch(struct gemm *g, int64_t first, int64_t M) {
    g->first = first;
    g->M = M;
    if (g->converted) {
        g->x = g->converted;
        cpu_pool_run(g->pool, (M + CPU_GEMM_ROWS - 1) / CPU_GEMM_ROWS, convert_rows, g);
    } else {
        g->x = (const char *)g->source->data + first * g->x_stride;
    }
    plan_tiles(g);
    int64_t n_col_tiles = (g->n_panels + g->tile_panels - 1) / g->tile_panels;
    cpu_pool_run(g->pool, g->n_row_tiles * n_col_tiles, run_tile, g);
}

enum err cpu_gemm_run(struct cpu_pool *pool, const struct cpu_gemm_kind *kind, struct tensor *out,
                      const struct tensor *x, const struct tensor *w, const struct linear_opts *o,
                      struct fail *f) {
    enum err rc = ERR_OK;
    struct gemm g = {
        .pool = pool, .kind = kind, .o = o, .out = out, .source = x, .w = w->data, .O = w->dim[0]};
    int64_t M = tensor_n_rows(x), step = M;
    g.K = tensor_n_cols(x);
    g.n_words = cpu_gemm_pack_words(kind, g.K);
    g.n_panels = (g.O + kind->nr - 1) / kind->nr;
    g.k_step = g.K > 0 ? plan_k(kind, g.K) : 1;
    g.x_stride = g.K * (int64_t)tensor_dtype_bytes(kind->x_dtype);
    if (kind->dtype == DTYPE_I8) {
        g.w_scale = cpu_gemm_pack_scales(kind, w->data, g.O, g.K);
        g.w_total = (const int32_t *)(g.w_scale + cpu_gemm_pack_up(g.O, kind->nr));
    }
    if (M == 0 || g.O == 0) return ERR_OK;
    ASSERT(g.K > 0);
    TRY(cpu_pool_reserve(pool, (size_t)(GEMM_TILE_ROWS * GEMM_TILE_COLS) * sizeof(float), f));
    if (x->dtype != kind->x_dtype) {
        step = cpu_gemm_pack_up(GEMM_CONVERT_BYTES / g.x_stride + 1, GEMM_TILE_ROWS);
        step = step < M ? step : M;
        size_t bytes = (size_t)cpu_gemm_pack_up(step * g.x_stride, GEMM_LINE_BYTES);
        TRY(cpu_pool_reserve_shared(pool, bytes + (size_t)step * 2 * sizeof(float), f));
        g.converted = cpu_pool_shared(pool);
        g.x_scale = kind->dtype == DTYPE_I8 ? (float *)(void *)(g.converted + bytes) : NULL;
        g.x_zero = g.x_scale ? (int32_t *)(g.x_scale + step) : NULL;
    }
    for (int64_t first = 0; first < M; first += step)
        run_stretch(&g, first, M - first < step ? M - first : step);
out:
    return rc;
}
