#include "engine/cuda/cuda_volume.h"

#include "engine/cuda/cuda_own.h"

#define TYPE_OF(p) std::remove_pointer_t<decltype(p)>

/* A thread makes one element of the result; sides are those of the oracle (backend_ref_volume.c).
 */
struct sides {
    int64_t T, H, W, C;
};

static struct sides sides_of(const struct tensor *t) {
    return (struct sides){t->dim[0], t->dim[1], t->dim[2], t->dim[3]};
}

struct place {
    int64_t t, h, w, c;
};

static __device__ struct place place_of(int64_t i, const struct sides *s) {
    struct place p;
    p.c = i % s->C, i /= s->C;
    p.w = i % s->W, i /= s->W;
    p.h = i % s->H;
    p.t = i / s->H;
    return p;
}

/* Then(out, x) under their types. */
template <class F> static void both_typed(struct tensor *out, const struct tensor *x, F then) {
    cuda_typed(out, [&](auto *po) { cuda_typed(x, [&](auto *px) { then(po, px); }); });
}

template <class O, class X>
static __global__ void depthwise(O *out, const X *x, const float *w, int64_t n, struct sides s,
                                 int kh, int kw) {
    int64_t at = cuda_at();
    if (at >= n) return;
    struct place p = place_of(at, &s);
    float sum = 0;
    for (int i = 0; i < kh; i++)
        for (int j = 0; j < kw; j++) {
            int64_t y = p.h + i - (kh - 1) / 2, z = p.w + j - (kw - 1) / 2;
            if (y >= 0 && y < s.H && z >= 0 && z < s.W)
                sum += w[(p.c * kh + i) * kw + j] *
                       cuda_get(x[((p.t * s.H + y) * s.W + z) * s.C + p.c]);
        }
    cuda_set(out + at, sum);
}

void cuda_volume_depthwise(struct device *dev, struct tensor *out, const struct tensor *x,
                           const struct tensor *w) {
    int64_t n = tensor_count(out);
    both_typed(out, x, [&](auto *po, auto *px) {
        cuda_each(cuda_of(dev), "depthwise", depthwise<TYPE_OF(po), TYPE_OF(px)>, n, po, px,
                  (const float *)w->data, n, sides_of(x), (int)w->dim[1], (int)w->dim[2]);
    });
}

template <class O, class X>
static __global__ void time_split(O *out, const X *x, int64_t n, int64_t pixels, int64_t C) {
    int64_t at = cuda_at();
    if (at >= n) return;
    int64_t c = at % C, pixel = at / C % pixels, t = at / C / pixels;
    cuda_set(out + at, cuda_get(x[((t / 2 * pixels + pixel) * 2 + t % 2) * C + c]));
}

void cuda_volume_time_split(struct device *dev, struct tensor *out, const struct tensor *x) {
    int64_t n = tensor_count(out), pixels = out->dim[1] * out->dim[2], C = out->dim[3];
    both_typed(out, x, [&](auto *po, auto *px) {
        cuda_each(cuda_of(dev), "time_split", time_split<TYPE_OF(po), TYPE_OF(px)>, n, po, px, n,
                  pixels, C);
    });
}

template <class O, class X>
static __global__ void dup_up_add(O *out, const X *x, int64_t n, struct sides so, struct sides sx,
                                  int ft, int fs, int n_drop, int64_t repeats) {
    int64_t at = cuda_at();
    if (at >= n) return;
    struct place p = place_of(at, &so);
    int64_t from_t = (p.t + n_drop) / ft, a = (p.t + n_drop) % ft;
    int64_t c = (((p.c * ft + a) * fs + p.h % fs) * fs + p.w % fs) / repeats;
    float y = cuda_get(x[((from_t * sx.H + p.h / fs) * sx.W + p.w / fs) * sx.C + c]);
    cuda_set(out + at, cuda_get(out[at]) + y);
}

void cuda_volume_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                            int fs, int n_drop) {
    int64_t n = tensor_count(out), repeats = out->dim[3] * ft * fs * fs / x->dim[3];
    both_typed(out, x, [&](auto *po, auto *px) {
        cuda_each(cuda_of(dev), "dup_up", dup_up_add<TYPE_OF(po), TYPE_OF(px)>, n, po, px, n,
                  sides_of(out), sides_of(x), ft, fs, n_drop, repeats);
    });
}

template <class O, class X>
static __global__ void avg_down_add(O *out, const X *x, int64_t n_out, struct sides so,
                                    struct sides sx, int ft, int fs, int n_zero, int64_t n) {
    int64_t to = cuda_at();
    if (to >= n_out) return;
    struct place p = place_of(to, &so);
    int64_t cell = (int64_t)ft * fs * fs;
    float sum = 0;
    for (int64_t g = p.c * n; g < (p.c + 1) * n; g++) {
        int64_t c = g / cell, at = p.t * ft + g % cell / (fs * fs) - n_zero;
        int64_t y = p.h * fs + g / fs % fs, z = p.w * fs + g % fs;
        if (at >= 0) sum += cuda_get(x[((at * sx.H + y) * sx.W + z) * sx.C + c]);
    }
    cuda_set(out + to, cuda_get(out[to]) + sum / (float)n);
}

void cuda_volume_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x,
                              int ft, int fs, int n_zero) {
    int64_t n_out = tensor_count(out), n = x->dim[3] * ft * fs * fs / out->dim[3];
    both_typed(out, x, [&](auto *po, auto *px) {
        cuda_each(cuda_of(dev), "avg_down", avg_down_add<TYPE_OF(po), TYPE_OF(px)>, n_out, po, px,
                  n_out, sides_of(out), sides_of(x), ft, fs, n_zero, n);
    });
}

/* Where an element of the volume lies among the cells. */
static __device__ int64_t cell_at(const struct place *v, const struct sides *s,
                                  const struct patch *p) {
    int64_t cell = s->C * p->t * p->h * p->w;
    int64_t to = ((v->t / p->t * (s->H / p->h) + v->h / p->h) * (s->W / p->w) + v->w / p->w) * cell;
    int64_t t = v->t % p->t, h = v->h % p->h, w = v->w % p->w;
    if (p->order == PATCH_C_T_H_W) return to + ((v->c * p->t + t) * p->h + h) * p->w + w;
    if (p->order == PATCH_C_T_W_H) return to + ((v->c * p->t + t) * p->w + w) * p->h + h;
    return to + ((t * p->h + h) * p->w + w) * s->C + v->c;
}

template <class O, class X>
static __global__ void to_cells(O *cells, const X *volume, int64_t n, struct sides s,
                                struct patch p) {
    int64_t at = cuda_at();
    if (at >= n) return;
    struct place v = place_of(at, &s);
    cuda_set(cells + cell_at(&v, &s, &p), cuda_get(volume[at]));
}

template <class O, class X>
static __global__ void from_cells(O *volume, const X *cells, int64_t n, struct sides s,
                                  struct patch p) {
    int64_t at = cuda_at();
    if (at >= n) return;
    struct place v = place_of(at, &s);
    cuda_set(volume + at, cuda_get(cells[cell_at(&v, &s, &p)]));
}

void cuda_volume_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                          const struct patch *p) {
    int64_t n = tensor_count(x);
    both_typed(out, x, [&](auto *po, auto *px) {
        cuda_each(cuda_of(dev), "patchify", to_cells<TYPE_OF(po), TYPE_OF(px)>, n, po, px, n,
                  sides_of(x), *p);
    });
}

void cuda_volume_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                            const struct patch *p) {
    int64_t n = tensor_count(x);
    both_typed(out, x, [&](auto *po, auto *px) {
        cuda_each(cuda_of(dev), "unpatchify", from_cells<TYPE_OF(po), TYPE_OF(px)>, n, po, px, n,
                  sides_of(out), *p);
    });
}
