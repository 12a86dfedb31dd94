/* cuda_ptx.h - the instructions that C++ has no words for, one function each, and shared memory.
 *
 * Layouts of fragments are those of the PTX manual for mma.m16n8k16: with g = lane / 4 and
 * t = lane % 4, a[0..3] hold A at (g,2t) (g+8,2t) (g,2t+8) (g+8,2t+8), b[0..1] hold B at (k 2t, n
 * g) and (k 2t+8, n g), two numbers each along k; c[0..3] hold C at (g,2t) (g,2t+1) (g+8,2t)
 * (g+8,2t+1). The emulator of the tests has functions of the same names. */
#ifndef ENGINE_CUDA_CUDA_PTX_H
#define ENGINE_CUDA_CUDA_PTX_H

#include <stdint.h>

/* The dynamic shared memory of the block, aligned to 128 bytes. */
static __device__ __forceinline__ unsigned char *cuda_ptx_shared(void) {
    extern __shared__ __align__(128) unsigned char cuda_ptx_shared_bytes[];
    return cuda_ptx_shared_bytes;
}

static __device__ __forceinline__ uint32_t cuda_ptx_address(const void *shared) {
    return (uint32_t)__cvta_generic_to_shared(shared);
}

/* 16 bytes from global to shared memory; zeros when `is_there` is false (`from` must still be an
 * address inside of something). */
static __device__ __forceinline__ void cuda_ptx_copy16(void *to, const void *from, bool is_there) {
    int n = is_there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(cuda_ptx_address(to)),
                 "l"(from), "r"(n)
                 : "memory");
}

static __device__ __forceinline__ void cuda_ptx_commit(void) {
    asm volatile("cp.async.commit_group;\n" ::: "memory");
}

/* Until at most N groups of this thread are under way. */
template <int N> static __device__ __forceinline__ void cuda_ptx_wait(void) {
    asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
}

/* Four 8x8 matrices; lane i gives the address of row i % 8 of matrix i / 8. */
static __device__ __forceinline__ void cuda_ptx_load4(uint32_t r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(cuda_ptx_address(row))
                 : "memory");
}

/* The same, every matrix turned. */
static __device__ __forceinline__ void cuda_ptx_load4_turned(uint32_t r[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(cuda_ptx_address(row))
                 : "memory");
}

/* c += a b */
static __device__ __forceinline__ void cuda_ptx_mma(float c[4], const uint32_t a[4],
                                                    const uint32_t b[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Two bf16, `low` in the lower half. */
static __device__ __forceinline__ uint32_t cuda_ptx_pair(float low, float high) {
    uint32_t d;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(d) : "f"(high), "f"(low));
    return d;
}

/* 2^x, within 2 units of the last place; 0 for -INFINITY. */
static __device__ __forceinline__ float cuda_ptx_exp2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
    return y;
}

#endif
