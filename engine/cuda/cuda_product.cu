#include "engine/cuda/cuda_product.h"

/* One thread a result: slow, and right for every shape. */
template <class O, class X> static __global__ void product_plain(struct cuda_product p) {
    int64_t i = cuda_at();
    if (i >= p.N * p.O) return;
    int64_t n = i / p.O, o = i % p.O, step = p.is_turned ? p.w_stride : 1;
    const X *x = (const X *)p.x + n * p.x_stride;
    const X *w = (const X *)p.w + (p.is_turned ? o : o * p.w_stride);
    O *out = (O *)p.out + n * p.out_stride + o;
    float sum = 0;
    for (int64_t k = 0; k < p.K; k++)
        sum += cuda_get(x[k]) * cuda_get(w[k * step]);
    sum *= p.scale;
    if (p.beta != 0) sum += p.beta * cuda_get(*out);
    if (p.b) sum += cuda_get(((const O *)p.b)[o]);
    cuda_set(out, cuda_act(sum, p.has_gelu ? ACT_GELU_TANH : ACT_NONE));
}

template <class O> static void plain_to(struct cuda *c, const struct cuda_product *p) {
    if (p->type == DTYPE_BF16)
        cuda_each(c, "product", product_plain<O, struct bf16>, p->N * p->O, *p);
    else
        cuda_each(c, "product", product_plain<O, float>, p->N * p->O, *p);
}

enum err cuda_product_run(struct cuda *c, const struct cuda_product *p, struct fail *f) {
    enum err rc = cuda_blas_product(c, p, f);
    if (rc != ERR_UNSUPPORTED) return rc;
    cuda_say_plain(c, "cuBLASLt has no kernel for the shape of a product; the plain one is slow");
    if (p->out_type == DTYPE_BF16)
        plain_to<struct bf16>(c, p);
    else
        plain_to<float>(c, p);
    return ERR_OK;
}
