/* cuda_runtime.h - CUDA for machines without it: kernels of engine/cuda run on the processor, one
 * thread after the other, so that tests find wrong indices, missing barriers' deadlocks and host
 * code that touches device memory. Slow; says nothing about speed, races or the real compiler.
 *
 * A block's threads are coroutines: they run until a barrier or an exchange between the lanes of a
 * warp, where all that take part must come. Memory of the device is unreadable for host code: its
 * pages open only while a kernel or a copy runs. */
#ifndef TESTS_EMU_CUDA_RUNTIME_H
#define TESTS_EMU_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <type_traits>

#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__   static /* one block runs at a time */
#define __restrict__

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct float4 {
    float x, y, z, w;
};
struct uint2 {
    uint32_t x, y;
};
static inline float4 make_float4(float x, float y, float z, float w) {
    return float4{x, y, z, w};
}
static inline uint2 make_uint2(uint32_t x, uint32_t y) {
    return uint2{x, y};
}

struct emu_index {
    unsigned x, y, z;
};
extern struct emu_index threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void __syncthreads();
/* The words of all lanes of the warp, when all have come. */
const uint32_t *emu_exchange(const uint32_t *mine, int n);
enum { EMU_WORDS_MAX = 16 };

static inline uint32_t __float_as_uint(float v) {
    uint32_t u;
    memcpy(&u, &v, sizeof u);
    return u;
}
static inline float __uint_as_float(uint32_t u) {
    float v;
    memcpy(&v, &u, sizeof v);
    return v;
}
static inline float __shfl_xor_sync(unsigned mask, float v, int lanes) {
    (void)mask;
    uint32_t mine = __float_as_uint(v);
    const uint32_t *all = emu_exchange(&mine, 1);
    return __uint_as_float(all[((threadIdx.x % 32) ^ (unsigned)lanes) * EMU_WORDS_MAX]);
}

/* The part of the runtime that the backend calls. */
enum cudaError_t {
    cudaSuccess,
    cudaErrorInvalidValue,
    cudaErrorMemoryAllocation,
    cudaErrorInvalidConfiguration,
    cudaErrorUnknown
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };
typedef struct emu_stream *cudaStream_t;
typedef struct emu_event *cudaEvent_t;
struct cudaDeviceProp {
    char name[64];
    int major, minor, multiProcessorCount;
    size_t totalGlobalMem, sharedMemPerBlockOptin;
};
struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
};

cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaSetDevice(int index);
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int index);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaMalloc(void **p, size_t bytes);
cudaError_t cudaFree(void *p);
cudaError_t cudaMallocHost(void **p, size_t bytes);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaMemGetInfo(size_t *left, size_t *total);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t n, enum cudaMemcpyKind kind,
                            cudaStream_t s);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
const char *cudaGetErrorString(cudaError_t e);

/* Opens and closes the memory of the device. */
void emu_enter();
void emu_leave();

template <class F>
cudaError_t cudaFuncSetAttribute(F kernel, enum cudaFuncAttribute what, int value) {
    (void)kernel, (void)what;
    return value <= 232448 - 1024 ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t emu_launch(const cudaLaunchConfig_t *config, const std::function<void()> &thread);

template <class... P, class... A>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(P...),
                               A &&...args) {
    return emu_launch(config, [=] { kernel(args...); });
}

#endif
