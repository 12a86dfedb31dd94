#include "engine/dit_block.h"

#include <stddef.h>
#include <stdio.h>

#include "common/base/assert.h"

enum { SHIFT_A, SCALE_A, GATE_A, SHIFT_F, SCALE_F, GATE_F };

#define D             WEIGHT_SIZE(0)
#define F             WEIGHT_SIZE(1)
#define SELF(member)  offsetof(struct dit_block, self.member)
#define CROSS(member) offsetof(struct dit_block, cross.member)
#define AT(member)    offsetof(struct dit_block, member)

static const struct weight_row rows[] = {
    {"scale_shift_table", AT(mod), WEIGHT_PLAIN, 3, {1, DIT_BLOCK_MOD_ROWS, D}},
    {"attn1.to_q.weight", SELF(q), WEIGHT_PACK | WEIGHT_INT8, 2, {D, D}},
    {"attn1.to_q.bias", SELF(q_b), WEIGHT_PLAIN, 1, {D}},
    {"attn1.to_k.weight", SELF(k), WEIGHT_PACK | WEIGHT_INT8, 2, {D, D}},
    {"attn1.to_k.bias", SELF(k_b), WEIGHT_PLAIN, 1, {D}},
    {"attn1.to_v.weight", SELF(v), WEIGHT_PACK | WEIGHT_INT8, 2, {D, D}},
    {"attn1.to_v.bias", SELF(v_b), WEIGHT_PLAIN, 1, {D}},
    {"attn1.to_out.0.weight", SELF(out), WEIGHT_PACK | WEIGHT_INT8, 2, {D, D}},
    {"attn1.to_out.0.bias", SELF(out_b), WEIGHT_PLAIN, 1, {D}},
    {"attn1.norm_q.weight", SELF(norm_q), WEIGHT_PLAIN, 1, {D}},
    {"attn1.norm_k.weight", SELF(norm_k), WEIGHT_PLAIN, 1, {D}},
    {"attn2.to_q.weight", CROSS(q), WEIGHT_PACK | WEIGHT_INT8, 2, {D, D}},
    {"attn2.to_q.bias", CROSS(q_b), WEIGHT_PLAIN, 1, {D}},
    {"attn2.to_k.weight", CROSS(k), WEIGHT_PACK | WEIGHT_LATE, 2, {D, D}},
    {"attn2.to_k.bias", CROSS(k_b), WEIGHT_LATE, 1, {D}},
    {"attn2.to_v.weight", CROSS(v), WEIGHT_PACK | WEIGHT_LATE, 2, {D, D}},
    {"attn2.to_v.bias", CROSS(v_b), WEIGHT_LATE, 1, {D}},
    {"attn2.to_out.0.weight", CROSS(out), WEIGHT_PACK | WEIGHT_INT8, 2, {D, D}},
    {"attn2.to_out.0.bias", CROSS(out_b), WEIGHT_PLAIN, 1, {D}},
    {"attn2.norm_q.weight", CROSS(norm_q), WEIGHT_PLAIN, 1, {D}},
    {"attn2.norm_k.weight", CROSS(norm_k), WEIGHT_LATE, 1, {D}},
    {"ffn.net.0.proj.weight", AT(up), WEIGHT_PACK | WEIGHT_INT8, 2, {F, D}},
    {"ffn.net.0.proj.bias", AT(up_b), WEIGHT_PLAIN, 1, {F}},
    {"ffn.net.2.weight", AT(down), WEIGHT_PACK | WEIGHT_INT8, 2, {D, F}},
    {"ffn.net.2.bias", AT(down_b), WEIGHT_PLAIN, 1, {D}},
};

static const struct weight_row image_rows[] = {
    {"attn2.add_k_proj.weight", CROSS(add_k), WEIGHT_PACK | WEIGHT_LATE, 2, {D, D}},
    {"attn2.add_k_proj.bias", CROSS(add_k_b), WEIGHT_LATE, 1, {D}},
    {"attn2.add_v_proj.weight", CROSS(add_v), WEIGHT_PACK | WEIGHT_LATE, 2, {D, D}},
    {"attn2.add_v_proj.bias", CROSS(add_v_b), WEIGHT_LATE, 1, {D}},
    {"attn2.norm_added_k.weight", CROSS(norm_add_k), WEIGHT_LATE, 1, {D}},
};

static const struct weight_row norm_rows[] = {
    {"norm2.weight", AT(cross_norm), WEIGHT_PLAIN, 1, {D}},
    {"norm2.bias", AT(cross_norm_b), WEIGHT_PLAIN, 1, {D}},
};

static enum err bind_image(struct dit_block *b, struct weights *w, const char *prefix,
                           const int64_t *sizes, struct fail *f) {
    char name[SAFETENSORS_NAME_MAX];
    snprintf(name, sizeof name, "%sattn2.norm_added_q.weight", prefix);
    weights_ignore(w, name); /* of an early converter; nobody reads it */
    snprintf(name, sizeof name, "%sattn2.add_k_proj.weight", prefix);
    if (!weights_find(w, name)) return ERR_OK;
    return weights_bind(w, b, prefix, image_rows, COUNT_OF(image_rows), sizes, f);
}

enum err dit_block_bind(struct dit_block *b, struct weights *w, const char *prefix,
                        const struct dit_config *c, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t sizes[] = {dit_config_width(c), c->ffn_dim};
    TRY(weights_bind(w, b, prefix, rows, COUNT_OF(rows), sizes, f));
    if (c->has_cross_norm)
        TRY(weights_bind(w, b, prefix, norm_rows, COUNT_OF(norm_rows), sizes, f));
    TRY(bind_image(b, w, prefix, sizes, f));
out:
    return rc;
}

static struct norm_opts rms(const struct tensor *w, const struct dit_config *c) {
    return (struct norm_opts){.kind = NORM_RMS, .eps = (float)c->eps, .w = w};
}

enum err dit_block_text_fill(const struct dit_block *b, struct device *dev,
                             struct dit_block_text *out, const struct tensor *text,
                             const struct dit_config *c, struct fail *f) {
    enum err rc = ERR_OK;
    struct norm_opts norm = rms(&b->cross.norm_k, c);
    TRY(op_linear(dev, &out->k, text, &b->cross.k, &b->cross.k_b, ACT_NONE, f));
    TRY(op_norm(dev, &out->k, &out->k, &norm, f));
    TRY(op_linear(dev, &out->v, text, &b->cross.v, &b->cross.v_b, ACT_NONE, f));
out:
    return rc;
}

enum err dit_block_image_fill(const struct dit_block *b, struct device *dev,
                              struct dit_block_text *out, const struct tensor *image,
                              const struct dit_config *c, struct fail *f) {
    enum err rc = ERR_OK;
    const struct dit_block_attention *w = &b->cross;
    struct norm_opts norm = rms(&w->norm_add_k, c);
    TRY(op_linear(dev, &out->k, image, &w->add_k, &w->add_k_b, ACT_NONE, f));
    TRY(op_norm(dev, &out->k, &out->k, &norm, f));
    TRY(op_linear(dev, &out->v, image, &w->add_v, &w->add_v_b, ACT_NONE, f));
out:
    return rc;
}

enum err dit_block_add_mod(struct device *dev, struct tensor *out, const struct tensor *table,
                           const struct tensor *time, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t R = out->dim[0], M = out->dim[1], C = out->dim[2];
    int64_t n = time->dim[1] == 1 ? 1 : M; /* rows that are added at once */
    struct tensor flat = tensor_as_2d(out, R * M, C), base = tensor_as_2d(table, M, C);
    struct tensor by_time = tensor_as_2d(time, tensor_count(time) / C, C);
    for (int64_t i = 0; i < R * M; i += n) {
        struct tensor to = tensor_rows(&flat, i, n), a = tensor_rows(&base, i % M, n);
        struct tensor t = tensor_rows(&by_time, n == 1 ? i / M : i, n);
        TRY(op_add_scaled(dev, &to, &a, &t, 1.0f, f));
    }
out:
    return rc;
}

/* Scratch of one block: its modulation, and rows [N,d] that each of its three parts reads. */
struct scratch {
    struct tensor mod, n;
};

static enum err take_scratch(struct scratch *s, const struct tensor *x,
                             const struct dit_block_pass *p, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(pool_take(p->step, &s->mod, DTYPE_F32, 3, p->time->dim, f));
    TRY(pool_take_rows(p->step, &s->n, x->dim[0], x->dim[1], f));
out:
    return rc;
}

/* q [N,d] = rope(norm(n w^T + b)); the same for k. */
static enum err project_rotated(struct device *dev, struct tensor *q, const struct tensor *n,
                                const struct tensor *w, const struct tensor *b,
                                const struct tensor *norm_w, const struct dit_block_pass *p,
                                struct fail *f) {
    enum err rc = ERR_OK;
    struct norm_opts norm = rms(norm_w, p->config);
    TRY(pool_take_rows(p->step, q, n->dim[0], n->dim[1], f));
    TRY(op_linear(dev, q, n, w, b, ACT_NONE, f));
    TRY(op_norm(dev, q, q, &norm, f));
    TRY(op_rope(dev, q, p->rope, p->config->n_heads, f));
out:
    return rc;
}

static enum err attend_self(const struct dit_block *b, struct device *dev, struct tensor *x,
                            const struct dit_block_pass *p, struct scratch *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(p->step);
    const struct dit_block_attention *w = &b->self;
    struct mod_table mod = {&s->mod, p->index};
    struct attention_opts o = {.n_heads = p->config->n_heads};
    struct tensor q, k, v;
    TRY(op_norm_mod(dev, &s->n, x, &mod, SHIFT_A, SCALE_A, (float)p->config->eps, f));
    TRY(project_rotated(dev, &q, &s->n, &w->q, &w->q_b, &w->norm_q, p, f));
    TRY(project_rotated(dev, &k, &s->n, &w->k, &w->k_b, &w->norm_k, p, f));
    TRY(pool_take_rows(p->step, &v, x->dim[0], x->dim[1], f));
    TRY(op_linear(dev, &v, &s->n, &w->v, &w->v_b, ACT_NONE, f));
    TRY(op_attention(dev, &s->n, &q, &k, &v, &o, f));
    TRY(op_linear_add(dev, x, &s->n, &w->out, &w->out_b, &mod, GATE_A, f));
out:
    pool_rewind(p->step, mark);
    return rc;
}

/* What the rows of pictures say is added to what the words say, before both are projected. */
static enum err add_image(struct device *dev, struct tensor *a, const struct tensor *q,
                          const struct dit_block_text *image, const struct dit_block_pass *p,
                          struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(p->step);
    struct attention_opts o = {.n_heads = p->config->n_heads};
    struct tensor more;
    if (!image) return ERR_OK;
    TRY(pool_take_rows(p->step, &more, a->dim[0], a->dim[1], f));
    TRY(op_attention(dev, &more, q, &image->k, &image->v, &o, f));
    TRY(op_add_scaled(dev, a, a, &more, 1.0f, f));
out:
    pool_rewind(p->step, mark);
    return rc;
}

static enum err attend_text(const struct dit_block *b, struct device *dev, struct tensor *x,
                            const struct dit_block_text *text, const struct dit_block_text *image,
                            const struct dit_block_pass *p, struct scratch *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(p->step);
    const struct dit_block_attention *w = &b->cross;
    struct norm_opts norm_q = rms(&w->norm_q, p->config);
    struct norm_opts norm = {.kind = NORM_LAYER,
                             .eps = (float)p->config->eps,
                             .w = &b->cross_norm,
                             .b = &b->cross_norm_b};
    struct attention_opts o = {.n_heads = p->config->n_heads, .key_bias = p->key_bias};
    const struct tensor *in = x;
    struct tensor q;
    if (p->config->has_cross_norm) {
        TRY(op_norm(dev, &s->n, x, &norm, f));
        in = &s->n;
    }
    TRY(pool_take_rows(p->step, &q, x->dim[0], x->dim[1], f));
    TRY(op_linear(dev, &q, in, &w->q, &w->q_b, ACT_NONE, f));
    TRY(op_norm(dev, &q, &q, &norm_q, f));
    TRY(op_attention(dev, &s->n, &q, &text->k, &text->v, &o, f));
    TRY(add_image(dev, &s->n, &q, image, p, f));
    TRY(op_linear_add(dev, x, &s->n, &w->out, &w->out_b, NULL, 0, f));
out:
    pool_rewind(p->step, mark);
    return rc;
}

static enum err feed_forward(const struct dit_block *b, struct device *dev, struct tensor *x,
                             const struct dit_block_pass *p, struct scratch *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(p->step);
    struct mod_table mod = {&s->mod, p->index};
    struct tensor h;
    TRY(pool_take_rows(p->step, &h, x->dim[0], p->config->ffn_dim, f));
    TRY(op_norm_mod(dev, &s->n, x, &mod, SHIFT_F, SCALE_F, (float)p->config->eps, f));
    TRY(op_linear(dev, &h, &s->n, &b->up, &b->up_b, ACT_GELU_TANH, f));
    TRY(op_linear_add(dev, x, &h, &b->down, &b->down_b, &mod, GATE_F, f));
out:
    pool_rewind(p->step, mark);
    return rc;
}

enum err dit_block_forward(const struct dit_block *b, struct device *dev, struct tensor *x,
                           const struct dit_block_text *text, const struct dit_block_text *image,
                           const struct dit_block_pass *p, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(p->step);
    struct scratch s;
    TRY(take_scratch(&s, x, p, f));
    TRY(dit_block_add_mod(dev, &s.mod, &b->mod, p->time, f));
    TRY(attend_self(b, dev, x, p, &s, f));
    TRY(attend_text(b, dev, x, text, image, p, &s, f));
    TRY(feed_forward(b, dev, x, p, &s, f));
out:
    pool_rewind(p->step, mark);
    return rc;
}
