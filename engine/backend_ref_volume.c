#include "engine/backend_ref_volume.h"

#include <string.h>

#include "engine/backend_ref.h"

/* The value of input frame t (counting zero frames and cached frames first) or 0 outside. */
static double conv_input(const struct tensor *x, const struct conv_opts *o, int64_t t, int64_t h,
                         int64_t w, int64_t c) {
    const struct tensor *from = x;
    int64_t n_cache = o->cache ? o->cache->dim[0] : 0;
    if (t < 0 || h < 0 || w < 0 || h >= x->dim[1] || w >= x->dim[2]) return 0;
    if (t < n_cache)
        from = o->cache;
    else
        t -= n_cache;
    return (
        double)((const float *)from->data)[((t * x->dim[1] + h) * x->dim[2] + w) * x->dim[3] + c];
}

static double conv_sum(const struct tensor *x, const struct conv_opts *o, int64_t t, int64_t h,
                       int64_t w, int64_t out_c) {
    const int64_t *k = o->w->dim;
    int64_t pad_h = o->stride_s == 1 ? (k[2] - 1) / 2 : 0,
            pad_w = o->stride_s == 1 ? (k[3] - 1) / 2 : 0;
    const float *pw = (const float *)o->w->data + out_c * k[1] * k[2] * k[3] * k[4];
    double sum = o->b ? (double)((const float *)o->b->data)[out_c] : 0;
    for (int64_t a = 0; a < k[1]; a++)
        for (int64_t i = 0; i < k[2]; i++)
            for (int64_t j = 0; j < k[3]; j++)
                for (int64_t c = 0; c < k[4]; c++)
                    sum += (double)*pw++ * conv_input(x, o, t * o->stride_t + a,
                                                      h * o->stride_s + i - pad_h,
                                                      w * o->stride_s + j - pad_w, c);
    return sum;
}

enum err backend_ref_volume_conv(struct device *dev, struct tensor *out, const struct tensor *x,
                                 const struct conv_opts *o, struct fail *f) {
    (void)dev, (void)f;
    float *po = out->data;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t h = 0; h < out->dim[1]; h++)
            for (int64_t w = 0; w < out->dim[2]; w++)
                for (int64_t c = 0; c < out->dim[3]; c++)
                    *po++ = (float)backend_ref_act(conv_sum(x, o, t, h, w, c), o->act);
    return ERR_OK;
}

void backend_ref_volume_upsample2(struct device *dev, struct tensor *out, const struct tensor *x) {
    (void)dev;
    int64_t H = out->dim[1], W = out->dim[2], C = out->dim[3];
    const float *px = x->data;
    float *po = out->data;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t w = 0; w < W; w++, po += C)
                memcpy(po, px + ((t * (H / 2) + h / 2) * (W / 2) + w / 2) * C,
                       (size_t)C * sizeof *po);
}

void backend_ref_volume_time_split(struct device *dev, struct tensor *out, const struct tensor *x) {
    (void)dev;
    int64_t n = out->dim[1] * out->dim[2], C = out->dim[3];
    const float *px = x->data;
    float *po = out->data;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t i = 0; i < n; i++, po += C)
            memcpy(po, px + ((t / 2 * n + i) * 2 + t % 2) * C, (size_t)C * sizeof *po);
}

void backend_ref_volume_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                   int ft, int fs, int n_drop) {
    (void)dev;
    int64_t H = out->dim[1], W = out->dim[2], O = out->dim[3];
    int64_t h_in = x->dim[1], w_in = x->dim[2], C = x->dim[3];
    int64_t repeats = O * ft * fs * fs / C;
    const float *px = x->data;
    float *po = out->data;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t w = 0; w < W; w++)
                for (int64_t o = 0; o < O; o++, po++) {
                    int64_t from_t = (t + n_drop) / ft, a = (t + n_drop) % ft;
                    int64_t c = (((o * ft + a) * fs + h % fs) * fs + w % fs) / repeats;
                    *po += px[((from_t * h_in + h / fs) * w_in + w / fs) * C + c];
                }
}

void backend_ref_volume_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                     int ft, int fs, int n_zero) {
    (void)dev;
    int64_t O = out->dim[3], C = x->dim[3], n = C * ft * fs * fs / O, cell = ft * fs * fs;
    const float *px = x->data;
    float *po = out->data;
    for (int64_t t = 0; t < out->dim[0]; t++)
        for (int64_t h = 0; h < out->dim[1]; h++)
            for (int64_t w = 0; w < out->dim[2]; w++)
                for (int64_t o = 0; o < O; o++, po++) {
                    double sum = 0;
                    for (int64_t g = o * n; g < (o + 1) * n; g++) {
                        int64_t c = g / cell, at = t * ft + g % cell / (fs * fs) - n_zero;
                        int64_t y = h * fs + g / fs % fs, z = w * fs + g % fs;
                        if (at >= 0)
                            sum += (double)px[((at * x->dim[1] + y) * x->dim[2] + z) * C + c];
                    }
                    *po += (float)(sum / (double)n);
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
static void patch_walk(float *volume, float *cells, const struct tensor *shape,
                       const struct patch *p, int to_cells) {
    int64_t T = shape->dim[0], H = shape->dim[1], W = shape->dim[2], C = shape->dim[3];
    int64_t n_h = H / p->h, n_w = W / p->w, cell = C * p->t * p->h * p->w;
    for (int64_t t = 0; t < T; t++)
        for (int64_t h = 0; h < H; h++)
            for (int64_t w = 0; w < W; w++, volume += C) {
                float *to = cells + ((t / p->t * n_h + h / p->h) * n_w + w / p->w) * cell;
                for (int64_t c = 0; c < C; c++) {
                    int64_t at = patch_at(p, C, c, t % p->t, h % p->h, w % p->w);
                    if (to_cells)
                        to[at] = volume[c];
                    else
                        volume[c] = to[at];
                }
            }
}

void backend_ref_volume_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                 const struct patch *p) {
    (void)dev;
    patch_walk(x->data, out->data, x, p, 1);
}

void backend_ref_volume_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                   const struct patch *p) {
    (void)dev;
    patch_walk(out->data, x->data, out, p, 0);
}
