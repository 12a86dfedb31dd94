#include "engine/text.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/names.h"
#include "engine/room.h"

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
#define ROW(name, member, form, ...)                                                         \
    {                                                                                        \
        name, offsetof(struct text_layer, member), form, COUNT_OF(((int[]){__VA_ARGS__})), { \
            __VA_ARGS__                                                                      \
        }                                                                                    \
    }

static const struct weight_row small_rows[] = {
    ROW("layer.0.layer_norm.weight", norm1, WEIGHT_PLAIN, S(MODEL)),
    ROW("layer.0.SelfAttention.relative_attention_bias.weight", buckets, WEIGHT_PLAIN, S(BUCKETS),
        S(HEADS)),
    ROW("layer.1.layer_norm.weight", norm2, WEIGHT_PLAIN, S(MODEL)),
};

#define MATRIX(name, member, ...) ROW(name, member, WEIGHT_PLAIN | WEIGHT_PACK, __VA_ARGS__)

static const struct weight_row matrix_rows[] = {
    MATRIX("layer.0.SelfAttention.q.weight", q, S(INNER), S(MODEL)),
    MATRIX("layer.0.SelfAttention.k.weight", k, S(INNER), S(MODEL)),
    MATRIX("layer.0.SelfAttention.v.weight", v, S(INNER), S(MODEL)),
    MATRIX("layer.0.SelfAttention.o.weight", o, S(MODEL), S(INNER)),
    MATRIX("layer.1.DenseReluDense.wi_0.weight", wi_0, S(FF), S(MODEL)),
    MATRIX("layer.1.DenseReluDense.wi_1.weight", wi_1, S(FF), S(MODEL)),
    MATRIX("layer.1.DenseReluDense.wo.weight", wo, S(MODEL), S(FF)),
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

/* True when matrices may be read where they lie. */
static bool can_map(const struct text *t, enum text_place place) {
    const struct safetensors *file = &t->weights.file;
    size_t bytes = 0;
    for (int i = 0; i < file->n_entries; i++) {
        const struct safetensors_entry *e = &file->entry[i];
        bool is_known = e->dtype == DTYPE_F32 || e->dtype == DTYPE_BF16 || e->dtype == DTYPE_F16;
        if (!is_known || e->offset % tensor_dtype_bytes(e->dtype)) return false;
        if (e != t->table_entry) bytes += e->bytes;
    }
    return place == TEXT_MAPPED || (place == TEXT_BY_SIZE && bytes >= TEXT_MAPPED_FROM_BYTES);
}

/* Before anything is loaded; what is mapped needs no room. */
static enum err check_room(const struct text *t, struct fail *f) {
    const struct safetensors *file = &t->weights.file;
    int64_t each = t->dev->precision == PRECISION_F32 ? 4 : 2, n = 0;
    for (int i = 0; i < file->n_entries; i++)
        if (&file->entry[i] != t->table_entry)
            n += (int64_t)(file->entry[i].bytes / tensor_dtype_bytes(file->entry[i].dtype));
    return room_check((double)(n * each), room_free_on(t->dev), t->weights.folder, f);
}

static enum err map_files(struct text *t, struct fail *f) {
    enum err rc = ERR_OK;
    const struct safetensors *file = &t->weights.file;
    t->map = mem_take((size_t)file->n_shards, sizeof *t->map);
    if (!t->map) return FAIL(f, ERR_NOMEM, "no memory for the files of a text encoder");
    for (int i = 0; i < file->n_shards; i++)
        TRY(mapped_open(&t->map[i], &file->shard[i].file, file->shard[i].path, f));
out:
    return rc;
}

static struct tensor *matrix_at(struct text_layer *l, int which) {
    return (struct tensor *)((char *)l + matrix_rows[which].field);
}

/* Shapes are checked as ever; the data is the mapping's. */
static enum err bind_mapped(struct text *t, struct text_layer *l, const char *prefix,
                            const int64_t *sizes, struct fail *f) {
    enum err rc = ERR_OK;
    struct weight_row rows[COUNT_OF(matrix_rows)];
    char name[SAFETENSORS_NAME_MAX];
    memcpy(rows, matrix_rows, sizeof rows);
    for (int i = 0; i < COUNT_OF(rows); i++)
        rows[i].form = WEIGHT_STORED;
    TRY(weights_bind(&t->weights, l, prefix, rows, COUNT_OF(rows), sizes, f));
    for (int i = 0; i < COUNT_OF(rows); i++) {
        snprintf(name, sizeof name, "%s%s", prefix, rows[i].name);
        const struct safetensors_entry *e = weights_find(&t->weights, name);
        if (!e) continue; /* noted as a problem */
        /* A mapping is read only, and so is a weight. */
        matrix_at(l, i)->data = (char *)(uintptr_t)t->map[e->shard].data + e->offset;
    }
out:
    return rc;
}

static enum err bind_layer(struct text *t, struct text_layer *l, const char *prefix,
                           const int64_t *sizes, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(weights_bind(&t->weights, l, prefix, small_rows, COUNT_OF(small_rows), sizes, f));
    if (t->map)
        TRY(bind_mapped(t, l, prefix, sizes, f));
    else
        TRY(weights_bind(&t->weights, l, prefix, matrix_rows, COUNT_OF(matrix_rows), sizes, f));
    TRY(copy_buckets(t, l, f));
out:
    return rc;
}

static enum err bind(struct text *t, enum text_place place, struct fail *f) {
    const struct text_config *c = &t->config;
    int64_t sizes[SIZE_COUNT] = {c->vocab, c->d_model,   (int64_t)c->n_heads * c->d_kv,
                                 c->d_ff,  c->n_buckets, c->n_heads};
    enum err rc = ERR_OK;

    TRY(bind_table(t, sizes, f));
    TRY(can_map(t, place) ? map_files(t, f) : check_room(t, f));
    TRY(weights_take(&t->weights, &t->final_norm, "encoder.final_layer_norm.weight", WEIGHT_PLAIN,
                     1, &sizes[SIZE_MODEL], f));
    for (int i = 0; i < c->n_layers; i++) {
        char prefix[PREFIX_BYTES_MAX];
        snprintf(prefix, sizeof prefix, "encoder.block.%d.", i);
        TRY(bind_layer(t, &t->layer[i], prefix, sizes, f));
    }
    TRY(weights_finish(&t->weights, f));
out:
    return rc;
}

enum err text_open(struct text **out, struct device *dev, struct pool *pool, const char *folder,
                   enum text_place place, struct fail *f) {
    enum err rc = ERR_OK;
    struct text *t = mem_take(1, sizeof *t);

    *out = NULL;
    if (!t) return FAIL(f, ERR_NOMEM, "no memory for a text encoder");
    t->dev = dev;
    TRY(read_config(&t->config, folder, f));
    TRY(weights_open(&t->weights, dev, pool, folder, "model", f));
    TRY(names_to_ours(&t->weights.file, NAMES_TEXT, f));
    weights_ignore(&t->weights, "scaled_fp8"); /* packagers put these beside the weights */
    weights_ignore(&t->weights, "spiece_model");
    TRY(bind(t, place, f));
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
    for (int i = 0; t->map && i < t->weights.file.n_shards; i++)
        mapped_close(&t->map[i]);
    mem_free(t->map);
    weights_close(&t->weights);
    mem_free(t);
}

static void add_entry(struct sha256 *s, const struct safetensors_entry *e) {
    sha256_add(s, e->name, strlen(e->name) + 1);
    sha256_add(s, &e->dtype, sizeof e->dtype);
    sha256_add(s, &e->shard, sizeof e->shard);
    sha256_add(s, &e->offset, sizeof e->offset);
    sha256_add(s, e->dim, sizeof e->dim);
}

void text_identity(const struct text *t, unsigned char out[SHA256_BYTES]) {
    const struct text_config *c = &t->config;
    const int sizes[] = {c->vocab,     c->d_model,      c->d_kv,
                         c->d_ff,      c->n_layers,     c->n_heads,
                         c->n_buckets, c->max_distance, (int)t->dev->precision};
    const struct safetensors *file = &t->weights.file;
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, t->dev->ops->name, strlen(t->dev->ops->name) + 1);
    sha256_add(&s, sizes, sizeof sizes);
    sha256_add(&s, &c->eps, sizeof c->eps);
    for (int i = 0; i < file->n_shards; i++) {
        const struct file *on_disk = &file->shard[i].file;
        sha256_add(&s, &on_disk->size_bytes, sizeof on_disk->size_bytes);
        sha256_add(&s, &on_disk->changed_ns, sizeof on_disk->changed_ns);
    }
    for (int i = 0; i < file->n_entries; i++)
        add_entry(&s, &file->entry[i]);
    sha256_end(&s, out);
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

/* bias [heads,n,n] of one layer: entry (h,i,j) belongs to key j seen from query i. It depends on
 * j - i alone: every row is a piece of one line of 2n - 1 distances. */
static void fill_bias(const struct text_config *c, float *out, const float *buckets, int n) {
    float line[2 * TEXT_TOKENS_MAX];
    for (int h = 0; h < c->n_heads; h++) {
        for (int d = 1 - n; d < n; d++)
            line[d + n - 1] = buckets[(int64_t)text_bucket(c, d) * c->n_heads + h];
        for (int i = 0; i < n; i++)
            memcpy(out + ((int64_t)h * n + i) * n, line + (n - 1 - i), (size_t)n * sizeof *out);
    }
}

/* What one layer needs besides x. */
struct scratch {
    const struct text_ids *texts;
    int n_texts;
    struct tensor h, q, k, v, a; /* [n,d_model], [n,inner] x 4 */
    struct tensor gate, up;      /* [n,d_ff] */
    struct tensor bias;          /* [heads,n,n] of the longest text, on the device */
    float *host_bias;
    struct pool *pool;
};

static enum err take_scratch(const struct text *t, struct scratch *s, int64_t n, struct pool *pool,
                             struct fail *f) {
    const struct text_config *c = &t->config;
    struct tensor *wide[] = {&s->q, &s->k, &s->v, &s->a};
    int64_t longest = 0;
    enum err rc = ERR_OK;

    for (int i = 0; i < s->n_texts; i++)
        longest = s->texts[i].n > longest ? s->texts[i].n : longest;
    TRY(pool_take_2d(pool, &s->h, n, c->d_model, f));
    for (int i = 0; i < COUNT_OF(wide); i++)
        TRY(pool_take_2d(pool, wide[i], n, (int64_t)c->n_heads * c->d_kv, f));
    TRY(pool_take_2d(pool, &s->gate, n, c->d_ff, f));
    TRY(pool_take_2d(pool, &s->up, n, c->d_ff, f));
    TRY(pool_take(pool, &s->bias, DTYPE_F32, 3, (int64_t[]){c->n_heads, longest, longest}, f));
    s->host_bias = mem_take((size_t)tensor_count(&s->bias), sizeof *s->host_bias);
    if (!s->host_bias) rc = FAIL(f, ERR_NOMEM, "no memory for relative positions");
out:
    return rc;
}

/* Every text sees itself alone. */
static enum err attend(struct text *t, const struct text_layer *l, struct scratch *s,
                       struct fail *f) {
    enum err rc = ERR_OK;
    int64_t first = 0, heads = t->config.n_heads;
    for (int i = 0; i < s->n_texts; i++) {
        int64_t n = s->texts[i].n;
        struct tensor q = tensor_rows(&s->q, first, n), k = tensor_rows(&s->k, first, n);
        struct tensor v = tensor_rows(&s->v, first, n), a = tensor_rows(&s->a, first, n);
        struct tensor bias = tensor_of(s->bias.data, DTYPE_F32, 3, (int64_t[]){heads, n, n});
        struct attention_opts o = {.n_heads = (int)heads, .scale = 1.0f, .bias = &bias};
        fill_bias(&t->config, s->host_bias, l->bias, (int)n);
        op_upload(t->dev, &bias, s->host_bias);
        TRY(op_attention(t->dev, &a, &q, &k, &v, &o, f));
        first += n;
    }
out:
    return rc;
}

/* x [n,d_model] in place: x += o(attention(norm x)); x += wo(gelu(wi_0 h) * wi_1 h). */
static enum err run_layer(struct text *t, const struct text_layer *l, struct tensor *x,
                          struct scratch *s, struct fail *f) {
    struct device *dev = t->dev;
    struct norm_opts norm = {.kind = NORM_RMS, .eps = (float)t->config.eps, .w = &l->norm1};
    enum err rc = ERR_OK;

    TRY(op_norm(dev, &s->h, x, &norm, f));
    TRY(op_linear(dev, &s->q, &s->h, &l->q, NULL, ACT_NONE, f));
    TRY(op_linear(dev, &s->k, &s->h, &l->k, NULL, ACT_NONE, f));
    TRY(op_linear(dev, &s->v, &s->h, &l->v, NULL, ACT_NONE, f));
    TRY(attend(t, l, s, f));
    TRY(op_linear_add(dev, x, &s->a, &l->o, NULL, NULL, 0, f));
    norm.w = &l->norm2;
    TRY(op_norm(dev, &s->h, x, &norm, f));
    TRY(op_linear(dev, &s->gate, &s->h, &l->wi_0, NULL, ACT_GELU_TANH, f));
    TRY(op_linear(dev, &s->up, &s->h, &l->wi_1, NULL, ACT_NONE, f));
    TRY(op_mul(dev, &s->gate, &s->gate, &s->up, f));
    TRY(op_linear_add(dev, x, &s->gate, &l->wo, NULL, NULL, 0, f));
out:
    return rc;
}

/* rows [n,d_model] of the table. */
static enum err read_rows(struct text *t, float *rows, const struct text_ids *ids, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t d = t->config.d_model;
    for (int i = 0; i < ids->n; i++) {
        if (ids->id[i] < 0 || ids->id[i] >= t->config.vocab)
            TRY(FAIL(f, ERR_CORRUPT, "the tokenizer gave id %d, the text encoder has %d rows",
                     (int)ids->id[i], t->config.vocab));
        TRY(safetensors_read(&t->weights.file, t->table_entry, ids->id[i] * d, d, rows + i * d, f));
    }
out:
    return rc;
}

/* x [n of all texts,d_model]. */
static enum err embed(struct text *t, struct tensor *x, const struct scratch *s, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t at = 0;
    float *rows = mem_take((size_t)tensor_count(x), sizeof *rows);
    if (!rows) return FAIL(f, ERR_NOMEM, "no memory for %lld words", (long long)x->dim[0]);
    for (int i = 0; i < s->n_texts; at += s->texts[i++].n)
        TRY(read_rows(t, rows + at * t->config.d_model, &s->texts[i], f));
    op_upload(t->dev, x, rows);
out:
    mem_free(rows);
    return rc;
}

/* The layer with matrices that the device can read: what is mapped is copied to one that has a
 * memory of its own. */
static enum err bring(struct text *t, struct text_layer *out, const struct text_layer *l,
                      struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    *out = *l;
    for (int i = 0; t->map && !device_is_host(t->dev) && i < COUNT_OF(matrix_rows); i++) {
        struct tensor *m = matrix_at(out, i);
        const void *mapped = m->data;
        TRY(pool_take(pool, m, m->dtype, m->n_dims, m->dim, f));
        op_upload(t->dev, m, mapped);
    }
out:
    return rc;
}

/* What a layer will need is asked for, or what it has used goes. */
static void advise(struct text *t, int layer, void (*how)(const void *p, size_t n)) {
    for (int i = 0; t->map && layer < t->config.n_layers && i < COUNT_OF(matrix_rows); i++) {
        const struct tensor *m = matrix_at(&t->layer[layer], i);
        how(m->data, tensor_bytes(m));
    }
}

/* What was computed from files that changed meanwhile is worth nothing. */
static enum err check_files(struct text *t, struct fail *f) {
    enum err rc = ERR_OK;
    const struct safetensors *file = &t->weights.file;
    for (int i = 0; t->map && i < file->n_shards; i++)
        TRY(mapped_check(&t->map[i], file->shard[i].path, f));
    TRY(safetensors_check_unchanged(file, f));
out:
    return rc;
}

static enum err run_layers(struct text *t, struct tensor *x, struct scratch *s, struct fail *f) {
    enum err rc = ERR_OK;
    advise(t, 0, mapped_expect);
    for (int i = 0; i < t->config.n_layers; i++) {
        advise(t, i + 1, mapped_expect);
        if (t->on_layer) TRY(t->on_layer(t->ctx, i, f));
        struct pool_mark mark = pool_mark(s->pool);
        struct text_layer layer;
        rc = bring(t, &layer, &t->layer[i], s->pool, f);
        if (rc == ERR_OK) rc = run_layer(t, &layer, x, s, f);
        pool_rewind(s->pool, mark);
        advise(t, i, mapped_forget);
        TRY(rc);
    }
out:
    return rc;
}

enum err text_encode(struct text *t, struct tensor *out, const struct text_ids *texts, int n_texts,
                     struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(pool);
    struct norm_opts norm = {.kind = NORM_RMS, .eps = (float)t->config.eps, .w = &t->final_norm};
    struct scratch s = {.texts = texts, .n_texts = n_texts, .pool = pool};
    int64_t n = 0;
    struct tensor x;

    for (int i = 0; i < n_texts; i++) {
        ASSERT(texts[i].n >= 1);
        n += texts[i].n;
    }
    ASSERT(n >= 1 && n <= TEXT_TOKENS_MAX && out->dim[0] == n && out->dim[1] == t->config.d_model);
    TRY(check_files(t, f));
    TRY(pool_take_2d(pool, &x, n, t->config.d_model, f));
    TRY(embed(t, &x, &s, f));
    TRY(take_scratch(t, &s, n, pool, f));
    TRY(run_layers(t, &x, &s, f));
    TRY(op_norm(t->dev, out, &x, &norm, f));
    TRY(check_files(t, f));
out:
    mem_free(s.host_bias);
    pool_rewind(pool, mark);
    return rc;
}
