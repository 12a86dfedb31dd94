#include "engine/backend_ref_volume.h"

#include <string.h>

#include "engine/backend_host.h"
#include "engine/backend_ref.h"

static double get(const struct tensor *t, int64_t i) {
    return (double)backend_host_get(t, i);
}

/* The value of input frame t (counting cached frames first) or 0 outside. */
static double conv_input(const struct tensor *x, const struct conv_opts *o, int64_t t, int64_t h,
                         int64_t w, int64_t c) {
    const struct tensor *from = x;
    int64_t n_cache = o->cache ? o->cache->dim[0] : 0;
    if (h < 0 || w < 0) return 0;
    h >>= o->is_doubled, w >>= o->is_doubled;
    if (t < 0 || h >= x->dim[1] || w >= x->dim[2]) return 0;
    if (t < n_cache) {
        from = o->cache;
        t = (t + o->oldest) % n_cache;
    } else {
        t -= n_cache;
    }
    return get(from, ((t * x->dim[1] + h) * x->dim[2] + w) * x->dim[3] + c);
}

static double conv_sum(const struct tensor *x, const struct conv_opts *o, int64_t t, int64_t h,
                       int64_t w, int64_t out_c) {
    const int64_t *k = o->w->dim;
    bool is_padded = o->stride_s == 1 || o->is_centred;
    int64_t pad_h = is_padded ? (k[2] - 1) / 2 : 0, pad_w = is_padded ? (k[3] - 1) / 2 : 0;
    int64_t at = out_c * k[1] * k[2] * k[3] * k[4];
    double sum = o->b ? get(o->b, out_c) : 0;
    for (int64_t a = 0; a < k[1]; a++)
        for (int64_t i = 0; i < k[2]; i++)
            for (int64_t j = 0; j < k[3]; j++)
                for (int64_t c = 0; c < k[4]; c++)
                    sum += get(o->w, at++) * conv_input(x, o, t * o->stride_t + a,
                                                        h * o->stride_s + i - pad_h,
                                                        w * o->stride_s + j - pad_w, c);
    return sum;
}

enum err backend_ref_volume_conv(struct device *dev, struct tensor *out, const struct tensor *x,
                                 const struct conv_opts *o, struct fail *f) {
    (void)dev, (void)f;
    int64_t at = 0;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t h = 0; h < out->dim[1]; h++)
            for (int64_t w = 0; w < out->dim[2]; w++)
                for (int64_t c = 0; c < out->dim[3]; c++, at++) {
                    double y = backend_ref_act(conv_sum(x, o, t, h, w, c), o->act);
                    backend_host_set(out, at, (float)(y + (o->add ? get(o->add, at) : 0)));
                }
    return ERR_OK;
}

void backend_ref_volume_depthwise(struct device *dev, struct tensor *out, const struct tensor *x,
                                  const struct tensor *w) {
    int64_t H = x->dim[1], W = x->dim[2], C = x->dim[3], kh = w->dim[1], kw = w->dim[2];
    (void)dev;
    for (int64_t at = 0; at < tensor_count(out); at++) {
        int64_t c = at % C, col = at / C % W, row = at / C / W % H, t = at / C / W / H;
        double sum = 0;
        for (int64_t i = 0; i < kh; i++)
            for (int64_t j = 0; j < kw; j++) {
                int64_t y = row + i - (kh - 1) / 2, z = col + j - (kw - 1) / 2;
                if (y >= 0 && y < H && z >= 0 && z < W)
                    sum += get(w, (c * kh + i) * kw + j) * get(x, ((t * H + y) * W + z) * C + c);
            }
        backend_host_set(out, at, (float)sum);
    }
}

/* n elements from one place to another, which may be of another type. */
static void move(struct tensor *out, int64_t to, const struct tensor *x, int64_t from, int64_t n) {
    size_t each = tensor_dtype_bytes(out->dtype);
    if (out->dtype == x->dtype)
        memcpy((char *)out->data + (size_t)to * each, (const char *)x->data + (size_t)from * each,
               (size_t)n * each);
    else
        for (int64_t i = 0; i < n; i++)
            backend_host_set(out, to + i, backend_host_get(x, from + i));
}

void backend_ref_volume_time_split(struct device *dev, struct tensor *out, const struct tensor *x) {
    (void)dev;
    int64_t n = out->dim[1] * out->dim[2], C = out->dim[3], at = 0;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t i = 0; i < n; i++, at += C)
            move(out, at, x, ((t / 2 * n + i) * 2 + t % 2) * C, C);
}

void backend_ref_volume_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                   int ft, int fs, int n_drop) {
    (void)dev;
    int64_t H = out->dim[1], W = out->dim[2], O = out->dim[3], at = 0;
    int64_t h_in = x->dim[1], w_in = x->dim[2], C = x->dim[3];
    int64_t repeats = O * ft * fs * fs / C;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t w = 0; w < W; w++)
                for (int64_t o = 0; o < O; o++, at++) {
                    int64_t from_t = (t + n_drop) / ft, a = (t + n_drop) % ft;
                    int64_t c = (((o * ft + a) * fs + h % fs) * fs + w % fs) / repeats;
                    double y = get(x, ((from_t * h_in + h / fs) * w_in + w / fs) * C + c);
                    backend_host_set(out, at, (float)(get(out, at) + y));
                }
}

void backend_ref_volume_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                     int ft, int fs, int n_zero) {
    (void)dev;
    int64_t O = out->dim[3], C = x->dim[3], n = C * ft * fs * fs / O, cell = ft * fs * fs, to = 0;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t h = 0; h < out->dim[1]; h++)
            for (int64_t w = 0; w < out->dim[2]; w++)
                for (int64_t o = 0; o < O; o++, to++) {
                    double sum = 0;
                    for (int64_t g = o * n; g < (o + 1) * n; g++) {
                        int64_t c = g / cell, at = t * ft + g % cell / (fs * fs) - n_zero;
                        int64_t y = h * fs + g / fs % fs, z = w * fs + g % fs;
                        if (at >= 0) sum += get(x, ((at * x->dim[1] + y) * x->dim[2] + z) * C + c);
                    }
                    backend_host_set(out, to, (float)(get(out, to) + sum / (double)n));
                }
}

/* Place of (channel c of C; position t,h,w) inside the vector of a patch. */
static int64_t patch_at(const struct patch *p, int64_t C, int64_t c, int64_t t, int64_t h,
                        int64_t w) {
    switch (p->order) {
    case PATCH_C_T_H_W: return ((c * p->t + t) * p->h + h) * p->w + w;
    case PATCH_C_T_W_H: return ((c * p->t + t) * p->w + w) * p->h + h;
    default: return ((t * p->h + h) * p->w + w) * C + c;
    }
}

/* Walks both layouts at once; `to_cells` says which way the numbers flow. */
static void patch_walk(const struct tensor *volume, const struct tensor *cells,
                       const struct patch *p, int to_cells) {
    int64_t T = volume->dim[0], H = volume->dim[1], W = volume->dim[2], C = volume->dim[3];
    int64_t n_h = H / p->h, n_w = W / p->w, cell = C * p->t * p->h * p->w, from = 0;
    for (int64_t t = 0; t < T; t++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t w = 0; w < W; w++) {
                int64_t to = ((t / p->t * n_h + h / p->h) * n_w + w / p->w) * cell;
                for (int64_t c = 0; c < C; c++, from++) {
                    int64_t at = to + patch_at(p, C, c, t % p->t, h % p->h, w % p->w);
                    if (to_cells)
                        backend_host_set(cells, at, backend_host_get(volume, from));
                    else
                        backend_host_set(volume, from, backend_host_get(cells, at));
                }
            }
}

void backend_ref_volume_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                 const struct patch *p) {
    (void)dev;
    patch_walk(x, out, p, 1);
}

void backend_ref_volume_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                   const struct patch *p) {
    (void)dev;
    patch_walk(out, x, p, 0);
}
