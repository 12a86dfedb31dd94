/* dit_block.h - one transformer block. Holds weights by reference, makes no lasting memory.
 *
 *   M = scale_shift_table + time projection, rows: shift, scale, gate (attention); the same (ffn)
 *   x += gate * self_attention(norm(x) * (1 + scale) + shift)
 *   x += cross_attention(norm(x; affine), text [, image])
 *   x += gate * ffn(norm(x) * (1 + scale) + shift) */
#ifndef ENGINE_DIT_BLOCK_H
#define ENGINE_DIT_BLOCK_H

#include "engine/dit_config.h"
#include "engine/weights.h"

enum { DIT_BLOCK_MOD_ROWS = 6 };

struct dit_block_attention {
    struct tensor q, q_b, k, k_b, v, v_b, out, out_b;
    struct tensor norm_q, norm_k; /* over all heads together */
    /* Of the rows of pictures, of models that have them (Wan 2.1 I2V); else no data. */
    struct tensor add_k, add_k_b, add_v, add_v_b, norm_add_k;
};

struct dit_block {
    struct dit_block_attention self, cross;
    struct tensor cross_norm, cross_norm_b; /* named norm2 in the file */
    struct tensor up, up_b, down, down_b;   /* ffn */
    struct tensor mod;                      /* [1,6,d] */
};

/* Keys and values of the text, or of pictures, for one block: made once per prompt. */
struct dit_block_text {
    struct tensor k, v; /* [Nk,d] */
};

/* What all blocks of one forward pass share. */
struct dit_block_pass {
    const struct dit_config *config;
    const struct tensor *time;     /* [R,6,d], one set per distinct timestep */
    const struct tensor *index;    /* [N] i32: the set of a token; NULL = set 0 */
    const struct tensor *rope;     /* [N,D] */
    const struct tensor *key_bias; /* [Nk] of the text rows */
    struct pool *step;             /* scratch; is back where it was after each block */
};

MUST_CHECK enum err dit_block_bind(struct dit_block *b, struct weights *w, const char *prefix,
                                   const struct dit_config *c, struct fail *f);
/* text [Nk,d] (after the text embedder) -> out->k, out->v, which the caller has taken. */
MUST_CHECK enum err dit_block_text_fill(const struct dit_block *b, struct device *dev,
                                        struct dit_block_text *out, const struct tensor *text,
                                        const struct dit_config *c, struct fail *f);
/* The same of rows [Ni,d] of pictures (after the image embedder). */
MUST_CHECK enum err dit_block_image_fill(const struct dit_block *b, struct device *dev,
                                         struct dit_block_text *out, const struct tensor *image,
                                         const struct dit_config *c, struct fail *f);
/* x [N,d] in place. `image` is NULL where the model has no rows of pictures. */
MUST_CHECK enum err dit_block_forward(const struct dit_block *b, struct device *dev,
                                      struct tensor *x, const struct dit_block_text *text,
                                      const struct dit_block_text *image,
                                      const struct dit_block_pass *pass, struct fail *f);
/* out [R,M,d] = table [1,M,d] + time [R,M,d]; time [R,1,d] is added to every row. */
MUST_CHECK enum err dit_block_add_mod(struct device *dev, struct tensor *out,
                                      const struct tensor *table, const struct tensor *time,
                                      struct fail *f);

#endif
