#include "engine/cuda/cuda_flash_hopper.h"

#include "engine/cuda/cuda_hopper.h"

/* A block takes QUERIES queries of one head over all keys, KEYS at a time; each of its GROUPS
 * warpgroups owns 64 of them. The products of the next tile's logits run while this tile's logits
 * become weights, and keys and values of the tiles after that are on their way. */
enum { GROUPS = 2, QUERIES = 64 * GROUPS, THREADS = 128 * GROUPS, KEYS = 64, LANES = 32 };

#ifndef CUDA_HAS_SM90A
#define CUDA_HAS_SM90A 0 /* the Makefile says when sm_90a is among the targets */
#endif

/* Rows of D channels lie as D / 64 tiles of 128 bytes a row, one behind the other. */
template <int D, int ROWS> struct area {
    enum { TILE_BYTES = ROWS * 128, BYTES = TILE_BYTES * (D / 64) };
};

template <int D> struct shared {
    enum {
        Q = 0,
        K = area<D, QUERIES>::BYTES,
        V = K + 2 * area<D, KEYS>::BYTES,
        BYTES = V + 2 * area<D, KEYS>::BYTES
    };
};

/* ROWS rows of one head from `first` on into an area; what is not there becomes zeros. */
template <int D, int ROWS>
static __device__ void load_rows(unsigned char *to, const struct bf16 *from, int64_t first,
                                 int64_t n, int64_t C) {
    for (int i = (int)threadIdx.x; i < ROWS * (D / 8); i += THREADS) {
        int row = i / (D / 8), chunk = i % (D / 8);
        bool is_there = first + row < n;
        const struct bf16 *at = from + (is_there ? first + row : 0) * C + chunk * 8;
        cuda_ptx_copy16(to + chunk / 8 * area<D, ROWS>::TILE_BYTES + row * 128 +
                            (chunk % 8 ^ (row & 7)) * 16,
                        at, is_there);
    }
}

/* Starts s [64,KEYS] = q k^T. */
template <int D>
static __device__ void score(float s[KEYS / 8][4], const unsigned char *q, const unsigned char *k) {
#pragma unroll
    for (int d = 0; d < D; d += 16) {
        const unsigned char *a = q + d / 64 * area<D, QUERIES>::TILE_BYTES + d % 64 * 2;
        const unsigned char *b = k + d / 64 * area<D, KEYS>::TILE_BYTES + d % 64 * 2;
        if (KEYS == 128)
            cuda_hopper_multiply128(&s[0][0], cuda_hopper_tile(a, 16), cuda_hopper_tile(b, 16),
                                    d > 0);
        else
            cuda_hopper_multiply64(&s[0][0], cuda_hopper_tile(a, 16), cuda_hopper_tile(b, 16),
                                   d > 0);
    }
    cuda_hopper_commit();
}

/* Starts out [64,D] += weights v. */
template <int D>
static __device__ void gather(float out[D / 8][4], const uint32_t weight[KEYS / 16][4],
                              const unsigned char *v) {
#pragma unroll
    for (int k = 0; k < KEYS; k += 16) {
        uint64_t b = cuda_hopper_tile(v + k * 128, area<D, KEYS>::TILE_BYTES);
        if (D == 128)
            cuda_hopper_gather128(&out[0][0], weight[k / 16], b);
        else
            cuda_hopper_gather64(&out[0][0], weight[k / 16], b);
    }
    cuda_hopper_commit();
}

/* Of the two rows of a thread: the largest logit, and the sum of weights of its columns. */
struct carry {
    float top[2], sum[2];
};

/* Logits, in powers of two; keys that are not there weigh nothing. */
static __device__ void bend(float s[KEYS / 8][4], float scale, const float *key_bias, int64_t first,
                            int64_t nk, int lane) {
    bool is_whole = first + KEYS <= nk;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            s[n][i] *= scale;
    if (is_whole && !key_bias) return;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int64_t key = first + n * 8 + (lane & 3) * 2 + (i & 1);
            bool is_there = key < nk;
            float more = key_bias && is_there ? key_bias[key] * 1.4426950408889634f : 0;
            s[n][i] = is_there ? s[n][i] + more : -INFINITY;
        }
}

/* Logits become weights against the new largest logit; returns in `shrink` what the sums before
 * must be multiplied with. */
static __device__ void weigh(float s[KEYS / 8][4], struct carry *c, float shrink[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float top = c->top[half], sum = 0;
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
            top = fmaxf(top, fmaxf(s[n][2 * half], s[n][2 * half + 1]));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
        top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
        /* As long as all keys are out there is no largest one. */
        float base = top == -INFINITY ? 0 : top;
        shrink[half] = cuda_ptx_exp2(c->top[half] - base);
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int i = 2 * half; i < 2 * half + 2; i++) {
                s[n][i] = cuda_ptx_exp2(s[n][i] - base);
                sum += s[n][i];
            }
        c->top[half] = top;
        c->sum[half] = c->sum[half] * shrink[half] + sum;
    }
}

template <int D>
static __device__ void store(float out[D / 8][4], const struct carry *c, struct bf16 *to,
                             int64_t first, int64_t nq, int64_t C, int lane) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int64_t row = first + half * 8 + (lane >> 2);
        float sum = c->sum[half];
        sum += __shfl_xor_sync(0xffffffffu, sum, 1);
        sum += __shfl_xor_sync(0xffffffffu, sum, 2);
        if (row >= nq) continue;
        float by = 1 / sum;
        struct bf16 *at = to + row * C + (lane & 3) * 2;
#pragma unroll
        for (int n = 0; n < D / 8; n++)
            *(uint32_t *)(at + n * 8) =
                cuda_ptx_pair(out[n][2 * half] * by, out[n][2 * half + 1] * by);
    }
}

/* What the threads of a block share and what one of them carries. */
template <int D> struct work {
    const struct cuda_flash *o;
    unsigned char *q, *k, *v; /* q: of this warpgroup */
    int64_t C, column;
    int lane;
    struct carry carry;
    float out[D / 8][4];
};

/* Tile i: its logits are in s, those of the next one come to be in `next`. */
template <int D>
static __device__ __forceinline__ void step(struct work<D> *w, int i, float s[KEYS / 8][4],
                                            float next[KEYS / 8][4]) {
    enum { BYTES = area<D, KEYS>::BYTES };
    const struct cuda_flash *o = w->o;
    int now = i & 1, other = now ^ 1;
    float shrink[2];
    uint32_t weight[KEYS / 16][4];
    cuda_ptx_wait<0>();
    cuda_hopper_show();
    __syncthreads(); /* values i and keys i+1 are there; keys i and values i-1 are used up */
    load_rows<D, KEYS>(w->k + now * BYTES, o->k + w->column, (int64_t)(i + 2) * KEYS, o->nk, w->C);
    load_rows<D, KEYS>(w->v + other * BYTES, o->v + w->column, (int64_t)(i + 1) * KEYS, o->nk,
                       w->C);
    cuda_ptx_commit();
    cuda_hopper_begin();
    score<D>(next, w->q, w->k + other * BYTES);
    bend(s, o->scale * 1.4426950408889634f, o->key_bias, (int64_t)i * KEYS, o->nk, w->lane);
    weigh(s, &w->carry, shrink);
#pragma unroll
    for (int n = 0; n < KEYS / 16; n++) {
        weight[n][0] = cuda_ptx_pair(s[2 * n][0], s[2 * n][1]);
        weight[n][1] = cuda_ptx_pair(s[2 * n][2], s[2 * n][3]);
        weight[n][2] = cuda_ptx_pair(s[2 * n + 1][0], s[2 * n + 1][1]);
        weight[n][3] = cuda_ptx_pair(s[2 * n + 1][2], s[2 * n + 1][3]);
    }
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
        for (int e = 0; e < 4; e++)
            w->out[n][e] *= shrink[e / 2];
    cuda_hopper_begin();
    gather<D>(w->out, weight, w->v + now * BYTES);
    cuda_hopper_wait<0>();
    cuda_hopper_hold<D / 2>(&w->out[0][0]);
    cuda_hopper_hold<KEYS / 2>(&next[0][0]);
}

template <int D> static __global__ void __launch_bounds__(THREADS, 1) flash(struct cuda_flash o) {
    unsigned char *all = cuda_ptx_shared();
    all += (1024 - (cuda_ptx_address(all) & 1023)) & 1023;
    int64_t n_blocks = (o.nq + QUERIES - 1) / QUERIES;
    int64_t first = blockIdx.x % n_blocks * QUERIES;
    int warp = (int)threadIdx.x / LANES, n_tiles = (int)((o.nk + KEYS - 1) / KEYS);
    float even[KEYS / 8][4], odd[KEYS / 8][4];
    struct work<D> w;
    w.o = &o;
    w.q = all + warp / 4 * 64 * 128;
    w.k = all + shared<D>::K;
    w.v = all + shared<D>::V;
    w.C = (int64_t)o.n_heads * D;
    w.column = blockIdx.x / n_blocks * D;
    w.lane = (int)threadIdx.x % LANES;
    w.carry.top[0] = w.carry.top[1] = -INFINITY;
    w.carry.sum[0] = w.carry.sum[1] = 0;
#pragma unroll
    for (int n = 0; n < D / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++)
            w.out[n][i] = 0;
    load_rows<D, QUERIES>(all, o.q + w.column, first, o.nq, w.C);
    load_rows<D, KEYS>(w.k, o.k + w.column, 0, o.nk, w.C);
    cuda_ptx_commit();
    load_rows<D, KEYS>(w.k + area<D, KEYS>::BYTES, o.k + w.column, KEYS, o.nk, w.C);
    load_rows<D, KEYS>(w.v, o.v + w.column, 0, o.nk, w.C);
    cuda_ptx_commit();
    cuda_ptx_wait<1>();
    cuda_hopper_show();
    __syncthreads(); /* queries and the first keys are there */
    cuda_hopper_begin();
    score<D>(even, w.q, w.k);
    cuda_hopper_wait<0>();
    cuda_hopper_hold<KEYS / 2>(&even[0][0]);
    for (int i = 0; i < n_tiles; i += 2) {
        step<D>(&w, i, even, odd);
        if (i + 1 == n_tiles) break;
        step<D>(&w, i + 1, odd, even);
    }
    store<D>(w.out, &w.carry, o.out + w.column, first + warp * 16, o.nq, w.C, w.lane);
}

bool cuda_flash_hopper_can(const struct cuda *c, int D) {
    return CUDA_HAS_SM90A && c->props.major == 9 && c->props.minor == 0 && (D == 64 || D == 128);
}

template <int D> static void ask(struct cuda *c) {
    cuda_note(c,
              cudaFuncSetAttribute(flash<D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   (int)shared<D>::BYTES + 1024),
              "shared memory of attention");
}

void cuda_flash_hopper_open(struct cuda *c) {
    if (cuda_flash_hopper_can(c, 64)) ask<64>(c);
    if (cuda_flash_hopper_can(c, 128)) ask<128>(c);
}

void cuda_flash_hopper_run(struct cuda *c, const struct cuda_flash *o) {
    int64_t blocks = (o->nq + QUERIES - 1) / QUERIES * o->n_heads;
    if (o->D == 64)
        cuda_run(c, "attention", flash<64>, blocks, THREADS, shared<64>::BYTES + 1024, *o);
    else
        cuda_run(c, "attention", flash<128>, blocks, THREADS, shared<128>::BYTES + 1024, *o);
}
