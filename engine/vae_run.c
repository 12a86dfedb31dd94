#include "engine/vae_run.h"

#include "common/base/assert.h"

enum { CACHE_FRAMES = 2 };

static const float norm_eps = 1e-12f;

/* A tensor and the work buffer that it lives in; -1: it is somebody else's. */
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

/* A free work buffer, seen as [T,H,W,C]. There is always one: see n_buffers(). */
static struct held hold(struct flow *w, int64_t T, int64_t H, int64_t W, int64_t C) {
    int at = 0;
    while (w->r->busy >> at & 1)
        at++;
    ASSERT(at < w->r->n_work);

    int64_t dims[] = {T, H, W, C};
    struct held h = {tensor_of(w->r->work[at].data, device_activation(w->dev), 4, dims), at};
    ASSERT(tensor_bytes(&h.t) <= tensor_bytes(&w->r->work[at]));
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

/* The last frames of x take the places of the oldest ones of the ring. */
static enum err remember(struct flow *w, int slot, const struct tensor *x, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor *cache = &w->r->cache[slot];
    int64_t T = x->dim[0], n = cache->dim[0];
    for (int64_t t = T > n ? T - n : 0; t < T; t++) {
        struct tensor to = tensor_rows(cache, w->r->oldest[slot], 1), from = tensor_rows(x, t, 1);
        TRY(op_copy(w->dev, &to, &from, f));
        w->r->oldest[slot] = (int)((w->r->oldest[slot] + 1) % n);
    }
out:
    return rc;
}

/* Causal convolution of x with the cache of `slot` before it; the cache moves on. */
static enum err conv(struct flow *w, struct tensor *out, const struct tensor *x, int slot,
                     const struct conv_opts *opts, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = *opts;
    o.cache = &w->r->cache[slot];
    o.oldest = w->r->oldest[slot];
    TRY(op_conv(w->dev, out, x, &o, f));
    TRY(remember(w, slot, x, f));
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
    if (l->side.data) TRY(op_linear(w->dev, &a.t, &w->x.t, &l->side, &l->side_b, ACT_NONE, f));
    conv2.add = l->side.data ? &a.t : &w->x.t;
    TRY(conv(w, &a.t, &b.t, l->slot + 1, &conv2, f));
    let_go(w, &b);
    pass_on(w, a);
out:
    return rc;
}

/* One frame: out [HW,C] = attention of x [HW,C], all rows with all rows. */
static enum err attend(struct flow *w, const struct vae_layer *l, struct tensor *out,
                       const struct tensor *x, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t dims[] = {tensor_n_rows(x), l->c_in};
    struct attention_opts o = {.n_heads = 1};
    struct norm_opts norm = {.kind = NORM_L2, .eps = norm_eps, .w = &l->norm1};
    struct tensor h, qkv[3];

    TRY(pool_take(w->r->pool, &h, x->dtype, 2, dims, f));
    TRY(op_norm(w->dev, &h, x, &norm, f));
    for (int i = 0; i < 3; i++) {
        struct tensor bias = tensor_rows(&l->conv1_b, i * l->c_in, l->c_in);
        TRY(pool_take(w->r->pool, &qkv[i], x->dtype, 2, dims, f));
        TRY(op_linear(w->dev, &qkv[i], &h, &l->qkv[i], &bias, ACT_NONE, f));
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

    if (w->r->is_first) return remember(w, l->slot, &w->x.t, f);
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
    struct held y = hold(w, d[0], 2 * d[1], 2 * d[2], l->c_out);
    o.is_doubled = true;
    TRY(op_conv(w->dev, &y.t, &w->x.t, &o, f));
    pass_on(w, y);
out:
    return rc;
}

/* The last layer: its frames go where the caller wants them, after those that are there. */
static enum err run_head(struct flow *w, const struct vae_layer *l, struct fail *f) {
    enum err rc = ERR_OK;
    struct conv_opts o = conv_opts_of(&l->conv1, &l->conv1_b);
    struct held h = hold_like(w, l->c_in);
    struct tensor out = tensor_rows(&w->r->out, w->r->n_out, w->x.t.dim[0]);

    TRY(norm_silu(w, &h.t, &w->x.t, &l->norm1, f));
    pass_on(w, h);
    TRY(conv(w, &out, &w->x.t, l->slot, &o, f));
    w->r->n_out += out.dim[0];
    pass_on(w, (struct held){out, -1});
out:
    return rc;
}

static enum err run_keep(struct flow *w, const struct vae_layer *l, struct fail *f) {
    (void)l;
    (void)f;
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

static enum err run_layers(struct flow *w, int first, int last, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = first; i < last; i++) {
        const struct vae_layer *l = &w->r->net->layer[i];
        TRY(runners[l->kind](w, l, f));
        if (!l->is_split || w->x.t.dim[0] == 1) continue;
        for (int64_t t = 0; t < w->x.t.dim[0]; t++) {
            struct flow one = {.r = w->r, .dev = w->dev, .x = {tensor_rows(&w->x.t, t, 1), -1}};
            TRY(run_layers(&one, i + 1, last, f));
            let_go(&one, &one.x);
        }
        break;
    }
out:
    return rc;
}

/* The first layers frame by frame; what they make is gathered. */
static enum err run_singles(struct flow *w, struct fail *f) {
    enum err rc = ERR_OK;
    int last = w->r->net->n_singles;
    struct held all = {.at = -1};
    int64_t T = w->x.t.dim[0];
    for (int64_t t = 0; t < T; t++) {
        struct flow one = {.r = w->r, .dev = w->dev, .x = {tensor_rows(&w->x.t, t, 1), -1}};
        TRY(run_layers(&one, 0, last, f));
        const int64_t *d = one.x.t.dim;
        if (t == 0) all = hold(w, T, d[1], d[2], d[3]);
        struct tensor to = tensor_rows(&all.t, t, 1);
        TRY(op_copy(w->dev, &to, &one.x.t, f));
        let_go(&one, &one.x);
    }
    pass_on(w, all);
out:
    return rc;
}

enum err vae_run_chunk(struct vae_run *r, struct tensor *out, const struct tensor *x,
                       struct fail *f) {
    enum err rc = ERR_OK;
    struct flow w = {.r = r, .dev = r->pool->dev, .x = {*x, -1}};
    bool has_singles = r->net->n_singles > 0 && x->dim[0] > 1;

    ASSERT(x->n_dims == 4 && (!r->is_first || x->dim[0] == 1));
    r->busy = 0;
    r->out = *out;
    r->n_out = 0;
    if (has_singles) TRY(run_singles(&w, f));
    TRY(run_layers(&w, has_singles ? r->net->n_singles : 0, r->net->n_layers, f));
    ASSERT(r->n_out == out->dim[0]);
    r->is_first = false;
out:
    return rc;
}

/* Work buffers: x, what a layer makes of it in two steps, what a shortcut keeps, and for each split
 * the frames that wait for their turn. */
static int n_buffers(const struct vae_net *net) {
    int n = 3 + (net->n_singles > 0);
    bool has_kept = false;
    for (int i = 0; i < net->n_layers; i++) {
        n += net->layer[i].is_split;
        has_kept = has_kept || net->layer[i].kind == VAE_KEEP;
    }
    return n + has_kept;
}

/* The biggest tensor that a layer holds, and the shape after it. */
static int64_t plan_layer(const struct vae_layer *l, struct vae_shape *s) {
    int64_t widest = l->c_in > l->c_out ? l->c_in : l->c_out;
    int64_t biggest = s->T * s->H * s->W * widest;
    if (l->kind == VAE_UP) {
        *s = (struct vae_shape){s->T * l->ft, s->H * 2, s->W * 2, s->C};
        /* The pairs of double_time are no bigger than two frames in and four out. */
        if (s->T * s->H * s->W * l->c_out > biggest) biggest = s->T * s->H * s->W * l->c_out;
        if (s->T * s->H / 2 * (s->W / 2) * l->c_in > biggest)
            biggest = s->T * s->H / 2 * (s->W / 2) * l->c_in;
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

/* What the layers need for chunks of `in`. */
struct plan {
    struct vae_shape s; /* before and after the layer that is looked at */
    struct vae_shape before;
    int64_t biggest; /* values of a work buffer */
    int64_t T;       /* frames of a whole chunk, where s.T counts those that go together */
};

static void plan_next(struct plan *p, const struct vae_net *net, int i) {
    const struct vae_layer *l = &net->layer[i];
    if (i == net->n_singles) {
        p->s.T = p->T;
        int64_t gathered = p->s.T * p->s.H * p->s.W * p->s.C;
        if (i > 0 && gathered > p->biggest) p->biggest = gathered;
    }
    p->before = p->s;
    int64_t n = plan_layer(l, &p->s);
    if (n > p->biggest) p->biggest = n;
    p->T = l->kind == VAE_UP ? p->T * l->ft : l->kind == VAE_DOWN ? p->T / l->ft : p->T;
    if (l->is_split) p->s.T = 1;
}

static struct plan plan_begin(const struct vae_net *net, const struct vae_shape *in) {
    struct plan p = {.s = *in, .T = in->T};
    if (net->n_singles > 0) p.s.T = 1;
    return p;
}

/* Pixels and latents come in f32, so the past of the first layer is f32 too. */
static enum dtype cache_dtype(const struct device *dev, const struct vae_layer *l) {
    return l->kind == VAE_CONV ? DTYPE_F32 : device_activation(dev);
}

static enum err take_caches(struct vae_run *r, const struct vae_layer *l, const struct plan *p,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct vae_shape shape[2];
    for (int i = 0, n = list_caches(shape, l, &p->before, &p->s); i < n; i++) {
        int64_t dims[] = {shape[i].T, shape[i].H, shape[i].W, shape[i].C};
        struct tensor *cache = &r->cache[l->slot + i];
        TRY(pool_take(r->pool, cache, cache_dtype(r->pool->dev, l), 4, dims, f));
    }
out:
    return rc;
}

void vae_run_restart(struct vae_run *r) {
    for (int i = 0; i < r->net->n_slots; i++) {
        op_fill(r->pool->dev, &r->cache[i], 0.0f);
        r->oldest[i] = 0;
    }
    r->is_first = true;
}

double vae_run_bytes(const struct vae_net *net, const struct device *dev,
                     const struct vae_shape *in) {
    struct plan p = plan_begin(net, in);
    double bytes = 0, each = (double)tensor_dtype_bytes(device_activation(dev));
    for (int i = 0; i < net->n_layers; i++) {
        struct vae_shape shape[2];
        plan_next(&p, net, i);
        for (int k = list_caches(shape, &net->layer[i], &p.before, &p.s) - 1; k >= 0; k--)
            bytes += (double)(shape[k].T * shape[k].H * shape[k].W * shape[k].C) *
                     (double)tensor_dtype_bytes(cache_dtype(dev, &net->layer[i]));
        /* Of one frame of the attention in the middle: normed, q, k and v. */
        if (net->layer[i].kind == VAE_ATTENTION)
            bytes += 4.0 * (double)(p.s.H * p.s.W * p.s.C) * each;
    }
    return bytes + n_buffers(net) * (double)p.biggest * each;
}

enum err vae_run_make(struct vae_run *r, struct vae_shape *out, const struct vae_net *net,
                      struct pool *pool, const struct vae_shape *in, struct fail *f) {
    enum err rc = ERR_OK;
    struct plan p = plan_begin(net, in);

    *r = (struct vae_run){.net = net, .pool = pool, .is_first = true, .n_work = n_buffers(net)};
    ASSERT(r->n_work <= VAE_WORK_MAX);
    for (int i = 0; i < net->n_layers; i++) {
        plan_next(&p, net, i);
        TRY(take_caches(r, &net->layer[i], &p, f));
    }
    for (int i = 0; i < r->n_work; i++)
        TRY(pool_take(pool, &r->work[i], device_activation(pool->dev), 1, &p.biggest, f));
    vae_run_restart(r);
    *out = p.s;
    out->T = p.T;
out:
    return rc;
}
