#include "engine/taehv_net.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

enum { TAEHV_CHANNELS_MAX = 4096, TAEHV_PATCH_MAX = 4 };

/* The list under construction. */
struct maker {
    struct weights *w;
    struct taehv_net *net;
    const char *half; /* "encoder" or "decoder" */
};

/* A kernel as torch has it: [rows, n*C, k, k], n frames side by side in the channels. */
struct kernel {
    int64_t rows, n, C, k;
    bool is_later_first; /* in the channels the later frame comes first */
    int64_t skipped;     /* rows of the file before the first one that counts */
    float scale;
};

static const struct safetensors_entry *find(const struct maker *m, int at, const char *rest) {
    char name[96];
    snprintf(name, sizeof name, "%s.%d.%s", m->half, at, rest);
    return weights_find(m->w, name);
}

static int64_t dim_of(const struct maker *m, int at, const char *rest, int axis) {
    const struct safetensors_entry *e = find(m, at, rest);
    return e && e->n_dims > axis && e->dim[axis] <= TAEHV_CHANNELS_MAX ? e->dim[axis] : 0;
}

/* The tensor as f32 on the host; the caller frees *host. NULL when a problem was noted. */
static enum err read_plain(struct maker *m, float **host, const char *name, int n_dims,
                           const int64_t *dims, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool room, *own = m->w->pool;
    struct tensor t;

    *host = NULL;
    pool_make(&room, m->w->dev, 1 << 16, (size_t)1 << 32);
    m->w->pool = &room;
    rc = weights_take(m->w, &t, name, WEIGHT_PLAIN, n_dims, dims, f);
    m->w->pool = own;
    if (rc != ERR_OK || !t.data) goto out;
    *host = mem_take((size_t)tensor_count(&t), sizeof **host);
    if (!*host) TRY(FAIL(f, ERR_NOMEM, "no memory for %s", name));
    op_download(m->w->dev, *host, &t);
out:
    pool_free(&room);
    return rc;
}

/* [n*C,k,k] of one row -> [n,k,k,C], the earlier frame first. */
static void turn(float *to, const float *from, const struct kernel *s) {
    int64_t positions = s->k * s->k;
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t p = 0; p < positions; p++)
            for (int64_t c = 0; c < s->C; c++) {
                int64_t frame = s->is_later_first ? s->n - 1 - i : i;
                *to++ = from[(frame * s->C + c) * positions + p] * s->scale;
            }
}

static enum err take_kernel(struct maker *m, struct tensor *out, int at, const char *rest,
                            const struct kernel *s, struct fail *f) {
    enum err rc = ERR_OK;
    char name[96];
    int64_t row = s->n * s->C * s->k * s->k;
    int64_t in_file[] = {s->skipped + s->rows, s->n * s->C, s->k, s->k};
    int64_t dims[] = {s->rows, s->n, s->k, s->k, s->C};
    float *host = NULL, *turned = NULL;
    struct tensor want = tensor_of(NULL, DTYPE_F32, COUNT_OF(dims), dims), room;

    snprintf(name, sizeof name, "%s.%d.%s", m->half, at, rest);
    *out = (struct tensor){0};
    TRY(read_plain(m, &host, name, COUNT_OF(in_file), in_file, f));
    if (!host) goto out;
    turned = mem_take((size_t)(OP_PACK_ROWS * row), sizeof *turned);
    if (!turned) TRY(FAIL(f, ERR_NOMEM, "no memory for %s", name));
    int64_t bytes = (int64_t)op_packed(m->w->dev, &want);
    TRY(pool_take(m->w->pool, &room, DTYPE_U8, 1, &bytes, f));
    want.data = room.data;
    for (int64_t first = 0; first < s->rows; first += OP_PACK_ROWS) {
        int64_t n = s->rows - first < OP_PACK_ROWS ? s->rows - first : OP_PACK_ROWS;
        for (int64_t r = 0; r < n; r++)
            turn(turned + r * row, host + (s->skipped + first + r) * row, s);
        op_pack(m->w->dev, &want, turned, first, n);
    }
    *out = want;
out:
    mem_free(host);
    mem_free(turned);
    return rc;
}

/* out = scale * bias + shift. */
static enum err take_bias(struct maker *m, struct tensor *out, int at, const char *rest, int64_t n,
                          float scale, float shift, struct fail *f) {
    enum err rc = ERR_OK;
    char name[96];
    float *host = NULL;
    snprintf(name, sizeof name, "%s.%d.%s", m->half, at, rest);
    *out = (struct tensor){0};
    TRY(read_plain(m, &host, name, 1, &n, f));
    if (!host) goto out;
    for (int64_t i = 0; i < n; i++)
        host[i] = host[i] * scale + shift;
    TRY(pool_take_1d(m->w->pool, out, n, f));
    op_upload(m->w->dev, out, host);
out:
    mem_free(host);
    return rc;
}

static struct taehv_layer *add(struct maker *m, enum taehv_kind kind, int64_t c_in, int64_t c_out) {
    ASSERT(m->net->n_layers < TAEHV_LAYERS_MAX);
    struct taehv_layer *l = &m->net->layer[m->net->n_layers++];
    *l = (struct taehv_layer){.kind = kind, .c_in = c_in, .c_out = c_out, .frames = 1};
    if (kind == TAEHV_BLOCK || kind == TAEHV_SUPER) l->slot = m->net->n_slots++;
    return l;
}

/* A convolution of the Sequential itself; `scale` and `shift` are for the pixels that the last one
 * makes. */
static enum err add_conv(struct maker *m, int at, int64_t c_in, int64_t c_out, int64_t k,
                         bool has_bias, float scale, float shift, struct fail *f) {
    enum err rc = ERR_OK;
    struct taehv_layer *l = add(m, TAEHV_CONV, c_in, c_out);
    struct kernel s = {.rows = c_out, .n = 1, .C = c_in, .k = k, .scale = scale};
    TRY(take_kernel(m, &l->a, at, "weight", &s, f));
    if (has_bias) TRY(take_bias(m, &l->a_b, at, "bias", c_out, scale, shift, f));
out:
    return rc;
}

static enum err add_block(struct maker *m, int at, int64_t c, struct fail *f) {
    enum err rc = ERR_OK;
    struct taehv_layer *l = add(m, TAEHV_BLOCK, c, c);
    struct kernel pair = {.rows = c, .n = 2, .C = c, .k = 3, .is_later_first = true, .scale = 1};
    struct kernel one = {.rows = c, .n = 1, .C = c, .k = 3, .scale = 1};
    TRY(take_kernel(m, &l->a, at, "conv.0.weight", &pair, f));
    TRY(take_bias(m, &l->a_b, at, "conv.0.bias", c, 1, 0, f));
    TRY(take_kernel(m, &l->b, at, "conv.2.weight", &one, f));
    TRY(take_bias(m, &l->b_b, at, "conv.2.bias", c, 1, 0, f));
    TRY(take_kernel(m, &l->c, at, "conv.4.weight", &one, f));
    TRY(take_bias(m, &l->c_b, at, "conv.4.bias", c, 1, 0, f));
out:
    return rc;
}

static enum err add_super(struct maker *m, int at, int64_t c, struct fail *f) {
    enum err rc = ERR_OK;
    struct taehv_layer *l = add(m, TAEHV_SUPER, c, c);
    struct kernel wide = {
        .rows = 4 * c, .n = 2, .C = c, .k = 1, .is_later_first = true, .scale = 1};
    struct kernel back = {.rows = c, .n = 1, .C = 4 * c, .k = 1, .scale = 1};
    int64_t k = dim_of(m, at, "conv.0.weight", 2), dims[] = {2 * c, 1, k, k};
    char name[96];
    float *host = NULL;

    snprintf(name, sizeof name, "%s.%d.conv.0.weight", m->half, at);
    TRY(read_plain(m, &host, name, COUNT_OF(dims), dims, f));
    for (int i = 0; host && i < 2; i++) {
        int64_t kernel[] = {c, k, k};
        TRY(pool_take(m->w->pool, &l->by_channel[i], DTYPE_F32, 3, kernel, f));
        op_upload(m->w->dev, &l->by_channel[i], host + i * c * k * k);
    }
    TRY(take_kernel(m, &l->a, at, "conv.1.weight", &wide, f));
    TRY(take_bias(m, &l->a_b, at, "conv.1.bias", 4 * c, 1, 0, f));
    TRY(take_kernel(m, &l->b, at, "conv.3.weight", &back, f));
out:
    mem_free(host);
    return rc;
}

/* Of a checkpoint that grows by more frames than are wanted the last ones count. */
static enum err add_grow(struct maker *m, int at, int64_t c, int frames, struct fail *f) {
    struct taehv_layer *l = add(m, TAEHV_GROW, c, c);
    int64_t rows = dim_of(m, at, "conv.weight", 0), needed = frames * c;
    struct kernel s = {.rows = needed, .n = 1, .C = c, .k = 1, .scale = 1};
    l->frames = frames;
    s.skipped = rows > needed ? rows - needed : 0;
    return take_kernel(m, &l->a, at, "conv.weight", &s, f);
}

static const int grow_frames[TAEHV_STAGES] = {1, 2, 2}, pool_frames[TAEHV_STAGES] = {2, 2, 1};

/* 1 conv, ReLU; stages of 3 blocks, (doubled), grow, conv; ReLU, conv. Pixels come in 0..1: they
 * are made -1..1 by the last weights. */
static enum err load_base(struct maker *m, struct taehv_shape *shape, int n_out, struct fail *f) {
    enum err rc = ERR_OK;
    int at = 3;
    int64_t width = dim_of(m, 1, "weight", 0);
    TRY(add_conv(m, 1, shape->z_dim, width, 3, true, 1, 0, f));
    m->net->layer[0].has_relu = true;
    for (int i = 0; i < TAEHV_STAGES; i++, at += 6) {
        for (int k = 0; k < TAEHV_BLOCKS; k++)
            TRY(add_block(m, at + k, width, f));
        TRY(add_grow(m, at + 4, width, grow_frames[i], f));
        int64_t next = dim_of(m, at + 5, "weight", 0);
        TRY(add_conv(m, at + 5, width, next, 3, false, 1, 0, f));
        m->net->layer[m->net->n_layers - 1].is_doubled = true;
        m->net->layer[m->net->n_layers - 1].has_relu = i == TAEHV_STAGES - 1;
        width = next;
    }
    TRY(add_conv(m, at + 1, width, n_out, 3, true, 2, -1, f));
out:
    return rc;
}

static enum err load_super(struct maker *m, struct taehv_shape *shape, int n_out, struct fail *f) {
    enum err rc = ERR_OK;
    int at = 1;
    int64_t width = dim_of(m, 0, "weight", 0);
    TRY(add_conv(m, 0, shape->z_dim, width, 1, false, 1, 0, f));
    for (int i = 0; i < TAEHV_STAGES; i++, at += 7) {
        for (int k = 0; k < TAEHV_BLOCKS; k++)
            TRY(add_super(m, at + k, width, f));
        int64_t next = dim_of(m, at + 3, "weight", 0) / 4;
        TRY(add_conv(m, at + 3, width, 4 * next, 3, true, 1, 0, f));
        m->net->layer[m->net->n_layers - 1].has_relu = true;
        add(m, TAEHV_SHUFFLE, 4 * next, next);
        TRY(add_grow(m, at + 6, next, grow_frames[i], f));
        width = next;
    }
    TRY(add_conv(m, at, width, n_out, 3, true, 2, -1, f));
out:
    return rc;
}

static enum err load_encoder(struct maker *m, struct taehv_shape *shape, struct fail *f) {
    enum err rc = ERR_OK;
    int at = 2;
    int64_t width = dim_of(m, 0, "weight", 0);
    TRY(add_conv(m, 0, 3 * shape->patch * shape->patch, width, 3, true, 1, 0, f));
    m->net->layer[0].has_relu = true;
    for (int i = 0; i < TAEHV_STAGES; i++, at += 5) {
        struct taehv_layer *pool = add(m, TAEHV_POOL, width, width);
        struct kernel s = {.rows = width, .n = pool_frames[i], .C = width, .k = 1, .scale = 1};
        pool->frames = pool_frames[i];
        TRY(take_kernel(m, &pool->a, at, "conv.weight", &s, f));
        TRY(add_conv(m, at + 1, width, width, 3, false, 1, 0, f));
        m->net->layer[m->net->n_layers - 1].is_halved = true;
        for (int k = 0; k < TAEHV_BLOCKS; k++)
            TRY(add_block(m, at + 2 + k, width, f));
    }
    TRY(add_conv(m, at, width, shape->z_dim, 3, true, 1, 0, f));
out:
    return rc;
}

/* 3, 12, 27 or 48 channels: 3 colours of patch^2 pixels. */
static int find_patch(int64_t channels) {
    for (int p = 1; p <= TAEHV_PATCH_MAX; p++)
        if (channels == 3 * p * p) return p;
    return 0;
}

enum err taehv_net_load(struct taehv_net *encoder, struct taehv_net *decoder,
                        struct taehv_shape *shape, struct weights *w, struct fail *f) {
    enum err rc = ERR_OK;
    struct maker m = {.w = w, .net = decoder, .half = "decoder"};
    bool is_super = find(&m, 0, "weight") != NULL;
    int64_t n_out = dim_of(&m, 22, "weight", 0);

    *encoder = *decoder = (struct taehv_net){0};
    decoder->is_super = is_super;
    shape->z_dim = dim_of(&m, is_super ? 0 : 1, "weight", 1);
    shape->patch = find_patch(n_out);
    if (shape->z_dim == 0 || shape->patch == 0)
        return FAIL(f, ERR_CORRUPT,
                    "%s: no tiny autoencoder: %lld latent channels, %lld channels of pixels",
                    w->folder, (long long)shape->z_dim, (long long)n_out);
    if (is_super)
        TRY(load_super(&m, shape, (int)n_out, f));
    else
        TRY(load_base(&m, shape, (int)n_out, f));
    m.net = encoder;
    m.half = "encoder";
    TRY(load_encoder(&m, shape, f));
out:
    return rc;
}
