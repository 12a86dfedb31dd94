#include "engine/cpu/cpu_attention.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"

/* A dozen rows of scores and weights stay near the first-level cache, the keys and values of a
 * block in the second-level one. Packed heads beyond PACKED_MAX are packed when it is their turn.
 * How queries are cut does not change what is computed for each. */
enum {
    KEYS_MAX = 384,
    QUERIES_MAX = 192,
    PACK_KEYS = 128,
    PACKED_MAX = 24 << 20,
    TILES_PER_THREAD = 8
};

static const struct cpu_attention_kind *const kinds[] = {
#if defined(__x86_64__)
    &cpu_attention_bf16,
    &cpu_attention_avx512,
    &cpu_attention_avx2,
#endif
    &cpu_attention_base,
};

/* One call. Sizes count numbers unless they say words. */
struct job {
    struct cpu_pool *pool;
    struct tensor *out;
    const struct tensor *q, *k, *v;
    const struct attention_opts *o;
    const struct cpu_tile_kind *tile;
    const struct cpu_attention_kind *kind;
    int64_t heads, D, C, nq, nk;
    int64_t d_words, nk_words;      /* of a query, of a column of values */
    int64_t keys;                   /* nk in whole narrow panels */
    int64_t key_words, value_words; /* packed, of one head */
    int64_t first_head, n_heads;    /* packed now */
    int64_t queries, n_blocks;      /* of a tile */
    int64_t block;                  /* keys at a time */
    float scale;
    uint32_t *packed; /* per head keys, then values */
    float *key_bias;  /* [keys] in the unit of the kind */
};

/* Scratch of one thread. */
struct room {
    uint32_t *query, *weight; /* [queries, d_words], [rows, block words] */
    float *score, *sum;       /* [rows, block], [queries, D in whole panels] */
    float top[QUERIES_MAX], total[QUERIES_MAX], keep[QUERIES_MAX];
};

static int64_t up(int64_t n, int64_t unit) {
    return (n + unit - 1) / unit * unit;
}

static struct cpu_attention_source head_of(const struct tensor *t, const struct job *j,
                                           int64_t head) {
    return (struct cpu_attention_source){
        .data = (const char *)t->data + (size_t)(head * j->D) * tensor_dtype_bytes(t->dtype),
        .dtype = t->dtype,
        .stride = j->C,
        .D = j->D,
        .n_rows = tensor_n_rows(t)};
}

static uint32_t *packed_keys(const struct job *j, int64_t head) {
    return j->packed + (head - j->first_head) * (j->key_words + j->value_words);
}

/* Panels of keys and words of values for PACK_KEYS keys of a head. */
static void pack_tile(void *ctx, int64_t number, int thread) {
    const struct job *j = ctx;
    (void)thread;
    int64_t n_parts = (j->keys + PACK_KEYS - 1) / PACK_KEYS;
    int64_t head = j->first_head + number / n_parts, first = number % n_parts * PACK_KEYS;
    int64_t n = j->keys - first < PACK_KEYS ? j->keys - first : PACK_KEYS, group = j->kind->group;
    struct cpu_attention_source k = head_of(j->k, j, head), v = head_of(j->v, j, head);
    uint32_t *keys = packed_keys(j, head), *values = keys + j->key_words;
    for (int64_t key = first; key < first + n; key += j->tile->wide)
        j->kind->keys(keys + key * j->d_words, &k, key,
                      cpu_tile_panel(j->tile, j->nk, key / j->tile->wide));
    for (int64_t c = 0; c < j->D; c += j->tile->wide) {
        int64_t wide = cpu_tile_panel(j->tile, j->D, c / j->tile->wide);
        j->kind->values(values + c * j->nk_words + first / group * wide, &v, first, n, c, wide);
    }
}

/* One dozen of queries and one block of keys: scores, weights, and what they add to the sums. */
static void attend_rows(const struct job *j, struct room *r, int64_t head, int64_t query,
                        int64_t row, int64_t n, int64_t key) {
    int64_t n_keys = j->keys - key < j->block ? j->keys - key : j->block;
    int64_t wide = j->tile->wide, group = j->kind->group;
    uint32_t *keys = packed_keys(j, head), *values = keys + j->key_words;
    struct cpu_tile_tap tap = {.x = r->query + row * j->d_words};
    struct cpu_tile t = {
        .tap = &tap, .n_taps = 1, .run = j->d_words, .stride = j->d_words, .is_first = true};
    for (int64_t at = key; at < key + n_keys; at += wide) {
        bool is_narrow = cpu_tile_panel(j->tile, j->nk, at / wide) != wide;
        tap.w = keys + at * j->d_words;
        t.sum = r->score + (at - key) * n;
        j->tile->run[is_narrow](&t, n);
    }
    const struct tensor *bias = j->o->bias;
    bool is_plain = !bias && !j->o->key_bias && key + n_keys <= j->nk && j->scale > 0;
    struct cpu_attention_soft soft = {.score = r->score,
                                      .weight = r->weight,
                                      .n_rows = n,
                                      .n_keys = n_keys,
                                      .stride = j->block / group,
                                      .scale = j->scale,
                                      .key_bias = is_plain ? NULL : j->key_bias + key,
                                      .bias_stride = j->nk,
                                      .n_bias = j->nk - key,
                                      .bias_by = j->kind->log_unit,
                                      .top = r->top + row,
                                      .sum = r->total + row,
                                      .keep = r->keep + row};
    if (bias) soft.bias = (const float *)bias->data + (head * j->nq + query + row) * j->nk + key;
    j->kind->soften(&soft);
    int64_t columns = up(j->D, j->tile->narrow);
    t = (struct cpu_tile){.tap = &tap,
                          .n_taps = 1,
                          .run = n_keys / group,
                          .stride = j->block / group,
                          .is_first = key == 0};
    tap.x = r->weight;
    for (int64_t c = 0; c < j->D; c += wide) {
        int64_t panel = cpu_tile_panel(j->tile, j->D, c / wide);
        tap.w = values + c * j->nk_words + key / group * panel;
        t.sum = r->sum + row * columns + c * n;
        if (key > 0) j->kind->fade(t.sum, r->keep + row, n, panel);
        j->tile->run[panel != wide](&t, n);
    }
}

static void finish_rows(const struct job *j, const struct room *r, int64_t head, int64_t query,
                        int64_t row, int64_t n) {
    int64_t columns = up(j->D, j->tile->narrow);
    size_t size = tensor_dtype_bytes(j->out->dtype);
    for (int64_t i = 0; i < n; i++) {
        char *out = (char *)j->out->data + (size_t)((query + row + i) * j->C + head * j->D) * size;
        for (int64_t c = 0; c < j->D; c += j->tile->wide) {
            int64_t panel = cpu_tile_panel(j->tile, j->D, c / j->tile->wide);
            j->kind->finish(out + (size_t)c * size, j->out->dtype,
                            r->sum + row * columns + c * n + i * panel, 1.0f / r->total[row + i],
                            j->D - c < panel ? j->D - c : panel);
        }
    }
}

/* Cuts the scratch of a thread; gives the words it takes, also when there is none yet (NULL). */
static int64_t make_room(struct room *r, const struct job *j, float *memory) {
    int64_t rows = j->tile->n_pixels_max, at[5] = {0};
    at[1] = at[0] + up(j->queries * j->d_words, 16);
    at[2] = at[1] + up(rows * j->block / j->kind->group, 16);
    at[3] = at[2] + up(rows * j->block, 16);
    at[4] = at[3] + up(j->queries * up(j->D, j->tile->narrow), 16);
    if (!r) return at[4];
    r->query = (uint32_t *)memory;
    r->weight = (uint32_t *)memory + at[1];
    r->score = memory + at[2];
    r->sum = memory + at[3];
    return at[4];
}

static void attend_tile(void *ctx, int64_t number, int thread) {
    const struct job *j = ctx;
    int64_t head = j->first_head + number / j->n_blocks;
    int64_t query = number % j->n_blocks * j->queries, rows = j->tile->n_pixels_max;
    int64_t n = j->nq - query < j->queries ? j->nq - query : j->queries;
    struct cpu_attention_source q = head_of(j->q, j, head);
    struct room r;
    make_room(&r, j, cpu_pool_scratch(j->pool, thread));
    j->kind->copy(r.query, &q, query, n);
    for (int64_t i = 0; i < n; i++)
        r.top[i] = -INFINITY, r.total[i] = 0;
    for (int64_t key = 0; key < j->nk; key += j->block)
        for (int64_t row = 0; row < n; row += rows)
            attend_rows(j, &r, head, query, row, n - row < rows ? n - row : rows, key);
    for (int64_t row = 0; row < n; row += rows)
        finish_rows(j, &r, head, query, row, n - row < rows ? n - row : rows);
}

static void fill_key_bias(struct job *j) {
    const struct tensor *bias = j->o->key_bias;
    for (int64_t i = 0; i < j->keys; i++)
        if (i >= j->nk)
            j->key_bias[i] = -INFINITY;
        else
            j->key_bias[i] = bias ? ((const float *)bias->data)[i] * j->kind->log_unit : 0.0f;
}

static struct cpu_attention_kernel kernel(enum dtype dtype, enum cpu_isa isa) {
    struct cpu_attention_kernel k = {.tile = cpu_tile_find(dtype, isa)};
    for (int i = 0; k.tile && i < COUNT_OF(kinds); i++)
        if (strcmp(kinds[i]->name, k.tile->name) == 0) k.kind = kinds[i];
    return k;
}

void cpu_attention_open(struct cpu_attention *a, struct cpu_pool *pool, enum cpu_isa isa) {
    a->pool = pool;
    a->plain = kernel(DTYPE_F32, isa);
    a->half = kernel(DTYPE_BF16, isa);
    if (!a->half.tile) a->half = a->plain;
}

/* n cut into equal parts of at most `most`, each a multiple of `unit`. */
static int64_t part(int64_t n, int64_t most, int64_t unit) {
    int64_t n_parts = (n + most - 1) / most;
    return up((n + n_parts - 1) / n_parts, unit);
}

static void plan(struct job *j) {
    j->heads = j->o->n_heads, j->C = tensor_n_cols(j->q), j->D = j->C / j->heads;
    j->nq = tensor_n_rows(j->q), j->nk = tensor_n_rows(j->k);
    int64_t group = j->kind->group, rows = j->tile->n_pixels_max;
    j->keys = up(j->nk, j->tile->narrow);
    j->d_words = (j->D + group - 1) / group, j->nk_words = j->keys / group;
    j->key_words = j->keys * j->d_words;
    j->value_words = up(j->D, j->tile->narrow) * j->nk_words;
    int64_t queries = QUERIES_MAX, enough = TILES_PER_THREAD * cpu_pool_n_threads(j->pool);
    do {
        j->queries = part(j->nq, queries / rows * rows, rows);
        j->n_blocks = (j->nq + j->queries - 1) / j->queries;
        queries /= 2;
    } while (j->n_blocks * j->heads < enough && queries >= 2 * rows);
    j->block = part(j->keys, KEYS_MAX, j->tile->wide);
    int64_t at_once = PACKED_MAX / 4 / (j->key_words + j->value_words);
    j->n_heads = at_once < 1 ? 1 : at_once < j->heads ? at_once : j->heads;
    float scale = j->o->scale != 0.0f ? j->o->scale : (float)(1 / sqrt((double)j->D));
    j->scale = scale * j->kind->log_unit;
}

enum err cpu_attention_run(const struct cpu_attention *a, struct tensor *out,
                           const struct tensor *q, const struct tensor *k, const struct tensor *v,
                           const struct attention_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    const struct cpu_attention_kernel *by = q->dtype == DTYPE_BF16 ? &a->half : &a->plain;
    struct job j = {.pool = a->pool, .out = out, .q = q, .k = k, .v = v, .o = o};
    j.tile = by->tile, j.kind = by->kind;
    if (tensor_count(q) == 0) return ERR_OK;
    plan(&j);
    size_t head_bytes = (size_t)(j.key_words + j.value_words) * 4;
    TRY(cpu_pool_reserve(j.pool, (size_t)make_room(NULL, &j, NULL) * 4, f));
    TRY(cpu_pool_reserve_shared(j.pool, (size_t)up(j.keys, 16) * 4 + (size_t)j.n_heads * head_bytes,
                                f));
    j.key_bias = cpu_pool_shared(j.pool);
    j.packed = (uint32_t *)j.key_bias + up(j.keys, 16);
    fill_key_bias(&j);
    int64_t n_parts = (j.keys + PACK_KEYS - 1) / PACK_KEYS, n_heads = j.n_heads;
    for (; j.first_head < j.heads; j.first_head += n_heads) {
        int64_t n = j.heads - j.first_head < n_heads ? j.heads - j.first_head : n_heads;
        cpu_pool_run(j.pool, n * n_parts, pack_tile, &j);
        cpu_pool_run(j.pool, n * j.n_blocks, attend_tile, &j);
    }
out:
    return rc;
}
