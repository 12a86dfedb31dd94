/* The words of a job: cleaned, cut into pieces, and, if they were not encoded before, through the
 * text encoder. */
#include "common/base/buf.h"
#include "engine/engine_own.h"
#include "engine/text_clean.h"

enum { N_TEXTS = 2 };

/* One text on its way. */
struct words {
    struct tokenizer_ids ids;
    struct tensor *rows; /* where they go: the caller's */
};

static enum err tokenize(struct engine *e, struct words *w, const char *prompt, struct fail *f) {
    enum err rc = ERR_OK;
    struct buf clean;
    buf_make(&clean, TOKENIZER_TEXT_BYTES_MAX);
    TRY(text_clean(&clean, str_of(prompt ? prompt : ""), f));
    TRY(tokenizer_encode(e->tokenizer, &w->ids, (struct str){buf_str(&clean), clean.len},
                         ENGINE_TEXT_ROWS, f));
    if (w->ids.was_cut) engine_say(e, "prompt.cut", "the prompt is longer than the model reads");
    int64_t dims[] = {w->ids.n, e->text->config.d_model};
    TRY(pool_take(&e->host, w->rows, DTYPE_F32, 2, dims, f));
out:
    buf_free(&clean);
    return rc;
}

static enum err on_layer(void *ctx, int layer, struct fail *f) {
    struct engine *e = ctx;
    (void)layer;
    if (e->hooks.is_cancelled && e->hooks.is_cancelled(e->hooks.ctx))
        return FAIL(f, ERR_CANCELLED, "cancelled");
    return ERR_OK;
}

/* Weights that are no numbers make rows that are none. */
static enum err check_rows(const struct engine *e, const struct tensor *rows, struct fail *f) {
    float sum = 0;
    for (int64_t i = 0, n = tensor_count(rows); i < n; i++)
        sum += ((const float *)rows->data)[i] * 0.0f;
    if (sum == 0.0f) return ERR_OK;
    return FAIL(f, ERR_CORRUPT,
                "%.160s/text_encoder made rows that are not numbers: its weights are damaged",
                e->folder.path);
}

/* Texts go through together when that changes no byte: products of rows in bf16 or f16 sum every
 * element alone, those of OpenBLAS do not. */
static bool may_join(const struct engine *e) {
    return e->text->map && e->text->layer[0].q.dtype != DTYPE_F32;
}

static enum err encode(struct engine *e, struct words *const *texts, int n, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->step);
    struct text_ids ids[N_TEXTS];
    struct tensor rows;
    int64_t n_rows = 0, first = 0;
    for (int i = 0; i < n; i++) {
        ids[i] = (struct text_ids){texts[i]->ids.id, texts[i]->ids.n};
        n_rows += ids[i].n;
    }
    TRY(pool_take_2d(&e->step, &rows, n_rows, e->text->config.d_model, f));
    e->text->on_layer = on_layer;
    e->text->ctx = e;
    TRY(text_encode(e->text, &rows, ids, n, &e->step, f));
    for (int i = 0; i < n; first += ids[i++].n) {
        struct tensor part = tensor_rows(&rows, first, ids[i].n);
        op_download(&e->dev, texts[i]->rows->data, &part);
        TRY(op_check(&e->dev, f));
        TRY(check_rows(e, texts[i]->rows, f));
    }
out:
    pool_rewind(&e->step, mark);
    return rc;
}

static struct embed_cache_key key_of(const struct engine *e, const struct words *w) {
    return embed_cache_key(e->text_id, w->ids.id, w->ids.n);
}

static bool find(struct engine *e, struct words *w) {
    struct embed_cache_key key = key_of(e, w);
    return embed_cache_find(&e->cache, &key, w->ids.n, (int)w->rows->dim[1], w->rows->data);
}

static void keep(struct engine *e, const struct words *w) {
    struct fail f = {0};
    struct embed_cache_key key = key_of(e, w);
    if (embed_cache_add(&e->cache, &key, w->ids.n, (int)w->rows->dim[1], w->rows->data, &f) !=
        ERR_OK)
        engine_say(e, "embed.cache", f.text);
}

void engine_text_open_cache(struct engine *e, const char *folder) {
    struct fail f = {0};
    text_identity(e->text, e->text_id);
    if (embed_cache_open(&e->cache, folder, 0, &f) != ERR_OK) engine_say(e, "embed.cache", f.text);
}

static enum err encode_all(struct engine *e, struct words *const *texts, int n, struct fail *f) {
    enum err rc = ERR_OK;
    int each = may_join(e) ? n : 1;
    for (int i = 0; i < n; i += each)
        TRY(encode(e, texts + i, each, f));
    for (int i = 0; i < n; i++)
        keep(e, texts[i]);
out:
    return rc;
}

enum err engine_text_rows(struct engine *e, struct engine_words *words, const char *prompt,
                          const char *negative, struct fail *f) {
    enum err rc = ERR_OK;
    struct words texts[N_TEXTS] = {{.rows = &words->rows}, {.rows = &words->negative_rows}};
    struct words *missing[N_TEXTS];
    int n_missing = 0;
    TRY(tokenize(e, &texts[0], prompt, f));
    TRY(tokenize(e, &texts[1], negative, f));
    for (int i = 0; i < N_TEXTS; i++)
        if (!find(e, &texts[i])) missing[n_missing++] = &texts[i];
    if (n_missing > 0) TRY(encode_all(e, missing, n_missing, f));
out:
    for (int i = 0; i < N_TEXTS; i++)
        tokenizer_ids_free(&texts[i].ids);
    return rc;
}
