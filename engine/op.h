/* op.h - the only door between the models and the backends.
 *
 * Models call op_*(). op_*() checks shapes and types once, counts time, and calls the table of
 * the device. A backend therefore never validates, and a wrong shape fails in the same words
 * everywhere. Tensors are "real": f32 or bf16, each for itself, while sums are f32; what a comment
 * calls f32 is only that, and so are weights and biases of norms, tables and indices. In shapes N
 * is rows (tokens), C channels, T,H,W frames, rows and columns of a channels-last volume [T,H,W,C].
 * Where a matrix is asked for, leading dimensions fold: [T,H,W,C] is [T*H*W, C].
 * `out` never overlaps an input unless "in place" is said. One thread per device. */
#ifndef ENGINE_OP_H
#define ENGINE_OP_H

#include <stdbool.h>

#include "common/base/err.h"
#include "engine/device.h"
#include "engine/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Longest row of bf16 numbers that is normalised, modulated or rotated. */
enum { OP_ROW_MAX = 16384 };

enum act { ACT_NONE, ACT_SILU, ACT_GELU_TANH, ACT_GELU_ERF, ACT_RELU, ACT_COUNT };

enum norm_kind {
    NORM_LAYER, /* (x - mean) / sqrt(var + eps) */
    NORM_RMS,   /* x / sqrt(mean(x^2) + eps) */
    NORM_L2,    /* x / max(|x|, eps) * sqrt(C): the RMS norm of the VAE */
    NORM_COUNT
};

struct norm_opts {
    enum norm_kind kind;
    float eps;
    const struct tensor *w; /* [C] or NULL */
    const struct tensor *b; /* [C] or NULL */
    enum act act;           /* applied last */
};

/* Rows of adaLN coefficients: table [R,M,C] holds R sets (one per distinct timestep) of M rows;
 * index [N] i32 picks the set of each token, NULL means set 0 for all. */
struct mod_table {
    const struct tensor *table;
    const struct tensor *index;
};

/* Coefficients of one token, for backends in host memory: row `row` of its set, [C]. */
static inline const float *op_mod_row(const struct mod_table *m, int64_t token, int row) {
    const int32_t *index = m->index ? (const int32_t *)m->index->data : NULL;
    int64_t set = index ? index[token] : 0;
    return (const float *)m->table->data + (set * m->table->dim[1] + row) * m->table->dim[2];
}

struct attention_opts {
    int n_heads;
    float scale;                   /* of q.k; 0 means 1/sqrt(D) */
    const struct tensor *key_bias; /* [Nk] added to the logit of each key, or NULL */
    const struct tensor *bias;     /* [heads,Nq,Nk] added to the logits, or NULL */
};

/* Causal convolution over a channels-last volume. The input seen by the kernel in time is
 * `cache` [P,H,W,Cin] (may be NULL), then x [T,H,W,Cin]; so the number of output frames is
 * (P + T - kt) / stride_t + 1. In space: stride 1 pads (k-1)/2 on
 * all sides and keeps H,W; stride 2 pads one row below and one column right, or with `is_centred`
 * (k-1)/2 above and left too, H,W are halved.
 * w is [Cout,kt,kh,kw,Cin] (see op_conv_weight), bias [Cout] or NULL. */
struct conv_opts {
    const struct tensor *w, *b; /* w f32 rows, or packed; b f32 */
    const struct tensor *cache; /* of the type of x; a ring: */
    int oldest;                 /* frame of the cache that comes first; after the last one, 0 */
    int stride_t;               /* 1 or 2 */
    int stride_s;               /* 1 or 2 */
    bool is_centred;            /* with stride_s 2 */
    bool is_doubled; /* x is read as if every pixel were a 2x2 square: H,W are twice those of x */
    enum act act;
    const struct tensor *add; /* real, shape of out: added last; may be out itself. Or NULL */
};

/* out = act(x w^T + b); then, when `add` is set, out += gate * that: the residual stream, f32. */
struct linear_opts {
    const struct tensor *b; /* f32 [O] or NULL */
    enum act act;
    bool add;
    const struct mod_table *gate; /* with add: row `gate_row` of it; NULL means 1 */
    int gate_row;
};

/* How a cell of pt x ph x pw positions with C channels is written as one vector. */
enum patch_order {
    PATCH_C_T_H_W, /* channel slowest: patch embedding of the transformer */
    PATCH_T_H_W_C, /* channel fastest: output of the transformer */
    PATCH_C_T_W_H, /* channel slowest, column before row: pixels of the 2.2 VAE */
    PATCH_ORDER_COUNT
};

struct patch {
    int t, h, w;
    enum patch_order order;
};

/* Implemented by backend_ref.c (slow, exact, the oracle), backend_cpu.c and cuda/cuda_plugin.cu. A
 * backend may trust every shape. */
struct backend_ops {
    const char *name;
    /* Decides dev->precision. */
    enum err (*open)(struct device *dev, const struct device_opts *opts, struct fail *f);
    void (*close)(struct device *dev);
    void *(*alloc)(struct device *dev, size_t bytes); /* 64-byte aligned, NULL when exhausted */
    void (*release)(struct device *dev, void *p);
    void (*upload)(struct device *dev, void *to, const void *host, size_t bytes);
    void (*download)(struct device *dev, void *host, const void *from, size_t bytes);
    void (*copy)(struct device *dev, void *to, const void *from, size_t bytes);
    void (*report)(struct device *dev, char *out, size_t size);
    /* NULL where every op is done when it comes back, in memory of the host. */
    enum err (*check)(struct device *dev, struct fail *f);
    double (*free_bytes)(struct device *dev);

    void (*fill)(struct device *dev, struct tensor *out, float value);
    enum err (*linear)(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct tensor *w, const struct linear_opts *o, struct fail *f);
    /* Bytes that the packed form of a weight takes; its dtype and layout go into *w, whose
     * dimensions are the logical ones, [O,K] or [O,kt,kh,kw,C]. */
    size_t (*packed)(struct device *dev, struct tensor *w);
    /* Packs rows first .. first+n-1 of the O rows, f32 host memory. */
    void (*pack)(struct device *dev, struct tensor *w, const float *rows, int64_t first, int64_t n);
    enum err (*attention)(struct device *dev, struct tensor *out, const struct tensor *q,
                          const struct tensor *k, const struct tensor *v,
                          const struct attention_opts *o, struct fail *f);
    void (*norm)(struct device *dev, struct tensor *out, const struct tensor *x,
                 const struct norm_opts *o);
    void (*norm_mod)(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct mod_table *mod, int shift_row, int scale_row, float eps);
    void (*gate_add)(struct device *dev, struct tensor *x, const struct tensor *y,
                     const struct mod_table *mod, int gate_row);
    void (*rope)(struct device *dev, struct tensor *x, const struct tensor *table, int n_heads);
    void (*act)(struct device *dev, struct tensor *out, const struct tensor *x, enum act act);
    void (*add_scaled)(struct device *dev, struct tensor *out, const struct tensor *a,
                       const struct tensor *b, float s);
    void (*mul)(struct device *dev, struct tensor *out, const struct tensor *a,
                const struct tensor *b);
    void (*affine)(struct device *dev, struct tensor *out, const struct tensor *x,
                   const struct tensor *scale, const struct tensor *shift);
    enum err (*conv)(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct conv_opts *o, struct fail *f);
    void (*depthwise)(struct device *dev, struct tensor *out, const struct tensor *x,
                      const struct tensor *w);
    void (*time_split)(struct device *dev, struct tensor *out, const struct tensor *x);
    void (*dup_up_add)(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                       int fs, int n_drop);
    void (*avg_down_add)(struct device *dev, struct tensor *out, const struct tensor *x, int ft,
                         int fs, int n_zero);
    void (*patchify)(struct device *dev, struct tensor *out, const struct tensor *x,
                     const struct patch *p);
    void (*unpatchify)(struct device *dev, struct tensor *out, const struct tensor *x,
                       const struct patch *p);
    void (*pack_rgb)(struct device *dev, struct tensor *out, const struct tensor *x);
};

/* Host <-> device, in any type; the bytes are those of the tensor. A download is complete when it
 * comes back. */
void op_upload(struct device *dev, struct tensor *to, const void *host);
void op_download(struct device *dev, void *host, const struct tensor *from);
MUST_CHECK enum err op_copy(struct device *dev, struct tensor *to, const struct tensor *from,
                            struct fail *f);
/* What went wrong on a device that works while we go on: ERR_NOMEM, or ERR_UNAVAILABLE when it is
 * lost. To be asked after a download, whose bytes are worth nothing then. */
MUST_CHECK enum err op_check(struct device *dev, struct fail *f);
/* Every element of out becomes `value`. */
void op_fill(struct device *dev, struct tensor *out, float value);

/* Weights of products and convolutions are packed once, when they are loaded. op_packed() turns the
 * logical shape of *w into what the device keeps and says how many bytes to take for w->data;
 * op_pack() fills it, rows in order, a multiple of OP_PACK_ROWS at a time but for the last. A
 * device that packs nothing keeps f32 rows. Before op_packed(), w->dtype is I8 for weights that may
 * become that when the device's precision asks for it; any other type says nothing. */
enum { OP_PACK_ROWS = 64 };
size_t op_packed(struct device *dev, struct tensor *w);
void op_pack(struct device *dev, struct tensor *w, const float *rows, int64_t first, int64_t n);

/* out [N,O] = act(x [N,K] * w [O,K]^T + b [O]); w is packed, or rows of f32, bf16 or f16; b f32
 * or NULL. */
MUST_CHECK enum err op_linear(struct device *dev, struct tensor *out, const struct tensor *x,
                              const struct tensor *w, const struct tensor *b, enum act act,
                              struct fail *f);
/* out [N,O] f32 += gate * (x w^T + b): row gate_row of `mod`, or 1 when that is NULL. */
MUST_CHECK enum err op_linear_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                  const struct tensor *w, const struct tensor *b,
                                  const struct mod_table *gate, int gate_row, struct fail *f);
/* out [Nq,h*D] = softmax(scale q k^T + biases) v; q [Nq,h*D], k and v [Nk,h*D]; all four f32 or all
 * four bf16; biases f32. */
MUST_CHECK enum err op_attention(struct device *dev, struct tensor *out, const struct tensor *q,
                                 const struct tensor *k, const struct tensor *v,
                                 const struct attention_opts *o, struct fail *f);
/* out [N,C] = act(norm(x [N,C]) * w + b); in place allowed. */
MUST_CHECK enum err op_norm(struct device *dev, struct tensor *out, const struct tensor *x,
                            const struct norm_opts *o, struct fail *f);
/* out = layer_norm(x) * (1 + scale) + shift, rows of `mod` by number; x, out [N,C]. */
MUST_CHECK enum err op_norm_mod(struct device *dev, struct tensor *out, const struct tensor *x,
                                const struct mod_table *mod, int shift_row, int scale_row,
                                float eps, struct fail *f);
/* x += gate * y, in place; x, y [N,C]. */
MUST_CHECK enum err op_gate_add(struct device *dev, struct tensor *x, const struct tensor *y,
                                const struct mod_table *mod, int gate_row, struct fail *f);
/* Rotates the interleaved pairs of every head of x [N,h*D] in place; table [N,D] = cos,sin by
 * turns. */
MUST_CHECK enum err op_rope(struct device *dev, struct tensor *x, const struct tensor *table,
                            int n_heads, struct fail *f);
/* Element by element, in place allowed, same shapes. */
MUST_CHECK enum err op_act(struct device *dev, struct tensor *out, const struct tensor *x,
                           enum act act, struct fail *f);
/* out = a + s * b. */
MUST_CHECK enum err op_add_scaled(struct device *dev, struct tensor *out, const struct tensor *a,
                                  const struct tensor *b, float s, struct fail *f);
/* out = a * b. */
MUST_CHECK enum err op_mul(struct device *dev, struct tensor *out, const struct tensor *a,
                           const struct tensor *b, struct fail *f);
/* out [N,C] = x * scale [C] + shift [C]; in place allowed. */
MUST_CHECK enum err op_affine(struct device *dev, struct tensor *out, const struct tensor *x,
                              const struct tensor *scale, const struct tensor *shift,
                              struct fail *f);

/* See struct conv_opts. x [T,H,W,Cin], out [T',H',W',Cout]. */
MUST_CHECK enum err op_conv(struct device *dev, struct tensor *out, const struct tensor *x,
                            const struct conv_opts *o, struct fail *f);
/* out [T,H,W,C] real: every channel of x by a kernel of its own, w f32 [C,kh,kw], padded with
 * (k-1)/2 zeros on all sides. */
MUST_CHECK enum err op_depthwise(struct device *dev, struct tensor *out, const struct tensor *x,
                                 const struct tensor *w, struct fail *f);
/* Host helper at load: torch's [O,C,kt,kh,kw] -> [O,kt,kh,kw,C]; 2-D kernels have kt 1. */
void op_conv_weight(float *out, const float *torch, int64_t O, int64_t C, int64_t k_positions);
/* out [2T,H,W,C] from x [T,H,W,2C]: the first C channels are the earlier frame. */
MUST_CHECK enum err op_time_split(struct device *dev, struct tensor *out, const struct tensor *x,
                                  struct fail *f);
/* Shortcuts of the 2.2 VAE (models: DupUp, AvgDown), added to out. dup_up: x [T,H,W,Ci] ->
 * out [T*ft-n_drop, H*fs, W*fs, Co], the first n_drop frames are left out. avg_down: n_zero
 * zero frames are put before x; out [(T+n_zero)/ft, H/fs, W/fs, Co]. */
MUST_CHECK enum err op_dup_up_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                  int ft, int fs, int n_drop, struct fail *f);
MUST_CHECK enum err op_avg_down_add(struct device *dev, struct tensor *out, const struct tensor *x,
                                    int ft, int fs, int n_zero, struct fail *f);
/* x [T,H,W,C] -> out [T/t, H/h, W/w, C*t*h*w] (leading dimensions may be folded) and back. */
MUST_CHECK enum err op_patchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                const struct patch *p, struct fail *f);
MUST_CHECK enum err op_unpatchify(struct device *dev, struct tensor *out, const struct tensor *x,
                                  const struct patch *p, struct fail *f);
/* out u8 [N,3] = round((clamp(x,-1,1) + 1) * 127.5); x [N,3]. */
MUST_CHECK enum err op_pack_rgb(struct device *dev, struct tensor *out, const struct tensor *x,
                                struct fail *f);

#ifdef __cplusplus
}
#endif
#endif
