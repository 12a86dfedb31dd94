/* cuda_own.h - what the files of the CUDA backend share; nobody else includes it.
 *
 * All work goes to one stream, in order. Functions of struct backend_ops return before the device
 * has done it; only downloads wait. What goes wrong on the device is kept in cuda->error and told
 * by the next entry that can fail, or by the entry `check`. */
#ifndef ENGINE_CUDA_CUDA_OWN_H
#define ENGINE_CUDA_CUDA_OWN_H

#include <cuda_runtime.h>

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/cuda/cuda_ptx.h"
#include "engine/op.h"

/* Memory that grows to the largest need and stays, so that a step that repeats takes none. */
enum cuda_scratch {
    CUDA_SCRATCH_X,      /* what is multiplied, in the type of the product */
    CUDA_SCRATCH_CACHE,  /* the same of cached frames */
    CUDA_SCRATCH_W,      /* a weight on its way into another type */
    CUDA_SCRATCH_B,      /* a bias in the type of the result */
    CUDA_SCRATCH_SUM,    /* results before gate and residual; logits */
    CUDA_SCRATCH_WEIGHT, /* of keys */
    CUDA_SCRATCH_LT,     /* work space of cuBLASLt */
    CUDA_SCRATCH_COUNT
};

enum { CUDA_PINNED_SLOTS = 2, CUDA_PINNED_BYTES = 8 << 20, CUDA_LT_BYTES = 32 << 20 };

struct cuda_blas; /* cuda_blas.h */

struct cuda {
    struct device *dev;
    int index; /* cuda:N */
    cudaStream_t stream;
    cudaError_t error;    /* the first that happened, for good */
    const char *error_at; /* what was asked for then */
    struct cudaDeviceProp props;
    void *scratch[CUDA_SCRATCH_COUNT];
    size_t scratch_bytes[CUDA_SCRATCH_COUNT];
    char *pinned[CUDA_PINNED_SLOTS]; /* host memory that the device reads and writes itself */
    cudaEvent_t is_free[CUDA_PINNED_SLOTS];
    struct cuda_blas *blas;
    bool has_said_plain;
};

static inline struct cuda *cuda_of(struct device *dev) {
    return (struct cuda *)dev->self;
}

/* Keeps the first failure. */
void cuda_note(struct cuda *c, cudaError_t e, const char *what);
/* What was noted, in words: ERR_NOMEM with the figures, or ERR_UNAVAILABLE when the device is lost.
 */
enum err cuda_check(struct cuda *c, struct fail *f);
/* At least `bytes` of scratch, or NULL (cuda_short tells why). */
void *cuda_take(struct cuda *c, enum cuda_scratch which, size_t bytes);
enum err cuda_short(struct cuda *c, size_t bytes, struct fail *f);
/* Says once that a product has no fast kernel. */
void cuda_say_plain(struct cuda *c, const char *text);

struct bf16 {
    uint16_t bits;
};
struct f16 {
    uint16_t bits;
};

static __device__ __forceinline__ float cuda_get(float v) {
    return v;
}

static __device__ __forceinline__ float cuda_get(struct bf16 v) {
    return __uint_as_float((uint32_t)v.bits << 16);
}

/* Subnormal numbers of f16 are exact products with a power of two. */
static __device__ __forceinline__ float cuda_get(struct f16 v) {
    uint32_t sign = (uint32_t)(v.bits & 0x8000) << 16, rest = v.bits & 0x7fff;
    if (rest >= 0x7c00) return __uint_as_float(sign | 0x7f800000u | (rest & 0x3ff) << 13);
    if (rest >= 0x400) return __uint_as_float(sign | ((rest << 13) + 0x38000000u));
    float small = (float)rest * 5.9604644775390625e-8f;
    return sign ? -small : small;
}

static __device__ __forceinline__ void cuda_set(float *p, float v) {
    *p = v;
}

/* To nearest, ties to even; what is no number stays none. */
static __device__ __forceinline__ void cuda_set(struct bf16 *p, float v) {
    uint32_t u = __float_as_uint(v);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        p->bits = (uint16_t)(u >> 16 | 0x40);
    else
        p->bits = (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static __device__ __forceinline__ float cuda_act(float x, int act) {
    switch (act) {
    case ACT_SILU: return x / (1 + expf(-x));
    case ACT_GELU_TANH: return 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    case ACT_GELU_ERF: return 0.5f * x * (1 + erff(x * 0.7071067812f));
    case ACT_RELU: return x > 0 ? x : x * 0; /* what is no number stays none */
    default: return x;
    }
}

/* Number of this thread among all of a one-dimensional launch. */
static __device__ __forceinline__ int64_t cuda_at(void) {
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

/* Starts `blocks` blocks; none for empty tensors. */
template <class... P, class... A>
static inline void cuda_run(struct cuda *c, const char *what, void (*kernel)(P...), int64_t blocks,
                            int threads, size_t shared_bytes, A... args) {
    if (blocks == 0) return;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3((unsigned)blocks);
    config.blockDim = dim3((unsigned)threads);
    config.dynamicSmemBytes = shared_bytes;
    config.stream = c->stream;
    cuda_note(c, cudaLaunchKernelEx(&config, kernel, P(args)...), what);
}

enum { CUDA_THREADS = 256 };

/* One thread for each of n elements. */
template <class... P, class... A>
static inline void cuda_each(struct cuda *c, const char *what, void (*kernel)(P...), int64_t n,
                             A... args) {
    cuda_run(c, what, kernel, (n + CUDA_THREADS - 1) / CUDA_THREADS, CUDA_THREADS, 0, args...);
}

/* Calls then(p) with the data of a real tensor under its own type. */
template <class F> static inline void cuda_typed(const struct tensor *t, F then) {
    if (t->dtype == DTYPE_BF16)
        then((struct bf16 *)t->data);
    else
        then((float *)t->data);
}

/* Elements 0 .. n-1 of `from` (F32, BF16 or F16) as `type` (F32 or BF16), in rows of C that become
 * rows of `wide` >= C with zeros at the end. */
void cuda_convert(struct cuda *c, void *to, enum dtype type, const void *from, enum dtype from_type,
                  int64_t rows, int64_t C, int64_t wide);

#endif
