/* text.h - the UMT5 encoder: ids of one text to one vector per id.
 *
 * Only real tokens are computed: padding is masked inside the network and replaced by zero rows
 * after it, so leaving it out is exact. Sizes come from config.json and are checked against the
 * tensors. The embedding table stays in its file, which stays open: rows are read when words ask
 * for them.
 *
 * A small encoder is loaded. Of a big one (TEXT_MAPPED_FROM_BYTES) the matrices stay in their files
 * too: they are mapped, every product reads its rows from there, the next layer is asked for early
 * and the last one leaves. So an encoder of any size takes the memory of two layers, and several
 * texts at once take one pass over the files. On the thread of its device. */
#ifndef ENGINE_TEXT_H
#define ENGINE_TEXT_H

#include "common/base/sha256.h"
#include "engine/json.h"
#include "engine/mapped.h"
#include "engine/weights.h"

enum {
    TEXT_LAYERS_MAX = 64,
    TEXT_TOKENS_MAX = 2048, /* of all texts of a call */
    TEXT_BUCKETS_MAX = 256,
    TEXT_MAPPED_FROM_BYTES = 256 << 20, /* of matrices in the files */
};

/* Where the matrices are. */
enum text_place { TEXT_BY_SIZE, TEXT_LOADED, TEXT_MAPPED };

/* text_encoder/config.json */
struct text_config {
    int vocab, d_model, d_kv, d_ff, n_layers, n_heads;
    int n_buckets, max_distance; /* of the relative positions */
    double eps;
    char act[JSON_TEXT_MAX]; /* feed_forward_proj; only "gated-gelu" */
};

struct text_layer {
    struct tensor norm1, q, k, v, o;
    struct tensor buckets; /* [n_buckets, heads]: every layer has its own, unlike T5 */
    struct tensor norm2, wi_0, wi_1, wo;
    float *bias; /* host copy of `buckets`, [n_buckets * heads] */
};

/* Anything but ERR_OK ends the encoding and is handed on. */
typedef enum err (*text_layer_fn)(void *ctx, int layer, struct fail *f);

struct text {
    struct text_config config;
    text_layer_fn on_layer; /* asked before every layer; NULL, or set by the owner */
    void *ctx;
    struct device *dev;
    struct weights weights; /* open as long as rows are read from the table */
    struct mapped *map;     /* one for each shard, or NULL: matrices are loaded */
    struct tensor table;    /* [vocab, d_model], shape only */
    const struct safetensors_entry *table_entry;
    struct tensor final_norm;
    struct text_layer layer[TEXT_LAYERS_MAX];
};

/* Reads `folder`/config.json and the weights, which go to `pool` if they are loaded. TEXT_MAPPED is
 * a wish: files whose numbers are no f32, bf16 or f16, or lie at odd addresses, are loaded. The
 * caller owns *out: text_close(). A folder that does not fit fails with file, tensor and both
 * shapes. */
MUST_CHECK enum err text_open(struct text **out, struct device *dev, struct pool *pool,
                              const char *folder, enum text_place place, struct fail *f);
void text_close(struct text *t); /* NULL is allowed; call before the pool is freed */

/* Ids of one text from tokenizer_encode(), `</s>` included. */
struct text_ids {
    const int32_t *id;
    int n;
};

/* out [n ids of all texts, d_model] f32 is the caller's: the rows of the first text, then those of
 * the next. Scratch comes from `pool`, which is back where it was afterwards. ERR_CORRUPT when an
 * id is outside the table, because tokenizer and encoder do not belong together, or when a file was
 * cut or written to. */
MUST_CHECK enum err text_encode(struct text *t, struct tensor *out, const struct text_ids *texts,
                                int n_texts, struct pool *pool, struct fail *f);

/* What tells this encoder from any other, and its numbers from those of another device: for caches.
 * Files count by size, time and header. */
void text_identity(const struct text *t, unsigned char out[SHA256_BYTES]);

/* Bucket of the distance key - query, as the model was trained with. */
int text_bucket(const struct text_config *c, int distance);

#endif
