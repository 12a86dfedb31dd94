#include "tests/bench/blas_peer.h"

#include <cblas.h>
#include <unistd.h>

void blas_peer_product(float *out, const float *x, const float *w, int64_t N, int64_t K,
                       int64_t O) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)N, (int)O, (int)K, 1.0f, x, (int)K, w,
                (int)K, 0.0f, out, (int)O);
}

void blas_peer_threads(int n) {
    openblas_set_num_threads(n > 0 ? n : (int)sysconf(_SC_NPROCESSORS_ONLN));
}
