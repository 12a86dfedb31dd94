#include "engine/cpu/cpu_rows.h"

#include <string.h>

#include "common/base/assert.h"
#include "engine/half.h"

enum {
    TILE_BYTES = 1 << 20, /* of w that a thread takes at a time: neighbours in a file share locks */
    TILE_COLS_MIN = 32,   /* rows of w in a tile */
    TILE_COLS_MAX = 128,
    TOUCH_BYTES = 65536, /* the kernel of the system maps that many at a fault, if it has them */
    CHUNK_ROWS = 256,    /* of x; more are a second run over w */
};

static const struct {
    const struct cpu_rows_kernel *kernel;
    enum cpu_isa isa;
} rows[] = {
#if defined(__x86_64__)
    {&cpu_rows_bf16, CPU_ISA_AVX512BF16},
    {&cpu_rows_avx512, CPU_ISA_AVX512},
    {&cpu_rows_avx2, CPU_ISA_AVX2},
#endif
    {&cpu_rows_base, CPU_ISA_BASE},
};

const struct cpu_rows_kernel *cpu_rows_find(enum cpu_isa isa, enum precision precision) {
    int i = 0;
    while (rows[i].isa > isa || (precision == PRECISION_F32 && rows[i].kernel->dtype != DTYPE_F32))
        i++;
    return rows[i].kernel;
}

/* A run over at most CHUNK_ROWS rows of x, which lie in the order of the kernel: blocks of nearly
 * equal height, because a low one leaves the adders idle. */
struct run {
    const struct cpu_rows *r;
    int64_t first, M, K, K_up, O; /* rows of x; numbers of a row, rounded up to steps; rows of w */
    int64_t cols;                 /* rows of w in a tile */
    int n_blocks, each;           /* bytes of a number of the kernel */
    bool is_direct;               /* w is read as it is */
    char *x;
};

static int64_t block_first(const struct run *u, int block) {
    return u->M * block / u->n_blocks;
}

static int block_rows(const struct run *u, int block) {
    return (int)(block_first(u, block + 1) - block_first(u, block));
}

static const char *row_at(const struct tensor *t, int64_t row, int64_t K) {
    return (const char *)t->data + row * K * (int64_t)tensor_dtype_bytes(t->dtype);
}

static int64_t row_each(const struct run *u) {
    return (int64_t)tensor_dtype_bytes(u->r->w->dtype);
}

/* As many rows of w as make TILE_BYTES, in fours. */
static int64_t tile_cols(const struct run *u) {
    int64_t n = TILE_BYTES / (u->K * row_each(u) + 1) / CPU_ROWS_W * CPU_ROWS_W;
    return n < TILE_COLS_MIN ? TILE_COLS_MIN : n > TILE_COLS_MAX ? TILE_COLS_MAX : n;
}

/* A row in the numbers of the kernel, zeros behind its end. */
static void widen_row(const struct run *u, char *out, const char *from, enum dtype dtype) {
    u->r->kernel->convert(out, from, dtype, u->K);
    memset(out + u->K * u->each, 0, (size_t)((u->K_up - u->K) * u->each));
}

static void arrange_block(void *ctx, int64_t block, int thread) {
    const struct run *u = ctx;
    const struct tensor *x = u->r->x;
    int n = block_rows(u, (int)block), step_bytes = u->r->kernel->step * u->each;
    int64_t first = block_first(u, (int)block);
    char *to = u->x + first * u->K_up * u->each, *row = cpu_pool_scratch(u->r->pool, thread);
    for (int i = 0; i < n; i++) {
        widen_row(u, row, row_at(x, u->first + first + i, u->K), x->dtype);
        for (int64_t s = 0; s < u->K_up / u->r->kernel->step; s++)
            memcpy(to + (s * n + i) * step_bytes, row + s * step_bytes, (size_t)step_bytes);
    }
}

/* Room of one thread: sums of a tile, then four rows of w. */
static size_t tile_bytes(const struct run *u) {
    return CHUNK_ROWS * TILE_COLS_MAX * sizeof(float) + (size_t)(CPU_ROWS_W * u->K_up * u->each);
}

/* Four rows of w from `col` on; beyond the last one the last one again. */
static void point_at_w(const struct run *u, const char *w[CPU_ROWS_W], int64_t col, char *room) {
    for (int o = 0; o < CPU_ROWS_W; o++) {
        int64_t at = col + o < u->O ? col + o : u->O - 1;
        w[o] = row_at(u->r->w, at, u->K);
        if (u->is_direct) continue;
        char *to = room + o * u->K_up * u->each;
        widen_row(u, to, w[o], u->r->w->dtype);
        w[o] = to;
    }
}

/* Which of the next four rows a block fetches: all of them, every second, or one each. */
static void point_ahead(const struct run *u, struct cpu_rows_block *b, int block, int64_t col) {
    b->n_ahead = 0;
    if (!u->is_direct || col >= u->O || block >= CPU_ROWS_W) return;
    for (int o = block; o < CPU_ROWS_W && col + o < u->O; o += u->n_blocks)
        b->ahead[b->n_ahead++] = row_at(u->r->w, col + o, u->K);
    if (b->n_ahead == 3) b->n_ahead = 2;
}

/* Reads a byte here and there, so that pages are there when rows are fetched: a fetch of a page
 * that is not mapped does nothing. */
static void touch(const struct run *u, int64_t col) {
    if (!u->is_direct || col >= u->O) return;
    int64_t end = col + u->cols < u->O ? col + u->cols : u->O;
    const char *p = row_at(u->r->w, col, u->K), *stop = row_at(u->r->w, end, u->K);
    for (; p < stop; p += TOUCH_BYTES)
        (void)*(volatile const char *)p;
}

static void store_row(const struct run *u, float *sums, int64_t row, int64_t col, int64_t n) {
    const struct cpu_rows *r = u->r;
    const struct linear_opts *o = r->o;
    const float *b = o->b ? (const float *)o->b->data + col : NULL;
    const float *gate = o->gate ? op_mod_row(o->gate, row, o->gate_row) + col : NULL;
    int64_t at = row * u->O + col;
    if (b || o->act != ACT_NONE) r->vec->act(sums, sums, b, n, o->act);
    float *wide = (float *)r->out->data + at;
    uint16_t *narrow = (uint16_t *)r->out->data + at;
    if (o->add) {
        for (int64_t i = 0; i < n; i++)
            wide[i] += (gate ? gate[i] : 1.0f) * sums[i];
    } else if (r->out->dtype == DTYPE_F32) {
        memcpy(wide, sums, (size_t)n * sizeof *sums);
    } else {
        for (int64_t i = 0; i < n; i++)
            narrow[i] = half_to_bf16(sums[i]);
    }
}

static void tile(void *ctx, int64_t number, int thread) {
    const struct run *u = ctx;
    float *sums = cpu_pool_scratch(u->r->pool, thread);
    char *room = (char *)(sums + CHUNK_ROWS * TILE_COLS_MAX);
    int64_t first = number * u->cols, n = u->O - first < u->cols ? u->O - first : u->cols;
    touch(u, first);
    for (int64_t col = 0; col < n; col += CPU_ROWS_W) {
        struct cpu_rows_block b = {.K = u->K_up, .out_stride = u->cols};
        point_at_w(u, b.w, first + col, room);
        for (int i = 0; i < u->n_blocks; i++) {
            point_ahead(u, &b, i, first + col + CPU_ROWS_W);
            b.x = u->x + block_first(u, i) * u->K_up * u->each;
            b.out = sums + block_first(u, i) * u->cols + col;
            u->r->kernel->block[block_rows(u, i) - 1](&b);
        }
    }
    for (int64_t i = 0; i < u->M; i++)
        store_row(u, sums + i * u->cols, u->first + i, first, n);
}

enum err cpu_rows_run(const struct cpu_rows *r, struct fail *f) {
    enum err rc = ERR_OK;
    const struct cpu_rows_kernel *k = r->kernel;
    int64_t n_rows = tensor_n_rows(r->x);
    struct run u = {.r = r, .K = tensor_n_cols(r->x), .O = r->w->dim[0]};
    u.each = (int)tensor_dtype_bytes(k->dtype);
    u.K_up = (u.K + k->step - 1) / k->step * k->step;
    /* A file may put numbers at any address. */
    u.is_direct =
        r->w->dtype == k->dtype && u.K_up == u.K && (uintptr_t)r->w->data % (uintptr_t)u.each == 0;
    u.cols = tile_cols(&u);
    if (u.O == 0) return ERR_OK;
    TRY(cpu_pool_reserve(r->pool, tile_bytes(&u), f));
    int64_t most = n_rows < CHUNK_ROWS ? n_rows : CHUNK_ROWS;
    TRY(cpu_pool_reserve_shared(r->pool, (size_t)(most * u.K_up * u.each), f));
    u.x = cpu_pool_shared(r->pool);
    for (u.first = 0; u.first < n_rows; u.first += CHUNK_ROWS) {
        u.M = n_rows - u.first < CHUNK_ROWS ? n_rows - u.first : CHUNK_ROWS;
        u.n_blocks = (int)((u.M + k->n_x - 1) / k->n_x);
        cpu_pool_run(r->pool, u.n_blocks, arrange_block, &u);
        cpu_pool_run(r->pool, (u.O + u.cols - 1) / u.cols, tile, &u);
    }
out:
    return rc;
}
