#include "engine/cuda/cuda_blas.h"

#include <cublasLt.h>

#include <stdlib.h>
#include <string.h>

/* Choices of kernels are kept: asking costs more than a small product. */
enum { CHOICES_MAX = 256 };

struct key {
    int64_t N, O, K, x_stride, w_stride, out_stride;
    int type, out_type, has_b, has_gelu, is_turned, has_beta, align;
};

struct choice {
    struct key key;
    bool is_there; /* false: there is no kernel */
    cublasLtMatmulAlgo_t algo;
};

struct cuda_blas {
    cublasLtHandle_t lt;
    cublasLtMatmulPreference_t preference;
    int n_choices, next;
    struct choice choice[CHOICES_MAX];
};

static enum err blas_fail(cublasStatus_t s, const char *what, struct fail *f) {
    return FAIL(f, ERR_UNAVAILABLE, "cuBLASLt: %s: %s", what, cublasLtGetStatusString(s));
}

enum err cuda_blas_open(struct cuda *c, struct fail *f) {
    struct cuda_blas *b = (struct cuda_blas *)calloc(1, sizeof *b);
    if (!b) return FAIL(f, ERR_NOMEM, "no memory for cuBLASLt");
    c->blas = b;
    uint64_t room = CUDA_LT_BYTES;
    cublasStatus_t s = cublasLtCreate(&b->lt);
    if (s != CUBLAS_STATUS_SUCCESS) return blas_fail(s, "open", f);
    s = cublasLtMatmulPreferenceCreate(&b->preference);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = cublasLtMatmulPreferenceSetAttribute(
            b->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, sizeof room);
    if (s != CUBLAS_STATUS_SUCCESS) return blas_fail(s, "preference", f);
    if (!cuda_take(c, CUDA_SCRATCH_LT, CUDA_LT_BYTES)) return cuda_short(c, CUDA_LT_BYTES, f);
    return ERR_OK;
}

void cuda_blas_close(struct cuda *c) {
    if (!c->blas) return;
    if (c->blas->preference) cublasLtMatmulPreferenceDestroy(c->blas->preference);
    if (c->blas->lt) cublasLtDestroy(c->blas->lt);
    free(c->blas);
    c->blas = NULL;
}

/* Everything of one call. The library is column-major: what we call [N,O] it calls O x N, and so
 * our w is its A and our x its B. */
struct call {
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t a, b, d;
};

static void call_close(struct call *k) {
    if (k->d) cublasLtMatrixLayoutDestroy(k->d);
    if (k->b) cublasLtMatrixLayoutDestroy(k->b);
    if (k->a) cublasLtMatrixLayoutDestroy(k->a);
    if (k->op) cublasLtMatmulDescDestroy(k->op);
}

static cudaDataType type_of(enum dtype t) {
    return t == DTYPE_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasStatus_t set(struct call *k, cublasLtMatmulDescAttributes_t what, const void *value,
                          size_t bytes) {
    return cublasLtMatmulDescSetAttribute(k->op, what, value, bytes);
}

static cublasStatus_t set_epilogue(struct call *k, const struct cuda_product *p) {
    cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    cudaDataType bias_type = type_of(p->out_type);
    cublasStatus_t s;
    if (p->b) epilogue = p->has_gelu ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
    if (!p->b && p->has_gelu) epilogue = CUBLASLT_EPILOGUE_GELU;
    s = set(k, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (s != CUBLAS_STATUS_SUCCESS || !p->b) return s;
    s = set(k, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &bias_type, sizeof bias_type);
    if (s != CUBLAS_STATUS_SUCCESS) return s;
    return set(k, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->b, sizeof p->b);
}

static cublasStatus_t call_open(struct call *k, const struct cuda_product *p) {
    cublasOperation_t turn_a = p->is_turned ? CUBLAS_OP_N : CUBLAS_OP_T, turn_b = CUBLAS_OP_N;
    cudaDataType in = type_of(p->type), out = type_of(p->out_type);
    uint64_t O = (uint64_t)p->O, N = (uint64_t)p->N, K = (uint64_t)p->K;
    memset(k, 0, sizeof *k);
    cublasStatus_t s = cublasLtMatmulDescCreate(&k->op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (s == CUBLAS_STATUS_SUCCESS) s = set(k, CUBLASLT_MATMUL_DESC_TRANSA, &turn_a, sizeof turn_a);
    if (s == CUBLAS_STATUS_SUCCESS) s = set(k, CUBLASLT_MATMUL_DESC_TRANSB, &turn_b, sizeof turn_b);
    if (s == CUBLAS_STATUS_SUCCESS) s = set_epilogue(k, p);
    if (s == CUBLAS_STATUS_SUCCESS)
        s = p->is_turned ? cublasLtMatrixLayoutCreate(&k->a, in, O, K, p->w_stride)
                         : cublasLtMatrixLayoutCreate(&k->a, in, K, O, p->w_stride);
    if (s == CUBLAS_STATUS_SUCCESS) s = cublasLtMatrixLayoutCreate(&k->b, in, K, N, p->x_stride);
    if (s == CUBLAS_STATUS_SUCCESS) s = cublasLtMatrixLayoutCreate(&k->d, out, O, N, p->out_stride);
    return s;
}

/* The largest power of two up to 16 that divides all addresses: kernels are chosen by it. */
static int align_of(const struct cuda_product *p) {
    uintptr_t all = (uintptr_t)p->x | (uintptr_t)p->w | (uintptr_t)p->out | (uintptr_t)p->b | 16;
    return (int)(all & (~all + 1));
}

static struct key key_of(const struct cuda_product *p) {
    struct key k;
    memset(&k, 0, sizeof k);
    k.N = p->N, k.O = p->O, k.K = p->K;
    k.x_stride = p->x_stride, k.w_stride = p->w_stride, k.out_stride = p->out_stride;
    k.type = p->type, k.out_type = p->out_type;
    k.has_b = p->b != NULL, k.has_gelu = p->has_gelu, k.is_turned = p->is_turned;
    k.has_beta = p->beta != 0;
    k.align = align_of(p);
    return k;
}

static void set_align(struct cuda_blas *b, uint32_t align) {
    static const cublasLtMatmulPreferenceAttributes_t all[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    for (int i = 0; i < 4; i++)
        (void)cublasLtMatmulPreferenceSetAttribute(b->preference, all[i], &align, sizeof align);
}

/* The kernel that the library expects to be fastest; asked once for every kind of product. */
static const struct choice *choose(struct cuda_blas *b, const struct call *k,
                                   const struct cuda_product *p) {
    struct key key = key_of(p);
    for (int i = 0; i < b->n_choices; i++)
        if (memcmp(&b->choice[i].key, &key, sizeof key) == 0) return &b->choice[i];
    struct choice *c = &b->choice[b->next];
    b->next = (b->next + 1) % CHOICES_MAX;
    if (b->n_choices < CHOICES_MAX) b->n_choices++;
    cublasLtMatmulHeuristicResult_t result;
    int n = 0;
    set_align(b, (uint32_t)key.align);
    cublasStatus_t s = cublasLtMatmulAlgoGetHeuristic(b->lt, k->op, k->a, k->b, k->d, k->d,
                                                      b->preference, 1, &result, &n);
    c->key = key;
    c->is_there = s == CUBLAS_STATUS_SUCCESS && n > 0;
    if (c->is_there) c->algo = result.algo;
    return c;
}

enum err cuda_blas_product(struct cuda *c, const struct cuda_product *p, struct fail *f) {
    struct cuda_blas *b = c->blas;
    struct call k;
    cublasStatus_t s = call_open(&k, p);
    const struct choice *choice = s == CUBLAS_STATUS_SUCCESS ? choose(b, &k, p) : NULL;
    if (choice && choice->is_there)
        s = cublasLtMatmul(b->lt, k.op, &p->scale, p->w, k.a, p->x, k.b, &p->beta, p->out, k.d,
                           p->out, k.d, &choice->algo, c->scratch[CUDA_SCRATCH_LT], CUDA_LT_BYTES,
                           c->stream);
    call_close(&k);
    if (!choice) return blas_fail(s, "shape", f);
    if (!choice->is_there) return ERR_UNSUPPORTED;
    if (s == CUBLAS_STATUS_SUCCESS) return ERR_OK;
    cuda_note(c, cudaPeekAtLastError(), "product");
    enum err rc = cuda_check(c, f);
    return rc != ERR_OK ? rc : blas_fail(s, "product", f);
}
