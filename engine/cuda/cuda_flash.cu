#include "engine/cuda/cuda_flash.h"

/* A block takes QUERIES queries of one head over all keys, KEYS at a time: while one tile of keys
 * and values is used the next one is on its way. A warp owns 32 queries: its logits, weights and
 * sums stay in registers, so every fragment of keys and values that it reads from shared memory
 * serves two products. */
enum { QUERIES = 128, KEYS = 64, WARPS = 4, LANES = 32, THREADS = WARPS * LANES, TILES = 2 };

/* Rows in shared memory are 16 bytes longer than they must be: 8 rows of a matrix then lie in
 * different banks. */
template <int D> struct tile {
    enum { PITCH = D + 8, CHUNKS = D / 8 };
};

template <int D> static constexpr size_t shared_bytes() {
    return (size_t)(QUERIES + 4 * KEYS) * tile<D>::PITCH * sizeof(struct bf16);
}

/* n_rows rows of one head into shared memory; what is not there becomes zeros. */
template <int D>
static __device__ void load_rows(struct bf16 *to, const struct bf16 *from, int64_t first,
                                 int n_rows, int64_t n, int64_t C) {
    for (int i = (int)threadIdx.x; i < n_rows * tile<D>::CHUNKS; i += THREADS) {
        int row = i / tile<D>::CHUNKS, chunk = i % tile<D>::CHUNKS;
        bool is_there = first + row < n;
        const struct bf16 *at = from + (is_there ? first + row : 0) * C + chunk * 8;
        cuda_ptx_copy16(to + row * tile<D>::PITCH + chunk * 8, at, is_there);
    }
}

/* What a warp carries from tile to tile: of each of its rows the largest logit, the sum of weights
 * (of this thread's columns) and the weighted values. A thread sees rows g and g + 8 of both of its
 * tiles of 16. */
template <int D> struct carry {
    float top[TILES][2], sum[TILES][2];
    float out[TILES][D / 8][4];
};

/* s [32 queries, KEYS] = q k^T */
template <int D>
static __device__ void score(float s[TILES][KEYS / 8][4], const struct bf16 *q,
                             const struct bf16 *k, int lane) {
    enum { PITCH = tile<D>::PITCH };
#pragma unroll
    for (int m = 0; m < TILES; m++)
#pragma unroll
        for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                s[m][n][i] = 0;
    const struct bf16 *from_q = q + (lane & 15) * PITCH + (lane >> 4) * 8;
    const struct bf16 *from_k = k + ((lane >> 4) * 8 + (lane & 7)) * PITCH + (lane >> 3 & 1) * 8;
#pragma unroll
    for (int d = 0; d < D; d += 16) {
        uint32_t a[TILES][4];
#pragma unroll
        for (int m = 0; m < TILES; m++)
            cuda_ptx_load4(a[m], from_q + m * 16 * PITCH + d);
#pragma unroll
        for (int n = 0; n < KEYS / 16; n++) {
            uint32_t b[4];
            cuda_ptx_load4(b, from_k + n * 16 * PITCH + d);
#pragma unroll
            for (int m = 0; m < TILES; m++) {
                cuda_ptx_mma(s[m][2 * n], a[m], b);
                cuda_ptx_mma(s[m][2 * n + 1], a[m], b + 2);
            }
        }
    }
}

/* Logits, in powers of two; keys that are not there weigh nothing. */
static __device__ void bend(float s[TILES][KEYS / 8][4], float scale, const float *key_bias,
                            int64_t first, int64_t nk, int lane) {
    bool is_whole = first + KEYS <= nk;
#pragma unroll
    for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int64_t key = first + n * 8 + (lane & 3) * 2 + (i & 1);
            bool is_there = is_whole || key < nk;
            float more = key_bias && is_there ? key_bias[key] * 1.4426950408889634f : 0;
#pragma unroll
            for (int m = 0; m < TILES; m++)
                s[m][n][i] = is_there ? s[m][n][i] * scale + more : -INFINITY;
        }
}

/* Logits become weights against the new largest logit; what was summed before shrinks to it. */
template <int D> static __device__ void weigh(float s[TILES][KEYS / 8][4], struct carry<D> *c) {
#pragma unroll
    for (int m = 0; m < TILES; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float top = c->top[m][half];
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
                top = fmaxf(top, fmaxf(s[m][n][2 * half], s[m][n][2 * half + 1]));
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
            top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
            /* As long as all keys are out there is no largest one. */
            float base = top == -INFINITY ? 0 : top, sum = 0;
            float shrink = cuda_ptx_exp2(c->top[m][half] - base);
#pragma unroll
            for (int n = 0; n < KEYS / 8; n++)
#pragma unroll
                for (int i = 2 * half; i < 2 * half + 2; i++) {
                    s[m][n][i] = cuda_ptx_exp2(s[m][n][i] - base);
                    sum += s[m][n][i];
                }
            c->top[m][half] = top;
            c->sum[m][half] = c->sum[m][half] * shrink + sum;
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                c->out[m][n][2 * half] *= shrink;
                c->out[m][n][2 * half + 1] *= shrink;
            }
        }
}

/* out += weights v */
template <int D>
static __device__ void gather(struct carry<D> *c, const float s[TILES][KEYS / 8][4],
                              const struct bf16 *v, int lane) {
    enum { PITCH = tile<D>::PITCH };
    const struct bf16 *from = v + ((lane >> 3 & 1) * 8 + (lane & 7)) * PITCH + (lane >> 4) * 8;
#pragma unroll
    for (int k = 0; k < KEYS / 16; k++) {
        uint32_t a[TILES][4];
#pragma unroll
        for (int m = 0; m < TILES; m++) {
            a[m][0] = cuda_ptx_pair(s[m][2 * k][0], s[m][2 * k][1]);
            a[m][1] = cuda_ptx_pair(s[m][2 * k][2], s[m][2 * k][3]);
            a[m][2] = cuda_ptx_pair(s[m][2 * k + 1][0], s[m][2 * k + 1][1]);
            a[m][3] = cuda_ptx_pair(s[m][2 * k + 1][2], s[m][2 * k + 1][3]);
        }
#pragma unroll
        for (int n = 0; n < D / 16; n++) {
            uint32_t b[4];
            cuda_ptx_load4_turned(b, from + k * 16 * PITCH + n * 16);
#pragma unroll
            for (int m = 0; m < TILES; m++) {
                cuda_ptx_mma(c->out[m][2 * n], a[m], b);
                cuda_ptx_mma(c->out[m][2 * n + 1], a[m], b + 2);
            }
        }
    }
}

template <int D>
static __device__ void store(const struct carry<D> *c, struct bf16 *out, int64_t first, int64_t nq,
                             int64_t C, int lane) {
#pragma unroll
    for (int m = 0; m < TILES; m++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int64_t row = first + m * 16 + half * 8 + (lane >> 2);
            float sum = c->sum[m][half];
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            if (row >= nq) continue;
            float by = 1 / sum;
            struct bf16 *to = out + row * C + (lane & 3) * 2;
#pragma unroll
            for (int n = 0; n < D / 8; n++)
                *(uint32_t *)(to + n * 8) =
                    cuda_ptx_pair(c->out[m][n][2 * half] * by, c->out[m][n][2 * half + 1] * by);
        }
}

template <int D> static __global__ void __launch_bounds__(THREADS) flash(struct cuda_flash o) {
    enum { PITCH = tile<D>::PITCH, TILE = KEYS * PITCH };
    struct bf16 *q = (struct bf16 *)cuda_ptx_shared(), *k = q + QUERIES * PITCH, *v = k + 2 * TILE;
    int64_t C = (int64_t)o.n_heads * D, n_blocks = (o.nq + QUERIES - 1) / QUERIES;
    int64_t first = blockIdx.x % n_blocks * QUERIES, column = blockIdx.x / n_blocks * D;
    int lane = (int)threadIdx.x % LANES, warp = (int)threadIdx.x / LANES;
    int n_tiles = (int)((o.nk + KEYS - 1) / KEYS);
    struct carry<D> c;
#pragma unroll
    for (int m = 0; m < TILES; m++) {
        c.top[m][0] = c.top[m][1] = -INFINITY;
        c.sum[m][0] = c.sum[m][1] = 0;
#pragma unroll
        for (int n = 0; n < D / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                c.out[m][n][i] = 0;
    }
    load_rows<D>(q, o.q + column, first, QUERIES, o.nq, C);
    load_rows<D>(k, o.k + column, 0, KEYS, o.nk, C);
    load_rows<D>(v, o.v + column, 0, KEYS, o.nk, C);
    cuda_ptx_commit();
    for (int i = 0; i < n_tiles; i++) {
        int now = i & 1, next = now ^ 1;
        float s[TILES][KEYS / 8][4];
        cuda_ptx_wait<0>();
        __syncthreads(); /* this tile is there, and all have done with the one before */
        if (i + 1 < n_tiles) {
            load_rows<D>(k + next * TILE, o.k + column, (int64_t)(i + 1) * KEYS, KEYS, o.nk, C);
            load_rows<D>(v + next * TILE, o.v + column, (int64_t)(i + 1) * KEYS, KEYS, o.nk, C);
        }
        cuda_ptx_commit();
        score<D>(s, q + warp * 32 * PITCH, k + now * TILE, lane);
        bend(s, o.scale * 1.4426950408889634f, o.key_bias, (int64_t)i * KEYS, o.nk, lane);
        weigh<D>(s, &c);
        gather<D>(&c, s, v + now * TILE, lane);
    }
    store<D>(&c, o.out + column, first + warp * 32, o.nq, C, lane);
}

bool cuda_flash_can(const struct cuda *c, int D) {
    size_t need = D == 32    ? shared_bytes<32>()
                  : D == 64  ? shared_bytes<64>()
                  : D == 80  ? shared_bytes<80>()
                  : D == 128 ? shared_bytes<128>()
                             : SIZE_MAX;
    return need <= c->props.sharedMemPerBlockOptin;
}

template <int D> static void ask(struct cuda *c) {
    if (!cuda_flash_can(c, D)) return;
    cuda_note(c,
              cudaFuncSetAttribute(flash<D>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   (int)shared_bytes<D>()),
              "shared memory of attention");
}

void cuda_flash_open(struct cuda *c) {
    ask<32>(c);
    ask<64>(c);
    ask<80>(c);
    ask<128>(c);
}

void cuda_flash_run(struct cuda *c, const struct cuda_flash *o) {
    int64_t blocks = (o->nq + QUERIES - 1) / QUERIES * o->n_heads;
    if (o->D == 32) cuda_run(c, "attention", flash<32>, blocks, THREADS, shared_bytes<32>(), *o);
    if (o->D == 64) cuda_run(c, "attention", flash<64>, blocks, THREADS, shared_bytes<64>(), *o);
    if (o->D == 80) cuda_run(c, "attention", flash<80>, blocks, THREADS, shared_bytes<80>(), *o);
    if (o->D == 128) cuda_run(c, "attention", flash<128>, blocks, THREADS, shared_bytes<128>(), *o);
}
