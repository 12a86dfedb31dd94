/* cuda_blas_emu.cc - cuda_blas.h in plain loops. As the real one it refuses bf16 whose rows do not
 * begin at multiples of 16 bytes, so that what happens then is tested too. */
#include "engine/cuda/cuda_blas.h"

enum err cuda_blas_open(struct cuda *c, struct fail *f) {
    if (!cuda_take(c, CUDA_SCRATCH_LT, CUDA_LT_BYTES)) return cuda_short(c, CUDA_LT_BYTES, f);
    return ERR_OK;
}

void cuda_blas_close(struct cuda *c) {
    (void)c;
}

static float get(const void *p, enum dtype type, int64_t i) {
    return type == DTYPE_BF16 ? cuda_get(((const struct bf16 *)p)[i]) : ((const float *)p)[i];
}

static void one(const struct cuda_product *p, int64_t n, int64_t o) {
    double sum = 0;
    int64_t at = n * p->out_stride + o;
    for (int64_t k = 0; k < p->K; k++)
        sum += (double)get(p->x, p->type, n * p->x_stride + k) *
               (double)get(p->w, p->type, p->is_turned ? k * p->w_stride + o : o * p->w_stride + k);
    float v = (float)sum * p->scale;
    if (p->beta != 0) v += p->beta * get(p->out, p->out_type, at);
    if (p->b) v += get(p->b, p->out_type, o);
    if (p->has_gelu) v = cuda_act(v, ACT_GELU_TANH);
    if (p->out_type == DTYPE_BF16)
        cuda_set((struct bf16 *)p->out + at, v);
    else
        ((float *)p->out)[at] = v;
}

enum err cuda_blas_product(struct cuda *c, const struct cuda_product *p, struct fail *f) {
    (void)c, (void)f;
    int64_t strides = p->x_stride | p->w_stride;
    if (p->type == DTYPE_BF16 && (strides % 8 || (uintptr_t)p->x % 16 || (uintptr_t)p->w % 16))
        return ERR_UNSUPPORTED;
    emu_enter();
    for (int64_t n = 0; n < p->N; n++)
        for (int64_t o = 0; o < p->O; o++)
            one(p, n, o);
    emu_leave();
    return ERR_OK;
}
