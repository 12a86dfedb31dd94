#include "engine/cpu/cpu_blas.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/assert.h"

enum { ROW_MAJOR = 101, NO_TRANS = 111, TRANS = 112 };

typedef void (*sgemm_fn)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                         const float *a, int lda, const float *b, int ldb, float beta, float *c,
                         int ldc);

static const char *const names[] = {"libopenblas.so.0", "libopenblas.so"};
static const char *const misleading[] = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE",
                                         "OPENBLAS_BLOCK_FACTOR", "OPENBLAS_VERBOSE"};

/* A function address in an object pointer: POSIX promises that the bits agree. */
static void *symbol(void *library, const char *name) {
    return dlsym(library, name);
}

enum err cpu_blas_open(struct cpu_blas *b, struct fail *f) {
    memset(b, 0, sizeof *b);
    for (int i = 0; i < COUNT_OF(misleading); i++)
        unsetenv(misleading[i]);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    for (int i = 0; i < COUNT_OF(names) && !b->library; i++)
        b->library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!b->library)
        return FAIL(f, ERR_UNAVAILABLE,
                    "libopenblas.so.0 is missing: install libopenblas0-pthread");
    b->sgemm = symbol(b->library, "cblas_sgemm");
    if (!b->sgemm) return FAIL(f, ERR_UNAVAILABLE, "libopenblas.so.0 has no cblas_sgemm");
    union {
        void *address;
        char *(*core_name)(void);
        void (*set_threads)(int);
    } call;
    call.address = symbol(b->library, "openblas_set_num_threads");
    if (call.address) call.set_threads(1);
    call.address = symbol(b->library, "openblas_get_corename");
    b->core_name = call.address ? call.core_name() : "unknown";
    return ERR_OK;
}

void cpu_blas_close(struct cpu_blas *b) {
    if (b->library) dlclose(b->library);
    memset(b, 0, sizeof *b);
}

void cpu_blas_multiply(const struct cpu_blas *b, const struct cpu_blas_product *p) {
    union {
        void *address;
        sgemm_fn sgemm;
    } call = {.address = b->sgemm};
    call.sgemm(ROW_MAJOR, NO_TRANS, TRANS, (int)p->m, (int)p->n, (int)p->k, 1.0f, p->x, (int)p->k,
               p->w, (int)p->k, 0.0f, p->out, (int)p->out_stride);
}
