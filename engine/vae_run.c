#include "engine/vae_run.h"

#include "common/base/assert.h"

enum { CACHE_FRAMES = 2 };

static const float norm_eps = 1e-12f;

/* A tensor and the work buffer that it lives in; -1: it is the caller's. */
struct held {
    struct tensor t;
    int at;
};

struct flow {
    struct vae_run *r;
    struct device *dev;
    struct held x, kept;
};

typedef enum err (*layer_fn)(struct flow *w, const struct vae_layer *l, struct fail *f);

/* A free work buffer, seen as [T,H,W,C]. There is always one: a layer holds four at most. */
static struct held hold(struct flow *w, int64_t T, int64_t H, int64_t W, int64_t C) {
    int at = 0;
    while (w->r->busy >> at & 1)
        at++;
    ASSERT(at < VAE_WORK_BUFFERS);

    int64_t dims[] = {T, H, W, C};
    struct held h = {tensor_of(w->r->work[at].data, DTYPE_F32, 4, dims), at};
    ASSERT(tensor_count(&h.t) <= w->r->work[at].dim[0]);
    w->r->busy |= 1u << at;
    return h;
}

static void let_go(struct flow *w, const struct held *h) {
    bool is_kept = w->kept.t.data && h->at == w->kept.at;
    if (h->at >= 0 && !is_kept) w->r->busy &= ~(1u << h->at);
}

/* `next` takes the place of x. */
static void pass_on(struct flow *w, struct held next) {
    let_go(w, &w->x);
    w->x = next;
}

/* Shifts the last CACHE_FRAMES frames of (cache, x) into the cache. */
static enum err remember(struct device *dev, struct tensor *cache, const struct tensor *x,
                         struct fail *f) {
    enum err rc = ERR_OK;
    int64_t T = x->dim[0], n = cache->dim[0];
    int64_t n_new = T < n ? T : n, n_old = n - n_new;
    if (n_old > 0) {
        struct tensor to = tensor_rows(cache, 0, n_old), from = tensor_rows(cache, n_new, n_old);
        TRY(op_copy(dev, &to, &from, f));
    }
    struct tensor to = tensor_rows(cache, n_old, n_new), from = tensor_rows(x, T - n_new, n_new);
    TRY(op_copy(dev, &to, &from, f));
out:
    return rc;
}

/* Causal convolution of x with the cache of `slot` before it; the cache moves on. */
static enum err conv(struct flow *w, struct tensor *out, const struct tensor *x, int slot,
                     const struct conv_opts *opts, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = *opts;
    o.cache = &w->r->cache[slot];
    TRY(op_conv(w->dev, out, x, &o, f));
    TRY(remember(w->dev, &w->r->cache[slot], x, f));
out:
    return rc;
}

static struct conv_opts conv_opts_of(const struct tensor *weight, const struct tensor *bias) {
    return (struct conv_opts){.w = weight, .b = bias, .stride_t = 1, .stride_s = 1};
}

static enum err norm_silu(struct flow *w, struct tensor *out, const struct tensor *x,
                          const struct tensor *gamma, struct fail *f) {
    struct norm_opts o = {.kind = NORM_L2, .eps = norm_eps, .w = gamma, .act = ACT_SILU};
    return op_norm(w->dev, out, x, &o, f);
}

static struct held hold_like(struct flow *w, int64_t C) {
    const int64_t *d = w->x.t.dim;
    return hold(w, d[0], d[1], d[2], C);
}

static enum err run_conv(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = conv_opts_of(&l->conv1, &l->conv1_b);
    struct held y = hold_like(w, l->c_out);
    TRY(conv(w, &y.t, &w->x.t, l->slot, &o, f));
    pass_on(w, y);
out:
    return rc;
}

static enum err run_res(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts conv1 = conv_opts_of(&l->conv1, &l->conv1_b);
    struct conv_opts conv2 = conv_opts_of(&l->conv2, &l->conv2_b);
    struct held a = hold_like(w, l->c_in), b = hold_like(w, l->c_out);

    TRY(norm_silu(w, &a.t, &w->x.t, &l->norm1, f));
    TRY(conv(w, &b.t, &a.t, l->slot, &conv1, f));
    let_go(w, &a);
    TRY(norm_silu(w, &b.t, &b.t, &l->norm2, f));
    a = hold_like(w, l->c_out);
    TRY(conv(w, &a.t, &b.t, l->slot + 1, &conv2, f));
    if (l->side.data) TRY(op_linear(w->dev, &b.t, &w->x.t, &l->side, &l->side_b, ACT_NONE, f));
    TRY(op_add_scaled(w->dev, &a.t, &a.t, l->side.data ? &b.t : &w->x.t, 1.0f, f));
    let_go(w, &b);
    pass_on(w, a);
out:
    return rc;
}

/* One frame: out [HW,C] = attention of x [HW,C], all rows with all rows. */
static enum err attend(struct flow *w, const struct vae_layer *l, struct tensor *out,
                       const struct tensor *x, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t n = tensor_n_rows(x), C = l->c_in;
    struct attention_opts o = {.n_heads = 1};
    struct norm_opts norm = {.kind = NORM_L2, .eps = norm_eps, .w = &l->norm1};
    struct tensor h, qkv[3];

    TRY(pool_take_2d(w->r->pool, &h, n, C, f));
    TRY(op_norm(w->dev, &h, x, &norm, f));
    for (int i = 0; i < 3; i++) {
        struct tensor weight = tensor_rows(&l->conv1, i * C, C);
        struct tensor bias = tensor_rows(&l->conv1_b, i * C, C);
        TRY(pool_take_2d(w->r->pool, &qkv[i], n, C, f));
        TRY(op_linear(w->dev, &qkv[i], &h, &weight, &bias, ACT_NONE, f));
    }
    TRY(op_attention(w->dev, &h, &qkv[0], &qkv[1], &qkv[2], &o, f));
    TRY(op_linear(w->dev, out, &h, &l->conv2, &l->conv2_b, ACT_NONE, f));
out:
    return rc;
}

static enum err run_attention(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(w->r->pool);
    struct held y = hold_like(w, l->c_out);
    int64_t n = y.t.dim[1] * y.t.dim[2];

    for (int64_t i = 0; i < y.t.dim[0]; i++) {
        struct tensor x = tensor_as_2d(&w->x.t, y.t.dim[0] * n, l->c_in), out;
        x = tensor_rows(&x, i * n, n);
        out = tensor_as_2d(&y.t, y.t.dim[0] * n, l->c_out);
        out = tensor_rows(&out, i * n, n);
        TRY(attend(w, l, &out, &x, f));
        pool_rewind(w->r->pool, mark);
    }
    TRY(op_add_scaled(w->dev, &y.t, &y.t, &w->x.t, 1.0f, f));
    pass_on(w, y);
out:
    pool_rewind(w->r->pool, mark);
    return rc;
}

static enum err halve_time(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = conv_opts_of(&l->conv2, &l->conv2_b);
    const int64_t *d = w->x.t.dim;

    if (w->r->is_first) return remember(w->dev, &w->r->cache[l->slot], &w->x.t, f);
    o.stride_t = 2;
    struct held y = hold(w, d[0] / 2, d[1], d[2], l->c_out);
    TRY(conv(w, &y.t, &w->x.t, l->slot, &o, f));
    pass_on(w, y);
out:
    return rc;
}

static enum err run_down(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = conv_opts_of(&l->conv1, &l->conv1_b);
    const int64_t *d = w->x.t.dim;

    o.stride_s = 2;
    struct held y = hold(w, d[0], d[1] / 2, d[2] / 2, l->c_out);
    TRY(op_conv(w->dev, &y.t, &w->x.t, &o, f));
    pass_on(w, y);
    if (l->ft == 2) TRY(halve_time(w, l, f));
out:
    return rc;
}

static enum err double_time(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = conv_opts_of(&l->conv2, &l->conv2_b);
    const int64_t *d = w->x.t.dim;

    if (w->r->is_first) return ERR_OK;
    struct held pairs = hold(w, d[0], d[1], d[2], 2 * (int64_t)l->c_in);
    struct held y = hold(w, 2 * d[0], d[1], d[2], l->c_in);
    TRY(conv(w, &pairs.t, &w->x.t, l->slot, &o, f));
    TRY(op_time_split(w->dev, &y.t, &pairs.t, f));
    let_go(w, &pairs);
    pass_on(w, y);
out:
    return rc;
}

static enum err run_up(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = conv_opts_of(&l->conv1, &l->conv1_b);

    if (l->ft == 2) TRY(double_time(w, l, f));
    const int64_t *d = w->x.t.dim;
    struct held big = hold(w, d[0], 2 * d[1], 2 * d[2], l->c_in);
    struct held y = hold(w, d[0], 2 * d[1], 2 * d[2], l->c_out);
    TRY(op_upsample2(w->dev, &big.t, &w->x.t, f));
    TRY(op_conv(w->dev, &y.t, &big.t, &o, f));
    let_go(w, &big);
    pass_on(w, y);
out:
    return rc;
}

static enum err run_head(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct held h = hold_like(w, l->c_in);
    TRY(norm_silu(w, &h.t, &w->x.t, &l->norm1, f));
    pass_on(w, h);
    TRY(run_conv(w, l, f));
out:
    return rc;
}

static enum err run_keep(struct flow *w, const struct vae_layer *l, struct fail *f) {
    (void)l;
    (void)f;
    ASSERT(w->x.at >= 0);
    w->kept = w->x;
    return ERR_OK;
}

static void forget_kept(struct flow *w) {
    struct held kept = w->kept;
    w->kept = (struct held){0};
    if (kept.at != w->x.at) let_go(w, &kept);
}

static enum err run_avg_down(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    int n_zero = w->r->is_first ? l->ft - 1 : 0;
    TRY(op_avg_down_add(w->dev, &w->x.t, &w->kept.t, l->ft, l->fs, n_zero, f));
    forget_kept(w);
out:
    return rc;
}

static enum err run_dup_up(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    int n_drop = w->r->is_first ? l->ft - 1 : 0;
    TRY(op_dup_up_add(w->dev, &w->x.t, &w->kept.t, l->ft, l->fs, n_drop, f));
    forget_kept(w);
out:
    return rc;
}

static const layer_fn runners[VAE_KIND_COUNT] = {
    [VAE_CONV] = run_conv,
    [VAE_RES] = run_res,
    [VAE_ATTENTION] = run_attention,
    [VAE_DOWN] = run_down,
    [VAE_UP] = run_up,
    [VAE_HEAD] = run_head,
    [VAE_KEEP] = run_keep,
    [VAE_AVG_DOWN] = run_avg_down,
    [VAE_DUP_UP] = run_dup_up,
};

enum err vae_run_chunk(struct vae_run *r, struct tensor *out, const struct tensor *x,
                       struct fail *f) {
    enum err rc = ERR_OK;
    struct flow w = {.r = r, .dev = r->pool->dev, .x = {*x, -1}};

    ASSERT(x->n_dims == 4 && (!r->is_first || x->dim[0] == 1));
    r->busy = 0;
    for (int i = 0; i < r->net->n_layers; i++) {
        const struct vae_layer *l = &r->net->layer[i];
        TRY(runners[l->kind](&w, l, f));
    }
    *out = w.x.t;
    r->is_first = false;
out:
    return rc;
}

/* The biggest tensor that a layer holds, and the shape after it. */
static int64_t plan_layer(const struct vae_layer *l, struct vae_shape *s) {
    int64_t widest = l->c_in > l->c_out ? l->c_in : l->c_out;
    int64_t biggest = s->T * s->H * s->W * widest;
    if (l->kind == VAE_UP) {
        *s = (struct vae_shape){s->T * l->ft, s->H * 2, s->W * 2, s->C};
        biggest = s->T * s->H * s->W * widest; /* never less than the pairs of double_time */
    }
    if (l->kind == VAE_DOWN) *s = (struct vae_shape){s->T / l->ft, s->H / 2, s->W / 2, s->C};
    if (l->kind != VAE_KEEP) s->C = l->c_out;
    return biggest;
}

/* Shapes of the caches of a layer, from `slot` on; returns how many. `before` and `after`: shapes
 * on both sides of the layer. */
static int list_caches(struct vae_shape out[2], const struct vae_layer *l,
                       const struct vae_shape *before, const struct vae_shape *after) {
    struct vae_shape in = {CACHE_FRAMES, before->H, before->W, l->c_in}, middle = in;
    middle.C = l->c_out;
    out[0] = in;
    out[1] = middle;
    if (l->kind == VAE_CONV || l->kind == VAE_HEAD) return 1;
    if (l->kind == VAE_RES) return 2;
    if (l->kind == VAE_UP) return l->ft == 2;
    /* Stride 2: one frame to the left is enough. */
    out[0] = (struct vae_shape){1, after->H, after->W, l->c_out};
    return l->kind == VAE_DOWN && l->ft == 2;
}

static enum err take_caches(struct vae_run *r, const struct vae_layer *l,
                            const struct vae_shape *before, const struct vae_shape *after,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct vae_shape shape[2];
    for (int i = 0, n = list_caches(shape, l, before, after); i < n; i++) {
        const struct vae_shape *s = &shape[i];
        struct tensor *cache = &r->cache[l->slot + i];
        TRY(pool_take_4d(r->pool, cache, s->T, s->H, s->W, s->C, f));
        op_fill(r->pool->dev, cache, 0.0f);
    }
out:
    return rc;
}

double vae_run_bytes(const struct vae_net *net, const struct vae_shape *in) {
    struct vae_shape s = *in, shape[2];
    double n_values = 0, biggest = 0;
    for (int i = 0; i < net->n_layers; i++) {
        struct vae_shape before = s;
        double n = (double)plan_layer(&net->layer[i], &s);
        if (n > biggest) biggest = n;
        for (int k = list_caches(shape, &net->layer[i], &before, &s) - 1; k >= 0; k--)
            n_values += (double)(shape[k].T * shape[k].H * shape[k].W * shape[k].C);
    }
    return (n_values + VAE_WORK_BUFFERS * biggest) * sizeof(float);
}

enum err vae_run_make(struct vae_run *r, struct vae_shape *out, const struct vae_net *net,
                      struct pool *pool, const struct vae_shape *in, struct fail *f) {
    enum err rc = ERR_OK;
    struct vae_shape s = *in;
    int64_t biggest = 0;

    *r = (struct vae_run){.net = net, .pool = pool, .is_first = true};
    for (int i = 0; i < net->n_layers; i++) {
        struct vae_shape before = s;
        int64_t n = plan_layer(&net->layer[i], &s);
        if (n > biggest) biggest = n;
        TRY(take_caches(r, &net->layer[i], &before, &s, f));
    }
    for (int i = 0; i < VAE_WORK_BUFFERS; i++)
        TRY(pool_take_1d(pool, &r->work[i], biggest, f));
    *out = s;
out:
    return rc;
}
