/* blas_peer.h - the products of a transformer block as OpenBLAS does them, f32, all its threads. */
#ifndef TESTS_BENCH_BLAS_PEER_H
#define TESTS_BENCH_BLAS_PEER_H

#include <stdint.h>

/* One product x [N,K] w [O,K]^T; the memory is the caller's. */
void blas_peer_product(float *out, const float *x, const float *w, int64_t N, int64_t K, int64_t O);
/* Threads that the library starts from now on; 0 means one for each core that may be used. */
void blas_peer_threads(int n);

#endif
