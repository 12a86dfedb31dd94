#include "engine/cuda/cuda_element.h"

#include "engine/cuda/cuda_own.h"

#define TYPE_OF(p) std::remove_pointer_t<decltype(p)>

template <class O> static __global__ void fill(O *out, int64_t n, float value) {
    int64_t i = cuda_at();
    if (i < n) cuda_set(out + i, value);
}

void cuda_element_fill(struct device *dev, struct tensor *out, float value) {
    int64_t n = tensor_count(out);
    cuda_typed(out,
               [&](auto *p) { cuda_each(cuda_of(dev), "fill", fill<TYPE_OF(p)>, n, p, n, value); });
}

template <class O, class X>
static __global__ void activate(O *out, const X *x, int64_t n, int act) {
    int64_t i = cuda_at();
    if (i < n) cuda_set(out + i, cuda_act(cuda_get(x[i]), act));
}

void cuda_element_act(struct device *dev, struct tensor *out, const struct tensor *x,
                      enum act act) {
    int64_t n = tensor_count(x);
    cuda_typed(out, [&](auto *po) {
        cuda_typed(x, [&](auto *px) {
            cuda_each(cuda_of(dev), "act", activate<TYPE_OF(po), TYPE_OF(px)>, n, po, px, n,
                      (int)act);
        });
    });
}

template <class O, class A, class B>
static __global__ void add_scaled(O *out, const A *a, const B *b, int64_t n, float s) {
    int64_t i = cuda_at();
    if (i < n) cuda_set(out + i, cuda_get(a[i]) + s * cuda_get(b[i]));
}

void cuda_element_add_scaled(struct device *dev, struct tensor *out, const struct tensor *a,
                             const struct tensor *b, float s) {
    int64_t n = tensor_count(a);
    cuda_typed(out, [&](auto *po) {
        cuda_typed(a, [&](auto *pa) {
            cuda_typed(b, [&](auto *pb) {
                cuda_each(cuda_of(dev), "add_scaled",
                          add_scaled<TYPE_OF(po), TYPE_OF(pa), TYPE_OF(pb)>, n, po, pa, pb, n, s);
            });
        });
    });
}

template <class O, class A, class B>
static __global__ void multiply(O *out, const A *a, const B *b, int64_t n) {
    int64_t i = cuda_at();
    if (i < n) cuda_set(out + i, cuda_get(a[i]) * cuda_get(b[i]));
}

void cuda_element_mul(struct device *dev, struct tensor *out, const struct tensor *a,
                      const struct tensor *b) {
    int64_t n = tensor_count(a);
    cuda_typed(out, [&](auto *po) {
        cuda_typed(a, [&](auto *pa) {
            cuda_typed(b, [&](auto *pb) {
                cuda_each(cuda_of(dev), "mul", multiply<TYPE_OF(po), TYPE_OF(pa), TYPE_OF(pb)>, n,
                          po, pa, pb, n);
            });
        });
    });
}

template <class O, class X>
static __global__ void affine(O *out, const X *x, int64_t n, int64_t C, const float *scale,
                              const float *shift) {
    int64_t i = cuda_at();
    if (i < n) cuda_set(out + i, cuda_get(x[i]) * scale[i % C] + shift[i % C]);
}

void cuda_element_affine(struct device *dev, struct tensor *out, const struct tensor *x,
                         const struct tensor *scale, const struct tensor *shift) {
    int64_t n = tensor_count(x), C = tensor_n_cols(x);
    cuda_typed(out, [&](auto *po) {
        cuda_typed(x, [&](auto *px) {
            cuda_each(cuda_of(dev), "affine", affine<TYPE_OF(po), TYPE_OF(px)>, n, po, px, n, C,
                      (const float *)scale->data, (const float *)shift->data);
        });
    });
}

/* Rounded in double, as everywhere: (v + 1) * 127.5 in f32 would move a few ties. */
template <class X> static __global__ void pack_rgb(uint8_t *out, const X *x, int64_t n) {
    int64_t i = cuda_at();
    if (i >= n) return;
    double v = (double)cuda_get(x[i]);
    v = v < -1 ? -1 : v > 1 ? 1 : v;
    out[i] = v == v ? (uint8_t)rint((v + 1) * 127.5) : 0;
}

void cuda_element_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x) {
    int64_t n = tensor_count(x);
    cuda_typed(x, [&](auto *px) {
        cuda_each(cuda_of(dev), "pack_rgb", pack_rgb<TYPE_OF(px)>, n, (uint8_t *)out->data, px, n);
    });
}

template <class O, class X>
static __global__ void convert(O *to, const X *from, int64_t n, int64_t C, int64_t wide) {
    int64_t i = cuda_at();
    if (i >= n) return;
    int64_t row = i / wide, c = i % wide;
    cuda_set(to + i, c < C ? cuda_get(from[row * C + c]) : 0);
}

template <class O>
static void convert_to(struct cuda *c, O *to, const void *from, enum dtype from_type, int64_t n,
                       int64_t C, int64_t wide) {
    if (from_type == DTYPE_BF16)
        cuda_each(c, "convert", convert<O, struct bf16>, n, to, (const struct bf16 *)from, n, C,
                  wide);
    else if (from_type == DTYPE_F16)
        cuda_each(c, "convert", convert<O, struct f16>, n, to, (const struct f16 *)from, n, C,
                  wide);
    else
        cuda_each(c, "convert", convert<O, float>, n, to, (const float *)from, n, C, wide);
}

void cuda_convert(struct cuda *c, void *to, enum dtype type, const void *from, enum dtype from_type,
                  int64_t rows, int64_t C, int64_t wide) {
    if (type == DTYPE_BF16)
        convert_to(c, (struct bf16 *)to, from, from_type, rows * wide, C, wide);
    else
        convert_to(c, (float *)to, from, from_type, rows * wide, C, wide);
}
