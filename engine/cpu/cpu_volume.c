#include "engine/cpu/cpu_volume.h"

#include <math.h>
#include <string.h>

#include "engine/backend_host.h"

enum { COPY_BYTES = 1 << 20, PACK_VALUES = 1 << 15 };

struct copy {
    char *to;
    const char *from;
    size_t bytes;
};

static void copy_piece(void *ctx, int64_t tile, int thread) {
    const struct copy *c = ctx;
    size_t at = (size_t)tile * COPY_BYTES, left = c->bytes - at;
    (void)thread;
    memcpy(c->to + at, c->from + at, left < COPY_BYTES ? left : COPY_BYTES);
}

void cpu_volume_copy(struct cpu_pool *pool, void *to, const void *from, size_t bytes) {
    struct copy c = {to, from, bytes};
    bool is_apart = c.to + bytes <= c.from || c.from + bytes <= c.to;
    if (bytes > COPY_BYTES && is_apart)
        cpu_pool_run(pool, (int64_t)((bytes + COPY_BYTES - 1) / COPY_BYTES), copy_piece, &c);
    else if (bytes > 0)
        memmove(to, from, bytes);
}

/* A tile is one row of pixels of `rows`: the volume that has more of them. */
struct walk {
    struct tensor *out;
    const struct tensor *x, *w;
    const struct patch *patch;
    int ft, fs, n; /* n: frames that are dropped, or put before */
};

static void run_rows(struct cpu_pool *pool, const struct walk *w, const struct tensor *rows,
                     cpu_pool_fn fn) {
    cpu_pool_run(pool, rows->dim[0] * rows->dim[1], fn, (void *)w);
}

static char *at(const struct tensor *t, int64_t i) {
    return (char *)t->data + (size_t)i * tensor_dtype_bytes(t->dtype);
}

/* n values from one tensor to another, which may be of another type. */
static void move(const struct tensor *out, int64_t to, const struct tensor *x, int64_t from,
                 int64_t n) {
    if (out->dtype == x->dtype)
        memcpy(at(out, to), at(x, from), (size_t)n * tensor_dtype_bytes(x->dtype));
    else
        for (int64_t i = 0; i < n; i++)
            backend_host_set(out, to + i, backend_host_get(x, from + i));
}

enum { DEPTHWISE_CHANNELS = 32 };

/* A block of channels of one row, pixel by pixel: sums stay in registers over the kernel. */
static void depthwise_block(const struct walk *r, int64_t row, int64_t first, int64_t n) {
    const struct tensor *x = r->x, *k = r->w;
    int64_t H = x->dim[1], W = x->dim[2], C = x->dim[3], kh = k->dim[1], kw = k->dim[2];
    int64_t t = row / H, h = row % H;
    const float *weight = (const float *)k->data + first * kh * kw;
    for (int64_t w = 0; w < W; w++) {
        float sum[DEPTHWISE_CHANNELS] = {0}, value[DEPTHWISE_CHANNELS];
        for (int64_t i = 0; i < kh; i++)
            for (int64_t j = 0; j < kw; j++) {
                int64_t y = h + i - (kh - 1) / 2, z = w + j - (kw - 1) / 2;
                if (y < 0 || y >= H || z < 0 || z >= W) continue;
                int64_t from = ((t * H + y) * W + z) * C + first;
                for (int64_t c = 0; c < n; c++)
                    value[c] = backend_host_get(x, from + c);
                for (int64_t c = 0; c < n; c++)
                    sum[c] += value[c] * weight[c * kh * kw + i * kw + j];
            }
        for (int64_t c = 0; c < n; c++)
            backend_host_set(r->out, (row * W + w) * C + first + c, sum[c]);
    }
}

static void depthwise_row(void *ctx, int64_t tile, int thread) {
    const struct walk *r = ctx;
    int64_t C = r->x->dim[3];
    (void)thread;
    for (int64_t c = 0; c < C; c += DEPTHWISE_CHANNELS)
        depthwise_block(r, tile, c, C - c < DEPTHWISE_CHANNELS ? C - c : DEPTHWISE_CHANNELS);
}

void cpu_volume_depthwise(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                          const struct tensor *w) {
    struct walk r = {.out = out, .x = x, .w = w};
    run_rows(pool, &r, out, depthwise_row);
}

static void split_row(void *ctx, int64_t tile, int thread) {
    const struct walk *r = ctx;
    int64_t H = r->out->dim[1], W = r->out->dim[2], C = r->out->dim[3];
    int64_t t = tile / H, h = tile % H;
    (void)thread;
    for (int64_t w = 0; w < W; w++)
        move(r->out, (tile * W + w) * C, r->x, (((t / 2 * H + h) * W + w) * 2 + t % 2) * C, C);
}

void cpu_volume_time_split(struct cpu_pool *pool, struct tensor *out, const struct tensor *x) {
    struct walk w = {.out = out, .x = x};
    run_rows(pool, &w, out, split_row);
}

static void add_f32(float *out, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] += x[i];
}

static void add_bf16(uint16_t *out, const uint16_t *x, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        out[i] = half_to_bf16(half_bf16(out[i]) + half_bf16(x[i]));
}

/* out[o] += x[(o * n + k) / repeats], without a division; where there are as many channels on
 * both sides, that is o. */
static void add_copies(const struct tensor *out, int64_t to, const struct tensor *x, int64_t from,
                       int64_t n, int64_t k, int64_t repeats) {
    int64_t O = out->dim[3], c = 0, rest = k;
    bool is_f32 = out->dtype == DTYPE_F32;
    if (n == repeats && out->dtype == x->dtype) {
        if (is_f32)
            add_f32((float *)out->data + to, (const float *)x->data + from, O);
        else
            add_bf16((uint16_t *)out->data + to, (const uint16_t *)x->data + from, O);
        return;
    }
    for (int64_t o = 0; o < O; o++, rest += n) {
        for (; rest >= repeats; rest -= repeats)
            c++;
        backend_host_set(out, to + o,
                         backend_host_get(out, to + o) + backend_host_get(x, from + c));
    }
}

static void dup_row(void *ctx, int64_t tile, int thread) {
    const struct walk *r = ctx;
    int64_t H = r->out->dim[1], W = r->out->dim[2], O = r->out->dim[3], C = r->x->dim[3];
    int64_t n = r->ft * r->fs * r->fs, t = tile / H + r->n, h = tile % H;
    (void)thread;
    for (int64_t w = 0; w < W; w++) {
        int64_t k = (t % r->ft * r->fs + h % r->fs) * r->fs + w % r->fs;
        int64_t from = (t / r->ft * r->x->dim[1] + h / r->fs) * r->x->dim[2] + w / r->fs;
        add_copies(r->out, (tile * W + w) * O, r->x, from * C, n, k, O * n / C);
    }
}

void cpu_volume_dup_up_add(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                           int ft, int fs, int n_drop) {
    struct walk w = {.out = out, .x = x, .ft = ft, .fs = fs, .n = n_drop};
    run_rows(pool, &w, out, dup_row);
}

/* The mean of the values first .. first+n-1 of a cell, which is [C,ft,fs,fs]. */
static float mean(const struct walk *r, int64_t t, int64_t h, int64_t w, int64_t first, int64_t n) {
    const struct tensor *x = r->x;
    int64_t H = x->dim[1], W = x->dim[2], C = x->dim[3], fs = r->fs, ft = r->ft;
    int64_t z = first % fs, y = first / fs % fs, a = first / (fs * fs) % ft;
    int64_t c = first / (fs * fs * ft);
    double sum = 0;
    for (int64_t g = 0; g < n; g++) {
        int64_t from = t * ft + a - r->n;
        if (from >= 0)
            sum += (double)backend_host_get(x, ((from * H + h * fs + y) * W + w * fs + z) * C + c);
        if (++z < fs) continue;
        z = 0;
        if (++y < fs) continue;
        y = 0;
        if (++a < ft) continue;
        a = 0;
        c++;
    }
    return (float)(sum / (double)n);
}

static void avg_row(void *ctx, int64_t tile, int thread) {
    const struct walk *r = ctx;
    int64_t H = r->out->dim[1], W = r->out->dim[2], O = r->out->dim[3];
    int64_t n = r->x->dim[3] * r->ft * r->fs * r->fs / O, to = tile * W * O;
    (void)thread;
    for (int64_t w = 0; w < W; w++)
        for (int64_t o = 0; o < O; o++, to++)
            backend_host_set(r->out, to,
                             backend_host_get(r->out, to) +
                                 mean(r, tile / H, tile % H, w, o * n, n));
}

void cpu_volume_avg_down_add(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                             int ft, int fs, int n_zero) {
    struct walk w = {.out = out, .x = x, .ft = ft, .fs = fs, .n = n_zero};
    run_rows(pool, &w, out, avg_row);
}

/* Where position (h,w) of a cell begins in its vector, and how far its channels are apart. */
static int64_t patch_first(const struct patch *p, int64_t C, int64_t t, int64_t h, int64_t w,
                           int64_t *step) {
    *step = p->order == PATCH_T_H_W_C ? 1 : (int64_t)p->t * p->h * p->w;
    switch (p->order) {
    case PATCH_C_T_H_W: return (t * p->h + h) * p->w + w;
    case PATCH_C_T_W_H: return (t * p->w + w) * p->h + h;
    default: return ((t * p->h + h) * p->w + w) * C;
    }
}

static void move_f32(float *volume, float *cell, int64_t C, int64_t step, bool to_cells) {
    for (int64_t c = 0; c < C; c++)
        if (to_cells)
            cell[c * step] = volume[c];
        else
            volume[c] = cell[c * step];
}

/* One row of the volume; `to_cells` says which way the numbers flow. */
static void patch_row(const struct tensor *volume, const struct tensor *cells,
                      const struct patch *p, int64_t row, bool to_cells) {
    int64_t H = volume->dim[1], W = volume->dim[2], C = volume->dim[3];
    int64_t t = row / H, h = row % H, cell = C * p->t * p->h * p->w, step;
    bool is_f32 = volume->dtype == DTYPE_F32 && cells->dtype == DTYPE_F32;
    for (int64_t w = 0; w < W; w++) {
        int64_t from = (row * W + w) * C;
        int64_t to = ((t / p->t * (H / p->h) + h / p->h) * (W / p->w) + w / p->w) * cell;
        to += patch_first(p, C, t % p->t, h % p->h, w % p->w, &step);
        if (is_f32)
            move_f32((float *)volume->data + from, (float *)cells->data + to, C, step, to_cells);
        else
            for (int64_t c = 0; c < C; c++)
                if (to_cells)
                    backend_host_set(cells, to + c * step, backend_host_get(volume, from + c));
                else
                    backend_host_set(volume, from + c, backend_host_get(cells, to + c * step));
    }
}

static void patchify_row(void *ctx, int64_t tile, int thread) {
    const struct walk *w = ctx;
    (void)thread;
    patch_row(w->x, w->out, w->patch, tile, true);
}

static void unpatchify_row(void *ctx, int64_t tile, int thread) {
    const struct walk *w = ctx;
    (void)thread;
    patch_row(w->out, w->x, w->patch, tile, false);
}

void cpu_volume_patchify(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                         const struct patch *p) {
    struct walk w = {.out = out, .x = x, .patch = p};
    run_rows(pool, &w, x, patchify_row);
}

void cpu_volume_unpatchify(struct cpu_pool *pool, struct tensor *out, const struct tensor *x,
                           const struct patch *p) {
    struct walk w = {.out = out, .x = x, .patch = p};
    run_rows(pool, &w, out, unpatchify_row);
}

/* What is no number is black. */
static void pack_piece(void *ctx, int64_t tile, int thread) {
    const struct walk *w = ctx;
    int64_t first = tile * PACK_VALUES, n = tensor_count(w->x) - first;
    uint8_t *to = (uint8_t *)w->out->data + first;
    (void)thread;
    for (int64_t i = 0; i < (n < PACK_VALUES ? n : PACK_VALUES); i++) {
        float x = backend_host_get(w->x, first + i);
        double v = x < -1.0f ? -1 : x > 1.0f ? 1 : (double)x;
        to[i] = v == v ? (uint8_t)lrint((v + 1) * 127.5) : 0;
    }
}

void cpu_volume_pack_rgb(struct cpu_pool *pool, struct tensor *out, const struct tensor *x) {
    struct walk w = {.out = out, .x = x};
    cpu_pool_run(pool, (tensor_count(x) + PACK_VALUES - 1) / PACK_VALUES, pack_piece, &w);
}
