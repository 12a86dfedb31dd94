/* text.h - the UMT5 encoder: ids of one text to one vector per id.
 *
 * Only real tokens are computed: padding is masked inside the network and replaced by zero rows
 * after it, so leaving it out is exact. Sizes come from config.json and are checked against the
 * tensors. The embedding table stays in its file, which stays open: rows are read when words ask
 * for them. On the thread of its device. */
#ifndef ENGINE_TEXT_H
#define ENGINE_TEXT_H

#include "engine/json.h"
#include "engine/weights.h"

enum { TEXT_LAYERS_MAX = 64, TEXT_TOKENS_MAX = 1024, TEXT_BUCKETS_MAX = 256 };

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

struct text {
    struct text_config config;
    struct device *dev;
    struct weights weights; /* open as long as rows are read from the table */
    struct tensor table;    /* [vocab, d_model], shape only */
    const struct safetensors_entry *table_entry;
    struct tensor final_norm;
    struct text_layer layer[TEXT_LAYERS_MAX];
};

/* Reads `folder`/config.json and the weights, which go to `pool`. The caller owns *out:
 * text_close(). A folder that does not fit fails with file, tensor and both shapes. */
MUST_CHECK enum err text_open(struct text **out, struct device *dev, struct pool *pool,
                              const char *folder, struct fail *f);
void text_close(struct text *t); /* NULL is allowed; call before the pool is freed */
/* out [n, d_model] is the caller's; ids from tokenizer_encode(), `</s>` included. Scratch comes
 * from `pool`, which is back where it was afterwards. ERR_CORRUPT when an id is outside the table,
 * because tokenizer and encoder do not belong together, or when the file was written to. */
MUST_CHECK enum err text_encode(struct text *t, struct tensor *out, const int32_t *ids, int n,
                                struct pool *pool, struct fail *f);

/* Bucket of the distance key - query, as the model was trained with. */
int text_bucket(const struct text_config *c, int distance);

#endif
