#include "engine/cuda/cuda_row.h"

#include "engine/cuda/cuda_own.h"

/* A row is read once: GROUP threads keep it in registers, QUADS times four numbers each. */
enum { WARP = 32, BLOCK = 256, ROWS_A_BLOCK = 8 };

struct norm_row {
    int64_t N;
    int C, kind, act;
    bool is_wide; /* four numbers at a time */
    float eps;
    const float *w, *b; /* [C] or NULL */
    /* Of a modulated norm: rows of coefficients in place of w and b. */
    const float *table;
    const int32_t *index;
    int n_rows, shift_row, scale_row;
};

static __device__ void load_quad(float v[4], const float *p, int left, bool is_wide) {
    if (is_wide && left >= 4) {
        float4 q = *(const float4 *)p;
        v[0] = q.x, v[1] = q.y, v[2] = q.z, v[3] = q.w;
        return;
    }
    for (int i = 0; i < 4; i++)
        v[i] = i < left ? p[i] : 0;
}

static __device__ void load_quad(float v[4], const struct bf16 *p, int left, bool is_wide) {
    if (is_wide && left >= 4) {
        uint2 q = *(const uint2 *)p;
        v[0] = __uint_as_float(q.x << 16), v[1] = __uint_as_float(q.x & 0xffff0000u);
        v[2] = __uint_as_float(q.y << 16), v[3] = __uint_as_float(q.y & 0xffff0000u);
        return;
    }
    for (int i = 0; i < 4; i++)
        v[i] = i < left ? cuda_get(p[i]) : 0;
}

static __device__ void store_quad(float *p, const float v[4], int left, bool is_wide) {
    if (is_wide && left >= 4)
        *(float4 *)p = make_float4(v[0], v[1], v[2], v[3]);
    else
        for (int i = 0; i < 4 && i < left; i++)
            p[i] = v[i];
}

static __device__ void store_quad(struct bf16 *p, const float v[4], int left, bool is_wide) {
    if (is_wide && left >= 4)
        *(uint2 *)p = make_uint2(cuda_ptx_pair(v[0], v[1]), cuda_ptx_pair(v[2], v[3]));
    else
        for (int i = 0; i < 4 && i < left; i++)
            cuda_set(p + i, v[i]);
}

/* The sum over the threads of a row, in all of them. */
template <int GROUP> static __device__ float sum_group(float v) {
    for (int step = WARP / 2; step > 0; step /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, step);
    if (GROUP == WARP) return v;
    __shared__ float part[BLOCK / WARP];
    __syncthreads(); /* the sum before this one has been read */
    if (threadIdx.x % WARP == 0) part[threadIdx.x / WARP] = v;
    __syncthreads();
    float all = 0;
    for (int i = 0; i < BLOCK / WARP; i++)
        all += part[i];
    return all;
}

static __device__ const float *row_of(const struct norm_row *o, int64_t token, int row) {
    int64_t set = o->index ? o->index[token] : 0;
    return o->table + (set * o->n_rows + row) * o->C;
}

template <int GROUP, int QUADS, class X, class O>
static __global__ void __launch_bounds__(BLOCK) norm_rows(O *out, const X *x, struct norm_row o) {
    int64_t row = (int64_t)blockIdx.x * (BLOCK / GROUP) + threadIdx.x / GROUP;
    int lane = (int)(threadIdx.x % GROUP);
    if (row >= o.N) return; /* of a block, all threads or whole warps */
    float v[QUADS][4], sum = 0, square = 0;
    const X *from = x + row * o.C;
#pragma unroll
    for (int q = 0; q < QUADS; q++) {
        int at = (q * GROUP + lane) * 4;
        load_quad(v[q], from + at, o.C - at, o.is_wide);
        sum += v[q][0] + v[q][1] + v[q][2] + v[q][3];
    }
    float mean = o.kind == NORM_LAYER ? sum_group<GROUP>(sum) / (float)o.C : 0;
#pragma unroll
    for (int q = 0; q < QUADS; q++)
        for (int i = 0; i < 4; i++) {
            float d = (q * GROUP + lane) * 4 + i < o.C ? v[q][i] - mean : 0;
            square += d * d;
        }
    square = sum_group<GROUP>(square);
    float gain = o.kind == NORM_L2 ? sqrtf((float)o.C) / fmaxf(sqrtf(square), o.eps)
                                   : 1 / sqrtf(square / (float)o.C + o.eps);
    const float *w = o.table ? row_of(&o, row, o.scale_row) : o.w;
    const float *b = o.table ? row_of(&o, row, o.shift_row) : o.b;
    float more = o.table ? 1 : 0;
#pragma unroll
    for (int q = 0; q < QUADS; q++) {
        int at = (q * GROUP + lane) * 4, left = o.C - at;
        float by[4] = {1, 1, 1, 1}, plus[4] = {0, 0, 0, 0};
        if (left <= 0) continue;
        if (w) load_quad(by, w + at, left, o.is_wide);
        if (b) load_quad(plus, b + at, left, o.is_wide);
        for (int i = 0; i < 4; i++)
            by[i] = cuda_act((v[q][i] - mean) * gain * (by[i] + more) + plus[i], o.act);
        store_quad(out + row * o.C + at, by, left, o.is_wide);
    }
}

template <int GROUP, int QUADS, class X, class O>
static void start(struct cuda *c, O *out, const X *x, const struct norm_row *o) {
    int rows = BLOCK / GROUP;
    cuda_run(c, "norm", norm_rows<GROUP, QUADS, X, O>, (o->N + rows - 1) / rows, BLOCK, 0, out, x,
             *o);
}

template <class X, class O>
static void norm_typed(struct cuda *c, O *out, const X *x, const struct norm_row *o) {
    if (o->C <= WARP * 4)
        start<WARP, 1>(c, out, x, o);
    else if (o->C <= WARP * 4 * 4)
        start<WARP, 4>(c, out, x, o);
    else if (o->C <= BLOCK * 4 * 2)
        start<BLOCK, 2>(c, out, x, o);
    else if (o->C <= BLOCK * 4 * 5)
        start<BLOCK, 5>(c, out, x, o);
    else
        start<BLOCK, OP_ROW_MAX / BLOCK / 4>(c, out, x, o);
}

static bool is_wide(const void *p) {
    return (uintptr_t)p % 16 == 0;
}

static void norm_any(struct device *dev, struct tensor *out, const struct tensor *x,
                     struct norm_row *o) {
    o->N = tensor_n_rows(x);
    o->C = (int)tensor_n_cols(x);
    o->is_wide = o->C % 4 == 0 && is_wide(out->data) && is_wide(x->data) && is_wide(o->w) &&
                 is_wide(o->b) && is_wide(o->table);
    cuda_typed(x, [&](auto *from) {
        cuda_typed(out, [&](auto *to) { norm_typed(cuda_of(dev), to, from, o); });
    });
}

void cuda_row_norm(struct device *dev, struct tensor *out, const struct tensor *x,
                   const struct norm_opts *n) {
    struct norm_row o = {};
    o.kind = n->kind;
    o.act = n->act;
    o.eps = n->eps;
    o.w = n->w ? (const float *)n->w->data : NULL;
    o.b = n->b ? (const float *)n->b->data : NULL;
    norm_any(dev, out, x, &o);
}

void cuda_row_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct mod_table *mod, int shift_row, int scale_row, float eps) {
    struct norm_row o = {};
    o.kind = NORM_LAYER;
    o.act = ACT_NONE;
    o.eps = eps;
    o.table = (const float *)mod->table->data;
    o.index = mod->index ? (const int32_t *)mod->index->data : NULL;
    o.n_rows = (int)mod->table->dim[1];
    o.shift_row = shift_row;
    o.scale_row = scale_row;
    norm_any(dev, out, x, &o);
}

/* x += gate y */
template <class X, class Y>
static __global__ void gate_add(X *x, const Y *y, int64_t n, int64_t C, const float *table,
                                const int32_t *index, int64_t set_values) {
    int64_t i = cuda_at();
    if (i >= n) return;
    int64_t set = index ? index[i / C] : 0;
    float gate = table[set * set_values + i % C];
    cuda_set(x + i, cuda_get(x[i]) + gate * cuda_get(y[i]));
}

void cuda_row_gate_add(struct device *dev, struct tensor *x, const struct tensor *y,
                       const struct mod_table *mod, int gate_row) {
    int64_t n = tensor_count(x), C = tensor_n_cols(x), M = mod->table->dim[1];
    const float *table = (const float *)mod->table->data + gate_row * C;
    const int32_t *index = mod->index ? (const int32_t *)mod->index->data : NULL;
    cuda_typed(x, [&](auto *px) {
        cuda_typed(y, [&](auto *py) {
            using X = std::remove_pointer_t<decltype(px)>;
            using Y = std::remove_pointer_t<decltype(py)>;
            cuda_each(cuda_of(dev), "gate_add", gate_add<X, Y>, n, px, py, n, C, table, index,
                      M * C);
        });
    });
}

/* A thread turns one pair of every head: the angle is read once. */
template <class X>
static __global__ void rotate(X *x, const float *table, int64_t n, int64_t half, int n_heads) {
    int64_t i = cuda_at();
    if (i >= n) return;
    int64_t token = i / half, pair = i % half;
    float c = table[2 * i], s = table[2 * i + 1];
    X *p = x + (token * n_heads * half + pair) * 2;
    for (int h = 0; h < n_heads; h++, p += 2 * half) {
        float a = cuda_get(p[0]), b = cuda_get(p[1]);
        cuda_set(p, a * c - b * s);
        cuda_set(p + 1, a * s + b * c);
    }
}

void cuda_row_rope(struct device *dev, struct tensor *x, const struct tensor *table, int n_heads) {
    int64_t half = tensor_n_cols(table) / 2, n = tensor_n_rows(x) * half;
    cuda_typed(x, [&](auto *px) {
        using X = std::remove_pointer_t<decltype(px)>;
        cuda_each(cuda_of(dev), "rope", rotate<X>, n, px, (const float *)table->data, n, half,
                  n_heads);
    });
}
