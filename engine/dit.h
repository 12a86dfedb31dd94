/* dit.h - WanTransformer3DModel: noisy latents, timesteps and text to a velocity.
 *
 * What else a model can be told is in `caps`, by the tensors that its files hold: channels behind
 * the latent's (Wan I2V), rows of pictures (Wan 2.1 I2V), a control volume (VACE).
 * Sizes come from config.json and are checked against the tensors. Timesteps are on the scale
 * 0..1000, one for all tokens or one per token (few distinct values; the time network runs once
 * for each). Works on the thread of its device. */
#ifndef ENGINE_DIT_H
#define ENGINE_DIT_H

#include "engine/dit_cache.h"
#include "engine/dit_image.h"
#include "engine/dit_vace.h"

enum { DIT_TIMES_MAX = 256 };

/* Weights that only a prompt or a picture goes through, once a job: the embedders and the keys and
 * values of the cross attention, a tenth of a model. Late ones stay in their files, and each job
 * reads them a block at a time; the numbers are the same. */
enum dit_late {
    DIT_LATE_BY_SIZE, /* when they are 128 MB or more */
    DIT_LATE_NEVER,
    DIT_LATE_ALWAYS
};

struct dit_opts {
    struct lora *lora; /* added to the weights; borrowed until dit_close(), with DIT_LATE_NEVER only
                          for the call. Or NULL */
    enum dit_late late;
};

/* Rows of the text encoder to rows that the blocks attend to. */
struct dit_text_net {
    struct tensor text_1, text_1b, text_2, text_2b;
};

struct dit {
    struct dit_config config;
    struct dit_caps caps;
    struct device *dev;
    float *wave; /* host [DIT_TIMES_MAX,freq_dim]: a pass allocates nothing */
    struct tensor patch, patch_b;
    struct tensor patch_extra; /* the columns of the extra channels */
    struct tensor time_1, time_1b, time_2, time_2b, time_proj, time_proj_b;
    struct tensor mod; /* [1,2,d] of the head */
    struct tensor out, out_b;
    struct dit_text_net text;
    struct dit_image_net image;
    char *folder;
    bool is_late;           /* text, image and what the blocks have of both have no data, and */
    struct weights weights; /* stay open for them */
    struct dit_vace *vace;  /* NULL without a control branch */
    struct dit_block block[DIT_CONFIG_LAYERS_MAX];
};

/* One prompt, ready for all steps: keys and values of its rows and of one row that stands for all
 * padding rows (they are equal; its logits get log of their number, which is exact). */
struct dit_text {
    struct dit_block_text block[DIT_CONFIG_LAYERS_MAX];
    struct dit_block_text vace[DIT_CONFIG_LAYERS_MAX]; /* of the control blocks */
    struct tensor key_bias;
    bool has_bias;
};

/* Pictures, ready for all steps and for both passes of guidance. */
struct dit_pictures {
    struct dit_block_text block[DIT_CONFIG_LAYERS_MAX];
};

/* The token grid of one canvas. */
struct dit_shape {
    int64_t T, H, W; /* tokens */
    struct tensor rope;
};

/* Timesteps of one forward pass: distinct values, and which one each token has. */
struct dit_times {
    int n;
    double value[DIT_TIMES_MAX];
    const struct tensor *index; /* device i32 [N], or NULL when n is 1 */
};

struct dit_input {
    const struct tensor *latent; /* [F,h,w,C] */
    const struct dit_times *times;
    const struct dit_text *text;
    const struct dit_shape *shape;
    /* What the caps ask for, else NULL: ERR_BUG when one is missing or too many. */
    const struct tensor *extra; /* [F,h,w,extra_channels], behind the channels of the latent */
    const struct dit_pictures *pictures;
    const struct dit_vace_control *control;
    struct dit_cache *cache; /* of the passes before this one, or NULL */
};

/* Weights go to `pool`; `o` may be NULL. The caller owns *out: dit_close(). Of two experts each has
 * a pool of its own where memory is short: close the one and free its pool, open the other. */
MUST_CHECK enum err dit_open(struct dit **out, struct device *dev, struct pool *pool,
                             const char *folder, const struct dit_opts *o, struct fail *f);
void dit_close(struct dit *d); /* NULL is fine; the weights stay with their pool */

/* rows [n,text_dim] in device memory, n_rows in all with padding (512). Result lives in `keep`,
 * scratch comes from `step`. ERR_CORRUPT when late weights were cut or written to meanwhile. */
MUST_CHECK enum err dit_text_make(struct dit *d, struct dit_text *out, const struct tensor *rows,
                                  int n_rows, struct pool *keep, struct pool *step, struct fail *f);
/* rows f32 [Ni,image_dim] of the image encoder, in device memory; otherwise as dit_text_make(). */
MUST_CHECK enum err dit_pictures_make(struct dit *d, struct dit_pictures *out,
                                      const struct tensor *rows, struct pool *keep,
                                      struct pool *step, struct fail *f);
/* F,h,w of the latent; ERR_INPUT when patches do not fit or positions run out. */
MUST_CHECK enum err dit_shape_make(struct dit *d, struct dit_shape *out, int64_t F, int64_t h,
                                   int64_t w, struct pool *keep, struct fail *f);
/* out [F,h,w,C]: the velocity, eps - x0. */
MUST_CHECK enum err dit_forward(struct dit *d, struct tensor *out, const struct dit_input *in,
                                struct pool *step, struct fail *f);
/* Bytes of device memory that positions and one forward pass of a latent [F,h,w] take. Floating
 * point, because it must also be an answer to sizes that are out of all reason. */
double dit_bytes(const struct dit *d, int64_t F, int64_t h, int64_t w);
/* Bytes that the words of one prompt keep; those of pictures. */
double dit_text_bytes(const struct dit *d, int64_t n_rows);
double dit_pictures_bytes(const struct dit *d, int64_t n_rows);
/* Sinusoid of a timestep, cosines first; dim is even. For tests. */
void dit_time_sinusoid(float *out, double t, int dim);

#endif
