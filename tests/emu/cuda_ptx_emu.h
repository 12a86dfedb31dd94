/* cuda_ptx_emu.h - the functions of engine/cuda/cuda_ptx.h in plain C++, by the layouts of the PTX
 * manual. Included before it, under its guard. */
#ifndef ENGINE_CUDA_CUDA_PTX_H
#define ENGINE_CUDA_CUDA_PTX_H

#include <cuda_runtime.h>

/* Dynamic shared memory of the block; what lies outside is not touched: an ASSERT stops the test.
 */
unsigned char *cuda_ptx_shared(void);
/* [p, p + n) must lie in shared memory and p must be a multiple of 16. */
void emu_check_shared(const void *p, size_t n);
/* Copies of this thread that wait for their commit and their wait. */
void cuda_ptx_copy16(void *to, const void *from, bool is_there);
void cuda_ptx_commit(void);
void emu_wait(int n);

template <int N> static inline void cuda_ptx_wait(void) {
    emu_wait(N);
}

/* Where it lies in shared memory. */
uint32_t cuda_ptx_address(const void *shared);
void cuda_ptx_load4(uint32_t r[4], const void *row);
void cuda_ptx_load4_turned(uint32_t r[4], const void *row);
void cuda_ptx_mma(float c[4], const uint32_t a[4], const uint32_t b[2]);
uint32_t cuda_ptx_pair(float low, float high);

static inline float cuda_ptx_exp2(float x) {
    return exp2f(x);
}

#endif
