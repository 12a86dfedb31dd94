#include "engine/text.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

enum { CONFIG_BYTES_MAX = 1 << 20, PREFIX_BYTES_MAX = 64 };

#define FIELD(key, kind, member, min, max) \
    { key, JSON_FIELD_##kind, offsetof(struct text_config, member), min, max }

static const struct json_field fields[] = {
    FIELD("vocab_size", INT, vocab, 1, 1 << 22),
    FIELD("d_model", INT, d_model, 1, 1 << 16),
    FIELD("d_kv", INT, d_kv, 1, 1 << 12),
    FIELD("d_ff", INT, d_ff, 1, 1 << 18),
    FIELD("num_layers", INT, n_layers, 1, TEXT_LAYERS_MAX),
    FIELD("num_heads", INT, n_heads, 1, 1 << 10),
    FIELD("relative_attention_num_buckets", INT, n_buckets, 4, TEXT_BUCKETS_MAX),
    FIELD("relative_attention_max_distance", INT, max_distance, 2, 1 << 20),
    FIELD("layer_norm_epsilon", REAL, eps, 0, 1),
    FIELD("feed_forward_proj", TEXT, act, 0, 0),
};

/* Sizes that rows refer to. */
enum { SIZE_VOCAB, SIZE_MODEL, SIZE_INNER, SIZE_FF, SIZE_BUCKETS, SIZE_HEADS, SIZE_COUNT };

#define S(name) WEIGHT_SIZE(SIZE_##name)
#define ROW(name, member, ...)                                                                     \
    {                                                                                              \
        name, offsetof(struct text_layer, member), WEIGHT_PLAIN, COUNT_OF(((int[]){__VA_ARGS__})), \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }

static const struct weight_row layer_rows[] = {
    ROW("layer.0.layer_norm.weight", norm1, S(MODEL)),
    ROW("layer.0.SelfAttention.q.weight", q, S(INNER), S(MODEL)),
    ROW("layer.0.SelfAttention.k.weight", k, S(INNER), S(MODEL)),
    ROW("layer.0.SelfAttention.v.weight", v, S(INNER), S(MODEL)),
    ROW("layer.0.SelfAttention.o.weight", o, S(MODEL), S(INNER)),
    ROW("layer.0.SelfAttention.relative_attention_bias.weight", buckets, S(BUCKETS), S(HEADS)),
    ROW("layer.1.layer_norm.weight", norm2, S(MODEL)),
    ROW("layer.1.DenseReluDense.wi_0.weight", wi_0, S(FF), S(MODEL)),
    ROW("layer.1.DenseReluDense.wi_1.weight", wi_1, S(FF), S(MODEL)),
    ROW("layer.1.DenseReluDense.wo.weight", wo, S(MODEL), S(FF)),
};

static enum err read_config(struct text_config *c, const char *folder, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    char path[4096];

    if (snprintf(path, sizeof path, "%s/config.json", folder) >= (int)sizeof path)
        return FAIL(f, ERR_LIMIT, "the name of the model folder is too long");
    *c = (struct text_config){
        .n_buckets = 32, .max_distance = 128, .eps = 1e-6, .act = "gated-gelu"};
    TRY(json_read_file(&j, path, CONFIG_BYTES_MAX, f));
    TRY(json_read_fields(&j, 0, c, fields, COUNT_OF(fields), f));
    if (!c->vocab || !c->d_model || !c->d_kv || !c->d_ff || !c->n_layers || !c->n_heads)
        rc = FAIL(f, ERR_CORRUPT,
                  "%s lacks one of vocab_size, d_model, d_kv, d_ff, num_layers, "
                  "num_heads",
                  path);
    else if (!str_eq(str_of(c->act), "gated-gelu"))
        rc = FAIL(f, ERR_UNSUPPORTED, "%s: feed_forward_proj is %s, only gated-gelu is supported",
                  path, c->act);
    else if (c->n_buckets % 4 != 0 || c->max_distance <= c->n_buckets / 4)
        rc = FAIL(f, ERR_UNSUPPORTED, "%s: %d buckets for distances up to %d", path, c->n_buckets,
                  c->max_distance);
out:
    json_free(&j);
    return rc;
}

/* Some files name the table twice, some only by its second name. */
static enum err bind_table(struct text *t, const int64_t *sizes, struct fail *f) {
    static const char *const names[] = {"shared.weight", "encoder.embed_tokens.weight"};
    int pick = weights_find(&t->weights, names[0]) ? 0 : 1;
    if (weights_find(&t->weights, names[1 - pick])) weights_ignore(&t->weights, names[1 - pick]);
    t->table_entry = weights_find(&t->weights, names[pick]);
    return weights_take(&t->weights, &t->table, names[pick], WEIGHT_STORED, 2, sizes, f);
}

/* The bias of attention is made on the host, from one number per bucket and head. */
static enum err copy_buckets(struct text *t, struct text_layer *l, struct fail *f) {
    int64_t n = (int64_t)t->config.n_buckets * t->config.n_heads;
    if (!l->buckets.data) return ERR_OK; /* noted as a problem */
    l->bias = mem_take((size_t)n, sizeof *l->bias);
    if (!l->bias) return FAIL(f, ERR_NOMEM, "no memory for relative positions");
    op_download(t->dev, l->bias, &l->buckets);
    return ERR_OK;
}

static enum err bind(struct text *t, struct fail *f) {
    const struct text_config *c = &t->config;
    int64_t sizes[SIZE_COUNT] = {c->vocab, c->d_model,   (int64_t)c->n_heads * c->d_kv,
                                 c->d_ff,  c->n_buckets, c->n_heads};
    enum err rc = ERR_OK;

    TRY(bind_table(t, sizes, f));
    TRY(weights_take(&t->weights, &t->final_norm, "encoder.final_layer_norm.weight", WEIGHT_PLAIN,
                     1, &sizes[SIZE_MODEL], f));
    for (int i = 0; i < c->n_layers; i++) {
        char prefix[PREFIX_BYTES_MAX];
        snprintf(prefix, sizeof prefix, "encoder.block.%d.", i);
        TRY(weights_bind(&t->weights, &t->layer[i], prefix, layer_rows, COUNT_OF(layer_rows), sizes,
                         f));
        TRY(copy_buckets(t, &t->layer[i], f));
    }
    TRY(weights_finish(&t->weights, f));
out:
    return rc;
}

enum err text_open(struct text **out, struct device *dev, struct pool *pool, const char *folder,
                   struct fail *f) {
    enum err rc = ERR_OK;
    struct text *t = mem_take(1, sizeof *t);

    *out = NULL;
    if (!t) return FAIL(f, ERR_NOMEM, "no memory for a text encoder");
    t->dev = dev;
    TRY(read_config(&t->config, folder, f));
    TRY(weights_open(&t->weights, dev, pool, folder, "model", f));
    TRY(bind(t, f));
    *out = t;
    t = NULL;
out:
    text_close(t);
    return rc;
}

void text_close(struct text *t) {
    if (!t) return;
    for (int i = 0; i < TEXT_LAYERS_MAX; i++)
        mem_free(t->layer[i].bias);
    weights_close(&t->weights);
    mem_free(t);
}

int text_bucket(const struct text_config *c, int distance) {
    int half = c->n_buckets / 2, n_exact = half / 2;
    int base = distance > 0 ? half : 0, a = distance < 0 ? -distance : distance;
    if (a < n_exact) return base + a;
    double steps = log((double)a / n_exact) / log((double)c->max_distance / n_exact);
    /* Powers that hit a threshold exactly must not fall below it by rounding. */
    int bucket = n_exact + (int)(steps * (half - n_exact) + 1e-6);
    return base + (bucket < half - 1 ? bucket : half - 1);
}

/* bias [heads,n,n] of one layer: entry (h,i,j) belongs to key j seen from query i. */
static void fill_bias(const struct text_config *c, float *out, const float *buckets, int n) {
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            const float *row = buckets + (int64_t)text_bucket(c, j - i) * c->n_heads;
            for (int h = 0; h < c->n_heads; h++)
                out[((int64_t)h * n + i) * n + j] = row[h];
        }
    }
}

/* What one layer needs besides x. */
struct scratch {
    struct tensor h, q, k, v, a; /* [n,d_model], [n,inner] x 4 */
    struct tensor gate, up;      /* [n,d_ff] */
    struct tensor bias;          /* [heads,n,n] on the device */
    float *host_bias;
};

static enum err take_scratch(const struct text *t, struct scratch *s, int n, struct pool *pool,
                             struct fail *f) {
    const struct text_config *c = &t->config;
    int64_t inner = (int64_t)c->n_heads * c->d_kv, bias_dims[] = {c->n_heads, n, n};
    struct tensor *wide[] = {&s->q, &s->k, &s->v, &s->a};
    enum err rc = ERR_OK;

    *s = (struct scratch){0};
    TRY(pool_take_2d(pool, &s->h, n, c->d_model, f));
    for (int i = 0; i < COUNT_OF(wide); i++)
        TRY(pool_take_2d(pool, wide[i], n, inner, f));
    TRY(pool_take_2d(pool, &s->gate, n, c->d_ff, f));
    TRY(pool_take_2d(pool, &s->up, n, c->d_ff, f));
    TRY(pool_take(pool, &s->bias, DTYPE_F32, 3, bias_dims, f));
    s->host_bias = mem_take((size_t)tensor_count(&s->bias), sizeof *s->host_bias);
    if (!s->host_bias) rc = FAIL(f, ERR_NOMEM, "no memory for relative positions");
out:
    return rc;
}

/* x [n,d_model] in place: x += o(attention(norm x)); x += wo(gelu(wi_0 h) * wi_1 h). */
static enum err run_layer(struct text *t, const struct text_layer *l, struct tensor *x,
                          struct scratch *s, struct fail *f) {
    struct device *dev = t->dev;
    struct norm_opts norm = {.kind = NORM_RMS, .eps = (float)t->config.eps, .w = &l->norm1};
    struct attention_opts att = {.n_heads = t->config.n_heads, .scale = 1.0f, .bias = &s->bias};
    enum err rc = ERR_OK;

    fill_bias(&t->config, s->host_bias, l->bias, (int)x->dim[0]);
    op_upload(dev, &s->bias, s->host_bias);
    TRY(op_norm(dev, &s->h, x, &norm, f));
    TRY(op_linear(dev, &s->q, &s->h, &l->q, NULL, ACT_NONE, f));
    TRY(op_linear(dev, &s->k, &s->h, &l->k, NULL, ACT_NONE, f));
    TRY(op_linear(dev, &s->v, &s->h, &l->v, NULL, ACT_NONE, f));
    TRY(op_attention(dev, &s->a, &s->q, &s->k, &s->v, &att, f));
    TRY(op_linear(dev, &s->h, &s->a, &l->o, NULL, ACT_NONE, f));
    TRY(op_add_scaled(dev, x, x, &s->h, 1.0f, f));
    norm.w = &l->norm2;
    TRY(op_norm(dev, &s->h, x, &norm, f));
    TRY(op_linear(dev, &s->gate, &s->h, &l->wi_0, NULL, ACT_GELU_TANH, f));
    TRY(op_linear(dev, &s->up, &s->h, &l->wi_1, NULL, ACT_NONE, f));
    TRY(op_mul(dev, &s->gate, &s->gate, &s->up, f));
    TRY(op_linear(dev, &s->h, &s->gate, &l->wo, NULL, ACT_NONE, f));
    TRY(op_add_scaled(dev, x, x, &s->h, 1.0f, f));
out:
    return rc;
}

/* x [n,d_model] = rows of the table. */
static enum err embed(struct text *t, struct tensor *x, const int32_t *ids, int n, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t d = t->config.d_model;
    float *rows = mem_take((size_t)(n * d), sizeof *rows);
    if (!rows) return FAIL(f, ERR_NOMEM, "no memory for %d words", n);
    TRY(safetensors_check_unchanged(&t->weights.file, f));
    for (int i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= t->config.vocab)
            TRY(FAIL(f, ERR_CORRUPT, "the tokenizer gave id %d, the text encoder has %d rows",
                     (int)ids[i], t->config.vocab));
        TRY(safetensors_read(&t->weights.file, t->table_entry, ids[i] * d, d, rows + i * d, f));
    }
    op_upload(t->dev, x, rows);
out:
    mem_free(rows);
    return rc;
}

enum err text_encode(struct text *t, struct tensor *out, const int32_t *ids, int n,
                     struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(pool);
    struct norm_opts norm = {.kind = NORM_RMS, .eps = (float)t->config.eps, .w = &t->final_norm};
    struct scratch s = {0};
    struct tensor x;

    ASSERT(n >= 1 && n <= TEXT_TOKENS_MAX && out->dim[0] == n && out->dim[1] == t->config.d_model);
    TRY(pool_take_2d(pool, &x, n, t->config.d_model, f));
    TRY(embed(t, &x, ids, n, f));
    TRY(take_scratch(t, &s, n, pool, f));
    for (int i = 0; i < t->config.n_layers; i++)
        TRY(run_layer(t, &t->layer[i], &x, &s, f));
    TRY(op_norm(t->dev, out, &x, &norm, f));
out:
    mem_free(s.host_bias);
    pool_rewind(pool, mark);
    return rc;
}
