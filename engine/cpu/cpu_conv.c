#include "engine/cpu/cpu_conv.h"

#include <string.h>

#include "common/base/assert.h"
#include "engine/half.h"

enum {
    KERNEL_MAX = 5,      /* rows and frames of a kernel */
    STRIP_ROWS_MAX = 16, /* output rows that share a gathered strip */
    STRIP_PIXELS = 256,  /* wanted in a strip: each word of the weights is read once for all */
    STRIP_BYTES_MAX = 1 << 20,  /* of gathered input */
    PASS_BYTES_MAX = 256 << 10, /* of one panel: they stay in the second-level cache for a strip */
    TILES_PER_THREAD = 4,
};

struct conv {
    struct cpu_conv by;
    const struct cpu_tile_kind *kind;
    struct tensor *out;
    const struct tensor *x;
    const struct conv_opts *o;
    const uint32_t *w;
    int64_t C, O, W, H; /* input channels; output channels, columns, rows */
    int64_t kt, kh, kw, pad;
    int64_t H_in, W_in; /* as the kernel sees them */
    int64_t n_cache;
    int64_t pixel, row, run, K; /* words: of a pixel; of a padded row; of a tap; of a kernel */
    int64_t strip_rows, n_strips;
    int64_t taps_per_pass;
    int64_t n_panels, panels_per_tile, n_tiles_at;
};

/* Frame t counts cached frames, then new ones. */
static const char *frame_at(const struct conv *c, int64_t t) {
    size_t size = tensor_dtype_bytes(c->x->dtype);
    int64_t frame = c->x->dim[1] * c->x->dim[2] * c->C;
    const struct tensor *from = t < c->n_cache ? c->o->cache : c->x;
    int64_t at = t < c->n_cache ? (t + c->o->oldest) % c->n_cache : t - c->n_cache;
    return (const char *)from->data + (size_t)(at * frame) * size;
}

static float real_at(const void *p, enum dtype dtype, int64_t i) {
    return dtype == DTYPE_F32 ? ((const float *)p)[i] : half_bf16(((const uint16_t *)p)[i]);
}

/* n pixels of another type, or of an odd number of channels. */
static void convert_pixels(const struct conv *c, uint32_t *to, const void *from, int64_t n) {
    for (int64_t i = 0; i < n; i++, to += c->pixel)
        for (int64_t k = 0; k < c->C; k++) {
            float v = real_at(from, c->x->dtype, i * c->C + k);
            if (c->kind->dtype == DTYPE_F32)
                memcpy(to + k, &v, sizeof v);
            else if (k % 2 == 0)
                to[k / 2] = half_to_bf16(v);
            else
                to[k / 2] |= (uint32_t)half_to_bf16(v) << 16;
        }
}

/* Every pixel of a row becomes two, from the last one down: the row lies where it began. */
static void double_pixels(uint32_t *row, int64_t n, int64_t pixel) {
    for (int64_t i = n - 1; i >= 0; i--) {
        size_t size = (size_t)pixel * sizeof *row;
        memmove(row + (2 * i + 1) * pixel, row + i * pixel, size);
        memmove(row + 2 * i * pixel, row + i * pixel, size);
    }
}

/* Copies one input row with its zero columns; false when the row lies outside. */
static bool copy_row(const struct conv *c, uint32_t *to, const char *frame, int64_t row) {
    size_t size = tensor_dtype_bytes(c->x->dtype);
    int64_t W = c->x->dim[2], used = (c->pad + c->W_in) * c->pixel;
    if (row < 0 || row >= c->H_in) return false;
    const char *from = frame + (size_t)((c->o->is_doubled ? row / 2 : row) * W * c->C) * size;
    uint32_t *first = to + c->pad * c->pixel;
    memset(to, 0, (size_t)(c->pad * c->pixel) * sizeof *to);
    if (c->x->dtype == c->kind->dtype && (size_t)c->C * size == (size_t)c->pixel * sizeof *to)
        memcpy(first, from, (size_t)(W * c->C) * size);
    else
        convert_pixels(c, first, from, W);
    if (c->o->is_doubled) double_pixels(first, W, c->pixel);
    memset(to + used, 0, (size_t)(c->row - used) * sizeof *to);
    return true;
}

struct strip {
    int64_t t, first, n; /* output frame, first row, rows */
    int64_t in_rows;     /* input rows per frame under the strip */
    uint32_t *rows;      /* [kt][in_rows][row] */
    float *sum;          /* [n][W][panel] */
    bool is_there[KERNEL_MAX * (2 * STRIP_ROWS_MAX + KERNEL_MAX)];
};

static void gather_strip(const struct conv *c, struct strip *s) {
    for (int64_t a = 0; a < c->kt; a++) {
        const char *frame = frame_at(c, s->t * c->o->stride_t + a);
        for (int64_t i = 0; i < s->in_rows; i++) {
            int64_t at = a * s->in_rows + i;
            s->is_there[at] =
                copy_row(c, s->rows + at * c->row, frame, s->first * c->o->stride_s + i - c->pad);
        }
    }
}

/* Taps first .. first+n-1 for output row `row` of the strip; rows of zeros are left out. */
static int find_taps(const struct conv *c, const struct strip *s, int64_t row, int64_t first,
                     int64_t n, const uint32_t *w, int64_t width, struct cpu_tile_tap *tap) {
    int found = 0;
    for (int64_t i = first; i < first + n; i++) {
        int64_t at = i / c->kh * s->in_rows + row * c->o->stride_s + i % c->kh;
        if (!s->is_there[at]) continue;
        tap[found++] = (struct cpu_tile_tap){s->rows + at * c->row, w + i * c->run * width};
    }
    return found;
}

/* One output row in tiles of equal length, or nearly. */
static void run_row(const struct conv *c, struct cpu_tile *t, float *sum, int64_t width) {
    int64_t n_tiles = (c->W + c->kind->n_pixels_max - 1) / c->kind->n_pixels_max;
    int which = width == c->kind->wide ? 0 : 1;
    for (int64_t i = 0, w = 0; i < n_tiles; i++) {
        int64_t n = (c->W - w + n_tiles - i - 1) / (n_tiles - i);
        t->x = w * t->stride;
        t->sum = sum + w * width;
        c->kind->run[which](t, n);
        w += n;
    }
}

/* Bias, activation and what is added, while a row is warm. */
static void store_row(const struct conv *c, const struct strip *s, int64_t row, int64_t panel,
                      int64_t width, float *sum) {
    int64_t first = panel * c->kind->wide, n = c->O - first < width ? c->O - first : width;
    const float *b = c->o->b ? (const float *)c->o->b->data + first : NULL;
    int64_t at = ((s->t * c->H + s->first + row) * c->W) * c->O + first;
    const struct tensor *add = c->o->add;
    struct cpu_tile_out out = {.sum = sum, .n = c->W, .panel = width, .O = n, .stride = c->O};
    if (c->o->act != ACT_NONE)
        for (int64_t w = 0; w < c->W; w++)
            c->by.vec->act(sum + w * width, sum + w * width, b, n, c->o->act);
    else
        out.b = b;
    out.out_dtype = c->out->dtype;
    out.out = (char *)c->out->data + (size_t)at * tensor_dtype_bytes(c->out->dtype);
    if (add) {
        out.add_dtype = add->dtype;
        out.add = (const char *)add->data + (size_t)at * tensor_dtype_bytes(add->dtype);
    }
    c->kind->store(&out);
}

static void run_panel(const struct conv *c, const struct strip *s, int64_t panel) {
    struct cpu_tile_tap tap[KERNEL_MAX * KERNEL_MAX];
    int64_t width = cpu_tile_panel(c->kind, c->O, panel), n_taps = c->kt * c->kh;
    const uint32_t *w = c->w + panel * c->kind->wide * c->K;
    for (int64_t first = 0; first < n_taps; first += c->taps_per_pass) {
        int64_t n = n_taps - first < c->taps_per_pass ? n_taps - first : c->taps_per_pass;
        for (int64_t row = 0; row < s->n; row++) {
            struct cpu_tile t = {.tap = tap,
                                 .n_taps = find_taps(c, s, row, first, n, w, width, tap),
                                 .run = c->run,
                                 .stride = c->o->stride_s * c->pixel,
                                 .is_first = first == 0};
            run_row(c, &t, s->sum + row * c->W * width, width);
        }
    }
    for (int64_t row = 0; row < s->n; row++)
        store_row(c, s, row, panel, width, s->sum + row * c->W * width);
}

static void run_tile(void *ctx, int64_t tile, int thread) {
    const struct conv *c = ctx;
    int64_t place = tile % c->n_tiles_at, first = tile / c->n_tiles_at * c->panels_per_tile;
    int64_t last =
        first + c->panels_per_tile < c->n_panels ? first + c->panels_per_tile : c->n_panels;
    struct strip s = {.t = place / c->n_strips, .first = place % c->n_strips * c->strip_rows};
    s.n = c->H - s.first < c->strip_rows ? c->H - s.first : c->strip_rows;
    s.in_rows = (s.n - 1) * c->o->stride_s + c->kh;
    s.sum = cpu_pool_scratch(c->by.pool, thread);
    s.rows = (uint32_t *)(s.sum + c->strip_rows * c->W * c->kind->wide);
    gather_strip(c, &s);
    for (int64_t panel = first; panel < last; panel++)
        run_panel(c, &s, panel);
}

static int64_t at_least_1(int64_t n) {
    return n < 1 ? 1 : n;
}

static int64_t in_rows(const struct conv *c, int64_t rows) {
    return (rows - 1) * c->o->stride_s + c->kh;
}

/* How the work is cut. Nothing here depends on the number of threads but the size of the tiles
 * that are handed out, which the sums do not see. */
static void plan_tiles(struct conv *c) {
    int64_t n_threads = cpu_pool_n_threads(c->by.pool);
    int64_t rows = (STRIP_PIXELS + c->W - 1) / c->W;
    rows = rows > STRIP_ROWS_MAX ? STRIP_ROWS_MAX : rows;
    rows = rows > c->H ? c->H : rows;
    while (rows > 1 && c->kt * in_rows(c, rows) * c->row * 4 > STRIP_BYTES_MAX &&
           rows * c->W > STRIP_PIXELS / 4)
        rows--;
    c->strip_rows = at_least_1(rows);
    c->n_strips = (c->H + c->strip_rows - 1) / c->strip_rows;
    c->n_tiles_at = c->out->dim[0] * c->n_strips;
    c->taps_per_pass = at_least_1(PASS_BYTES_MAX / (c->run * c->kind->wide * 4));
    c->n_panels = (c->O + c->kind->wide - 1) / c->kind->wide;
    int64_t cuts = (TILES_PER_THREAD * n_threads + c->n_tiles_at - 1) / at_least_1(c->n_tiles_at);
    c->panels_per_tile = n_threads == 1 ? c->n_panels : at_least_1(c->n_panels / cuts);
}

static void measure(struct conv *c) {
    const struct tensor *w = c->o->w, *x = c->x;
    int64_t times = c->o->is_doubled ? 2 : 1;
    c->kt = w->dim[1], c->kh = w->dim[2], c->kw = w->dim[3];
    c->C = x->dim[3], c->O = c->out->dim[3], c->H = c->out->dim[1], c->W = c->out->dim[2];
    c->H_in = x->dim[1] * times, c->W_in = x->dim[2] * times;
    c->pad = c->o->stride_s == 1 || c->o->is_centred ? (c->kw - 1) / 2 : 0;
    c->n_cache = c->o->cache ? c->o->cache->dim[0] : 0;
    c->pixel = c->kind->dtype == DTYPE_BF16 ? (c->C + 1) / 2 : c->C;
    c->row = (c->W_in + c->kw) * c->pixel;
    c->run = c->kw * c->pixel;
    c->K = c->kt * c->kh * c->run;
}

/* Weights that nobody packed: tests and small models. */
static enum err pack_plain(struct conv *c, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor packed = *c->o->w;
    TRY(cpu_pool_reserve_shared(c->by.pool, cpu_conv_pack_bytes(c->kind, &packed), f));
    packed.data = cpu_pool_shared(c->by.pool);
    cpu_conv_pack_rows(c->kind, &packed, c->o->w->data, 0, packed.dim[0]);
    c->w = packed.data;
out:
    return rc;
}

enum err cpu_conv_run(const struct cpu_conv *by, struct tensor *out, const struct tensor *x,
                      const struct conv_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    bool is_packed = o->w->layout == LAYOUT_PACKED;
    struct conv c = {.by = *by, .out = out, .x = x, .o = o, .w = o->w->data};

    c.kind = is_packed ? by->tile : by->plain;
    ASSERT(c.kind && c.kind->dtype == o->w->dtype);
    measure(&c);
    if (c.kt > KERNEL_MAX || c.kh > KERNEL_MAX)
        return FAIL(f, ERR_UNSUPPORTED, "a kernel of %lld x %lld rows", (long long)c.kt,
                    (long long)c.kh);
    if (tensor_count(out) == 0) return ERR_OK;
    plan_tiles(&c);
    if (!is_packed) TRY(pack_plain(&c, f));
    int64_t words = c.strip_rows * c.W * c.kind->wide + c.kt * in_rows(&c, c.strip_rows) * c.row;
    TRY(cpu_pool_reserve(by->pool, (size_t)words * sizeof(uint32_t), f));
    cpu_pool_run(by->pool,
                 c.n_tiles_at * ((c.n_panels + c.panels_per_tile - 1) / c.panels_per_tile),
                 run_tile, &c);
out:
    return rc;
}
