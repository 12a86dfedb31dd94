#include "engine/cuda/cuda_conv.h"

#include "engine/cuda/cuda_own.h"

/* A block makes ROWS places times WIDE channels, DEEP numbers of the sums at a time, and keeps
 * STAGES such steps in shared memory: all but one are on their way. Eight warps, four down and two
 * across; rows in shared memory are 16 bytes longer than they must be, against bank conflicts. */
enum { ROWS = 128, DEEP = 32, PITCH = DEEP + 8, STAGES = 4, THREADS = 256, LANES = 32 };

/* Where the numbers of one convolution lie; `x` and `cache` of one type, C channels each. */
struct conv {
    const void *x, *cache;
    int n_cache, oldest, T, H, W, C; /* of x */
    int doubled;                     /* 1: x is read as if every pixel were 2 x 2 */
    int To, Ho, Wo, O;
    int kt, kh, kw, stride_t, stride_s, pad_h, pad_w;
    const void *w; /* [O,kt,kh,kw,C] */
    const float *b;
    int act;
    void *out;
    const void *add; /* or NULL */
    bool out_is_half, add_is_half;
};

/* Offset of channel 0 of the input at (t,y,x), cached frames counted first; false outside. */
static __device__ bool find(const struct conv *o, int t, int y, int x, bool *is_cached,
                            int64_t *at) {
    if (y < 0 || x < 0 || y >= o->H << o->doubled || x >= o->W << o->doubled) return false;
    *is_cached = t < o->n_cache;
    if (*is_cached)
        t = (t + o->oldest) % o->n_cache;
    else
        t -= o->n_cache;
    *at = (((int64_t)t * o->H + (y >> o->doubled)) * o->W + (x >> o->doubled)) * o->C;
    return true;
}

/* act(sum + b) + add, where it belongs. */
static __device__ void put(const struct conv *o, int64_t place, int channel, float v) {
    int64_t at = place * o->O + channel;
    v = cuda_act(v + (o->b ? o->b[channel] : 0), o->act);
    if (o->add)
        v += o->add_is_half ? cuda_get(((const struct bf16 *)o->add)[at])
                            : ((const float *)o->add)[at];
    if (o->out_is_half)
        cuda_set((struct bf16 *)o->out + at, v);
    else
        ((float *)o->out)[at] = v;
}

template <class X> static __global__ void conv_plain(struct conv o, int64_t n) {
    int64_t i = cuda_at();
    if (i >= n) return;
    int c = (int)(i % o.O);
    int64_t place = i / o.O;
    int x = (int)(place % o.Wo), y = (int)(place / o.Wo % o.Ho), t = (int)(place / o.Wo / o.Ho);
    const float *w = (const float *)o.w + (int64_t)c * o.kt * o.kh * o.kw * o.C;
    float sum = 0;
    for (int a = 0; a < o.kt; a++)
        for (int j = 0; j < o.kh; j++)
            for (int k = 0; k < o.kw; k++, w += o.C) {
                bool is_cached;
                int64_t at;
                if (!find(&o, t * o.stride_t + a, y * o.stride_s + j - o.pad_h,
                          x * o.stride_s + k - o.pad_w, &is_cached, &at))
                    continue;
                const X *from = (const X *)(is_cached ? o.cache : o.x) + at;
                for (int64_t d = 0; d < o.C; d++)
                    sum += w[d] * cuda_get(from[d]);
            }
    put(&o, place, c, sum);
}

/* One of the two rows of A that a thread loads: the place it stands for. */
struct row {
    int t, y, x;
    bool is_there;
};

static __device__ struct row row_at(const struct conv *o, int64_t place, int64_t n_places) {
    struct row r;
    r.is_there = place < n_places;
    if (!r.is_there) place = 0;
    r.x = (int)(place % o->Wo) * o->stride_s - o->pad_w;
    r.y = (int)(place / o->Wo % o->Ho) * o->stride_s - o->pad_h;
    r.t = (int)(place / o->Wo / o->Ho) * o->stride_t;
    return r;
}

/* Where along the sums a thread stands: channel c of kernel position (a,j,k). */
struct tap {
    int a, j, k, c;
};

static __device__ void tap_on(const struct conv *o, struct tap *p, int n) {
    p->c += n;
    while (p->c >= o->C) {
        p->c -= o->C;
        if (++p->k < o->kw) continue;
        p->k = 0;
        if (++p->j < o->kh) continue;
        p->j = 0;
        p->a++;
    }
}

/* The step of the sums at `tap`, into one stage: rows of x and of the kernel. */
template <int WIDE>
static __device__ void load_stage(const struct conv *o, struct bf16 *to, const struct row rows[2],
                                  const struct tap *tap, int deep, int first_channel, int K) {
    int chunk = (int)threadIdx.x % 4, row = (int)threadIdx.x / 4;
    for (int i = 0; i < 2; i++) {
        const struct bf16 *from = (const struct bf16 *)o->x;
        bool is_cached = false, is_there = rows[i].is_there && tap->a < o->kt;
        int64_t at = 0;
        if (is_there)
            is_there = find(o, rows[i].t + tap->a, rows[i].y + tap->j, rows[i].x + tap->k,
                            &is_cached, &at);
        if (is_there) from = (const struct bf16 *)(is_cached ? o->cache : o->x) + at + tap->c;
        cuda_ptx_copy16(to + (row + i * 64) * PITCH + chunk * 8, from, is_there);
    }
    struct bf16 *kernel = to + ROWS * PITCH;
    const struct bf16 *w = (const struct bf16 *)o->w;
    for (int i = (int)threadIdx.x; i < WIDE * 4; i += THREADS) {
        int channel = first_channel + i / 4, at = deep + i % 4 * 8;
        bool is_there = channel < o->O && at < K;
        cuda_ptx_copy16(kernel + i / 4 * PITCH + i % 4 * 8,
                        is_there ? w + (int64_t)channel * K + at : w, is_there);
    }
}

/* 32 places x WIDE / 2 channels of a warp, DEEP numbers of the sums. */
template <int WIDE>
static __device__ void multiply(float sum[2][WIDE / 16][4], const struct bf16 *x,
                                const struct bf16 *w, int lane) {
    const struct bf16 *from_x = x + (lane & 15) * PITCH + (lane >> 4) * 8;
    const struct bf16 *from_w = w + ((lane >> 4) * 8 + (lane & 7)) * PITCH + (lane >> 3 & 1) * 8;
#pragma unroll
    for (int d = 0; d < DEEP; d += 16) {
        uint32_t a[2][4];
#pragma unroll
        for (int m = 0; m < 2; m++)
            cuda_ptx_load4(a[m], from_x + m * 16 * PITCH + d);
#pragma unroll
        for (int n = 0; n < WIDE / 32; n++) {
            uint32_t b[4];
            cuda_ptx_load4(b, from_w + n * 16 * PITCH + d);
#pragma unroll
            for (int m = 0; m < 2; m++) {
                cuda_ptx_mma(sum[m][2 * n], a[m], b);
                cuda_ptx_mma(sum[m][2 * n + 1], a[m], b + 2);
            }
        }
    }
}

template <int WIDE> struct stage {
    enum { VALUES = (ROWS + WIDE) * PITCH, ALL_BYTES = STAGES * VALUES * 2 };
};

template <int WIDE> static __global__ void __launch_bounds__(THREADS, 2) conv_tiles(struct conv o) {
    struct bf16 *shared = (struct bf16 *)cuda_ptx_shared();
    int n_across = (o.O + WIDE - 1) / WIDE, K = o.kt * o.kh * o.kw * o.C;
    int64_t n_places = (int64_t)o.To * o.Ho * o.Wo;
    int64_t first = (int64_t)(blockIdx.x / n_across) * ROWS;
    int first_channel = (int)(blockIdx.x % n_across) * WIDE;
    int lane = (int)threadIdx.x % LANES, warp = (int)threadIdx.x / LANES;
    int n_steps = (K + DEEP - 1) / DEEP, loaded = 0;
    float sum[2][WIDE / 16][4];
    struct row rows[2];
    struct tap tap = {0, 0, 0, 0};
#pragma unroll
    for (int m = 0; m < 2; m++) {
        rows[m] = row_at(&o, first + (int)threadIdx.x / 4 + m * 64, n_places);
#pragma unroll
        for (int n = 0; n < WIDE / 16; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                sum[m][n][i] = 0;
    }
    tap_on(&o, &tap, (int)threadIdx.x % 4 * 8);
    for (; loaded < STAGES - 1; loaded++) {
        if (loaded < n_steps)
            load_stage<WIDE>(&o, shared + loaded * stage<WIDE>::VALUES, rows, &tap, loaded * DEEP,
                             first_channel, K);
        tap_on(&o, &tap, DEEP);
        cuda_ptx_commit();
    }
    for (int i = 0; i < n_steps; i++, loaded++) {
        const struct bf16 *now = shared + i % STAGES * stage<WIDE>::VALUES;
        cuda_ptx_wait<STAGES - 2>();
        __syncthreads(); /* this stage is there, and all have done with the one before */
        if (loaded < n_steps)
            load_stage<WIDE>(&o, shared + loaded % STAGES * stage<WIDE>::VALUES, rows, &tap,
                             loaded * DEEP, first_channel, K);
        tap_on(&o, &tap, DEEP);
        cuda_ptx_commit();
        multiply<WIDE>(sum, now + warp % 4 * 32 * PITCH,
                       now + (ROWS + warp / 4 * (WIDE / 2)) * PITCH, lane);
    }
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
        for (int n = 0; n < WIDE / 16; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int64_t place = first + warp % 4 * 32 + m * 16 + (i / 2) * 8 + lane / 4;
                int channel = first_channel + warp / 4 * (WIDE / 2) + n * 8 + lane % 4 * 2 + i % 2;
                if (place < n_places && channel < o.O) put(&o, place, channel, sum[m][n][i]);
            }
}

template <int WIDE> static void ask(struct cuda *c) {
    cuda_note(c,
              cudaFuncSetAttribute(conv_tiles<WIDE>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   (int)stage<WIDE>::ALL_BYTES),
              "shared memory of convolutions");
}

void cuda_conv_open(struct cuda *c) {
    ask<128>(c);
    ask<96>(c);
    ask<64>(c);
    ask<32>(c);
}

template <int WIDE> static void start(struct cuda *c, const struct conv *o) {
    int64_t n_places = (int64_t)o->To * o->Ho * o->Wo;
    int64_t blocks = (n_places + ROWS - 1) / ROWS * ((o->O + WIDE - 1) / WIDE);
    cuda_run(c, "conv", conv_tiles<WIDE>, blocks, THREADS, stage<WIDE>::ALL_BYTES, *o);
}

/* The tile that wastes the fewest channels; wider ones read x less often. */
static void start_best(struct cuda *c, const struct conv *o) {
    static const int wides[] = {128, 96, 64, 32};
    int best = 128;
    double least = 1e30;
    for (int i = 0; i < 4; i++) {
        double cost = (double)((o->O + wides[i] - 1) / wides[i]) * (wides[i] + 24);
        if (cost < least) least = cost, best = wides[i];
    }
    if (best == 128) start<128>(c, o);
    if (best == 96) start<96>(c, o);
    if (best == 64) start<64>(c, o);
    if (best == 32) start<32>(c, o);
}

/* x or cache as the tensor cores read it: bf16, channels a multiple of 8. */
static const void *as_half(struct cuda *c, const struct tensor *t, enum cuda_scratch which,
                           struct fail *f) {
    int64_t C = t->dim[3], wide = cuda_conv_channels(C), rows = tensor_n_rows(t);
    if (t->dtype == DTYPE_BF16 && C == wide && (uintptr_t)t->data % 16 == 0) return t->data;
    size_t bytes = (size_t)(rows * wide) * sizeof(struct bf16);
    void *to = cuda_take(c, which, bytes ? bytes : 16);
    if (!to) {
        (void)cuda_short(c, bytes, f);
        return NULL;
    }
    cuda_convert(c, to, DTYPE_BF16, t->data, t->dtype, rows, C, wide);
    return to;
}

static struct conv conv_of(const struct tensor *out, const struct tensor *x,
                           const struct conv_opts *o) {
    struct conv v = {};
    bool is_padded = o->stride_s == 1 || o->is_centred;
    v.x = x->data;
    v.cache = o->cache ? o->cache->data : NULL;
    v.n_cache = o->cache ? (int)o->cache->dim[0] : 0;
    v.oldest = o->oldest;
    v.T = (int)x->dim[0], v.H = (int)x->dim[1], v.W = (int)x->dim[2], v.C = (int)x->dim[3];
    v.doubled = o->is_doubled;
    v.To = (int)out->dim[0], v.Ho = (int)out->dim[1], v.Wo = (int)out->dim[2];
    v.O = (int)out->dim[3];
    v.kt = (int)o->w->dim[1], v.kh = (int)o->w->dim[2], v.kw = (int)o->w->dim[3];
    v.stride_t = o->stride_t, v.stride_s = o->stride_s;
    v.pad_h = is_padded ? (v.kh - 1) / 2 : 0, v.pad_w = is_padded ? (v.kw - 1) / 2 : 0;
    v.w = o->w->data;
    v.b = o->b ? (const float *)o->b->data : NULL;
    v.act = o->act;
    v.out = out->data;
    v.out_is_half = out->dtype == DTYPE_BF16;
    v.add = o->add ? o->add->data : NULL;
    v.add_is_half = o->add && o->add->dtype == DTYPE_BF16;
    return v;
}

enum err cuda_conv_run(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct conv_opts *o, struct fail *f) {
    struct cuda *c = cuda_of(dev);
    struct conv v = conv_of(out, x, o);
    int64_t n = tensor_count(out);
    if (n == 0) return ERR_OK;
    if (o->w->layout == LAYOUT_PACKED && o->w->dtype == DTYPE_BF16) {
        v.x = as_half(c, x, CUDA_SCRATCH_X, f);
        if (o->cache) v.cache = as_half(c, o->cache, CUDA_SCRATCH_CACHE, f);
        if (!v.x || (o->cache && !v.cache)) return ERR_NOMEM;
        v.C = (int)cuda_conv_channels(v.C);
        start_best(c, &v);
    } else if (x->dtype == DTYPE_BF16) {
        cuda_each(c, "conv", conv_plain<struct bf16>, n, v, n);
    } else {
        cuda_each(c, "conv", conv_plain<float>, n, v, n);
    }
    return cuda_check(c, f);
}
