/* cuda_hopper_emu.h - the functions of engine/cuda/cuda_hopper.h in plain C++: products read the
 * tiles that their descriptors describe. Included before it, under its guard. */
#ifndef ENGINE_CUDA_CUDA_HOPPER_H
#define ENGINE_CUDA_CUDA_HOPPER_H

#include "tests/emu/cuda_ptx_emu.h"

static inline uint64_t cuda_hopper_tile(const void *shared, uint32_t beside) {
    uint64_t at = (cuda_ptx_address(shared) & 0x3ffff) >> 4;
    return at | (uint64_t)(beside >> 4) << 16 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
}

/* Products are asynchronous: their operands must have been shown, their results are not there
 * before they are waited for. Here a result arrives with the wait for its group. */
void cuda_hopper_show(void);
void cuda_hopper_begin(void);
void cuda_hopper_commit(void);
void emu_hopper_wait(int n);
void emu_multiply(float *d, int n, uint64_t a, uint64_t b, int adds);
void emu_gather(float *d, int n, const uint32_t a[4], uint64_t b);

template <int N> static inline void cuda_hopper_wait(void) {
    emu_hopper_wait(N);
}

template <int N> static inline void cuda_hopper_hold(float *d) {
    (void)d;
}

static inline void cuda_hopper_multiply64(float *d, uint64_t a, uint64_t b, int adds) {
    emu_multiply(d, 64, a, b, adds);
}
static inline void cuda_hopper_multiply128(float *d, uint64_t a, uint64_t b, int adds) {
    emu_multiply(d, 128, a, b, adds);
}
static inline void cuda_hopper_gather64(float *d, const uint32_t *a, uint64_t b) {
    emu_gather(d, 64, a, b);
}
static inline void cuda_hopper_gather128(float *d, const uint32_t *a, uint64_t b) {
    emu_gather(d, 128, a, b);
}

#endif
