#include "tests/bench/blas_peer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROW_MAJOR = 101, AS_IT_IS = 111, TURNED = 112 };

typedef void (*sgemm_fn)(int order, int turn_a, int turn_b, int M, int N, int K, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta, float *c,
                         int ldc);
typedef void (*threads_fn)(int n);

/* Loaded when it is asked for: machines without it run the other parts. */
static void *symbol(const char *name) {
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_GLOBAL);
    void *found = library ? dlsym(library, name) : NULL;
    if (found) return found;
    fprintf(stderr, "bench_engine: libopenblas.so.0 is missing\n");
    exit(1);
}

void blas_peer_product(float *out, const float *x, const float *w, int64_t N, int64_t K,
                       int64_t O) {
    union {
        void *address;
        sgemm_fn call;
    } sgemm = {symbol("cblas_sgemm")};
    sgemm.call(ROW_MAJOR, AS_IT_IS, TURNED, (int)N, (int)O, (int)K, 1.0f, x, (int)K, w, (int)K,
               0.0f, out, (int)O);
}

void blas_peer_threads(int n) {
    union {
        void *address;
        threads_fn call;
    } set = {symbol("openblas_set_num_threads")};
    set.call(n > 0 ? n : (int)sysconf(_SC_NPROCESSORS_ONLN));
}
