#include "engine/cpu/cpu_conv.h"

#include <string.h>

#include "common/base/assert.h"

/* Output rows that one tile makes: neighbours share two of their three input rows. */
enum { CONV_STRIP_ROWS = 4, CONV_KERNEL_MAX = 5, CONV_PACK_BLOCK = 32 };

struct conv {
    struct cpu_pool *pool;
    const struct cpu_vec *vec;
    const struct cpu_vec_tile_kind *kind;
    struct tensor *out;
    const struct tensor *x;
    const struct conv_opts *o;
    int64_t C, O, W, H; /* input channels; output channels, columns, rows */
    int64_t kt, kh, kw, pad;
    int64_t n_cache, n_panels, n_strips;
    int64_t row_floats; /* one padded input row */
    int64_t run;        /* kw * C */
    float *packed;      /* [panel][kt*kh][run][nr] */
};

/* Weights [O][kt*kh][run] of one panel to [kt*kh*run][nr]; channels past the end are zero. In
 * blocks, so that what is written stays in the first-level cache until its lines are full. */
static void pack_panel(void *ctx, int64_t panel, int thread) {
    const struct conv *c = ctx;
    (void)thread;
    int64_t K = c->kt * c->kh * c->run, nr = c->kind->nr, first = panel * nr;
    const float *w = c->o->w->data;
    float *to = c->packed + panel * K * nr;
    for (int64_t k0 = 0; k0 < K; k0 += CONV_PACK_BLOCK) {
        int64_t k1 = k0 + CONV_PACK_BLOCK < K ? k0 + CONV_PACK_BLOCK : K;
        for (int64_t n = 0; n < nr; n++)
            for (int64_t k = k0; k < k1; k++)
                to[k * nr + n] = first + n < c->O ? w[(first + n) * K + k] : 0.0f;
    }
}

/* Frame t counts cached frames, then new ones. */
static const float *frame_at(const struct conv *c, int64_t t) {
    int64_t frame = c->x->dim[1] * c->x->dim[2] * c->C;
    if (t < c->n_cache) return (const float *)c->o->cache->data + t * frame;
    return (const float *)c->x->data + (t - c->n_cache) * frame;
}

/* Copies one input row with its zero columns; false when the row lies outside. */
static bool copy_row(const struct conv *c, float *to, const float *frame, int64_t row) {
    int64_t width = c->x->dim[2] * c->C;
    if (row < 0 || row >= c->x->dim[1]) return false;
    memset(to, 0, (size_t)(c->pad * c->C) * sizeof *to);
    memcpy(to + c->pad * c->C, frame + row * width, (size_t)width * sizeof *to);
    int64_t used = c->pad * c->C + width;
    memset(to + used, 0, (size_t)(c->row_floats - used) * sizeof *to);
    return true;
}

struct strip {
    int64_t t, first, n; /* output frame, first row, rows */
    int64_t in_rows;     /* input rows per frame under the strip */
    float *rows;         /* [kt][in_rows][row_floats] */
    bool is_there[CONV_KERNEL_MAX * (2 * CONV_STRIP_ROWS + CONV_KERNEL_MAX)];
};

static void gather_strip(const struct conv *c, struct strip *s) {
    for (int64_t a = 0; a < c->kt; a++) {
        const float *frame = frame_at(c, s->t * c->o->stride_t + a);
        for (int64_t i = 0; i < s->in_rows; i++) {
            int64_t at = a * s->in_rows + i;
            s->is_there[at] = copy_row(c, s->rows + at * c->row_floats, frame,
                                       s->first * c->o->stride_s + i - c->pad);
        }
    }
}

/* The taps of output row `row` of the strip; rows of zeros are left out. */
static int find_taps(const struct conv *c, const struct strip *s, int64_t row, int64_t panel,
                     struct cpu_vec_tap *tap) {
    int n = 0;
    const float *w = c->packed + panel * c->kt * c->kh * c->run * c->kind->nr;
    for (int64_t a = 0; a < c->kt; a++)
        for (int64_t i = 0; i < c->kh; i++) {
            int64_t at = a * s->in_rows + row * c->o->stride_s + i;
            if (!s->is_there[at]) continue;
            tap[n++] = (struct cpu_vec_tap){s->rows + at * c->row_floats,
                                            w + (a * c->kh + i) * c->run * c->kind->nr};
        }
    return n;
}

/* A row of pixels times one panel into `to` [W][nr]. The last group overlaps the one before. */
static void run_row(const struct conv *c, struct cpu_vec_tile *t, float *to) {
    int64_t step = c->o->stride_s * c->C, nr = c->kind->nr;
    int64_t group = c->W >= c->kind->mr ? c->kind->mr : c->W >= 4 ? 4 : 1;
    for (int64_t w = 0; w < c->W; w += group) {
        int64_t at = w + group <= c->W ? w : c->W - group;
        t->x = at * step;
        t->out = to + at * nr;
        if (group == c->kind->mr)
            c->kind->many(t);
        else if (group == 4)
            c->kind->four(t);
        else
            c->kind->one(t);
    }
}

/* Adds bias and activation while a row is warm, and drops the channels of padding. */
static void finish_row(const struct conv *c, const float *from, float *to, int64_t panel) {
    int64_t nr = c->kind->nr, first = panel * nr, n = c->O - first < nr ? c->O - first : nr;
    const float *b = c->o->b ? (const float *)c->o->b->data + first : NULL;
    for (int64_t w = 0; w < c->W; w++)
        c->vec->act(to + w * c->O + first, from + w * nr, b, n, c->o->act);
}

static void run_strip(void *ctx, int64_t tile, int thread) {
    const struct conv *c = ctx;
    float *scratch = cpu_pool_scratch(c->pool, thread);
    struct strip s = {.t = tile / c->n_strips, .first = tile % c->n_strips * CONV_STRIP_ROWS};
    struct cpu_vec_tap tap[CPU_VEC_TAPS_MAX];
    s.n = c->H - s.first < CONV_STRIP_ROWS ? c->H - s.first : CONV_STRIP_ROWS;
    s.in_rows = (s.n - 1) * c->o->stride_s + c->kh;
    s.rows = scratch + c->W * c->kind->nr;
    gather_strip(c, &s);
    for (int64_t panel = 0; panel < c->n_panels; panel++)
        for (int64_t row = 0; row < s.n; row++) {
            struct cpu_vec_tile t = {.tap = tap,
                                     .n_taps = find_taps(c, &s, row, panel, tap),
                                     .run = c->run,
                                     .stride = c->o->stride_s * c->C,
                                     .out_stride = c->kind->nr};
            float *to = (float *)c->out->data + ((s.t * c->H + s.first + row) * c->W) * c->O;
            run_row(c, &t, scratch);
            finish_row(c, scratch, to, panel);
        }
}

/* The widest panels that the channels fill: 3 channels take the narrowest. */
static const struct cpu_vec_tile_kind *pick_kind(const struct cpu_vec *vec, int64_t O) {
    for (int i = 0; i < CPU_VEC_TILE_KINDS - 1; i++)
        if (O % vec->tile[i].nr == 0 || O > 2 * vec->tile[i].nr) return &vec->tile[i];
    return &vec->tile[CPU_VEC_TILE_KINDS - 1];
}

enum err cpu_conv_run(struct cpu_pool *pool, const struct cpu_vec *vec, struct tensor *out,
                      const struct tensor *x, const struct conv_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv c = {.pool = pool, .vec = vec, .out = out, .x = x, .o = o};
    c.kt = o->w->dim[1], c.kh = o->w->dim[2], c.kw = o->w->dim[3];
    c.C = x->dim[3], c.O = out->dim[3], c.H = out->dim[1], c.W = out->dim[2];
    if (c.kt * c.kh > CPU_VEC_TAPS_MAX || c.kt > CONV_KERNEL_MAX || c.kh > CONV_KERNEL_MAX)
        return FAIL(f, ERR_UNSUPPORTED, "a kernel of %lld x %lld rows", (long long)c.kt,
                    (long long)c.kh);
    c.pad = o->stride_s == 1 ? (c.kw - 1) / 2 : 0;
    c.kind = pick_kind(vec, c.O);
    c.n_cache = o->cache ? o->cache->dim[0] : 0;
    c.n_panels = (c.O + c.kind->nr - 1) / c.kind->nr;
    c.n_strips = (c.H + CONV_STRIP_ROWS - 1) / CONV_STRIP_ROWS;
    c.run = c.kw * c.C;
    c.row_floats = (x->dim[2] + c.kw) * c.C;
    int64_t in_rows = (CONV_STRIP_ROWS - 1) * o->stride_s + c.kh;
    TRY(cpu_pool_reserve(pool, (size_t)(c.W * c.kind->nr + c.kt * in_rows * c.row_floats) * 4, f));
    TRY(cpu_pool_reserve_shared(pool, (size_t)(c.n_panels * c.kt * c.kh * c.run * c.kind->nr) * 4,
                                f));
    c.packed = cpu_pool_shared(pool);
    cpu_pool_run(pool, c.n_panels, pack_panel, &c);
    cpu_pool_run(pool, out->dim[0] * c.n_strips, run_strip, &c);
out:
    return rc;
}
