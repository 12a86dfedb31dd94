/* flow.h - the velocity that a model and its words give to one canvas of latents.
 *
 * Host memory at the door, device memory inside. Knows the two experts, guidance and what the
 * canvas is conditioned with; knows no schedule. On the thread of the device. */
#ifndef ENGINE_FLOW_H
#define ENGINE_FLOW_H

#include "engine/dit.h"
#include "engine/guidance.h"

/* A transformer and what it makes of the words. */
struct flow_expert {
    struct dit *dit;
    const struct dit_text *words, *negative; /* negative may be NULL without guidance */
    const struct dit_pictures *pictures;     /* of a model that attends to some, else NULL */
};

struct flow_in;
/* Loads one of two experts and fills in->early or in->late; when the other had to go for it, its
 * dit becomes NULL. */
typedef enum err (*flow_fetch_fn)(void *ctx, struct flow_in *in, bool is_late, struct fail *f);

struct flow_in {
    /* One of them is there; for a dit that is NULL and wanted `fetch` is called. */
    struct flow_expert early, late;
    double boundary;     /* early works while t >= boundary, late below; 0: early for all */
    flow_fetch_fn fetch; /* NULL when nothing is missing */
    void *fetch_ctx;
    struct guidance guidance;
    double cache;       /* threshold of the first block cache; 0: without */
    int64_t L, h, w, C; /* of the latent */
    /* Host volumes of a model that reads them (its caps), else NULL. */
    const float *extra;   /* [L,h,w,extra_channels] */
    const float *control; /* [L,h,w,vace_channels] */
};

/* One that is there: the sizes are those of both. */
struct dit *flow_dit(const struct flow_in *in);

/* Where in the run a velocity is asked. */
struct flow_when {
    int step;
    double sigma, t;
    const double *token_t; /* [n_tokens] instead of t for each, or NULL */
    int64_t roll;          /* the model sees latent frame (i + roll) mod L as its frame i */
};

struct flow {
    struct flow_in in;
    struct device *dev;
    struct pool *step;
    int64_t n_values, n_tokens, frame_values;
    float *u; /* host */
    int32_t *index_host;
    struct tensor latent, velocity, index, extra, volume; /* device */
    struct dit_vace_control control;
    struct dit_shape shape;
    struct dit_times times;
    struct dit_cache cache[2]; /* with words, without; when in.cache is set */
    bool was_late;
};

/* Buffers come from `pool`, the scratch of a forward pass from `step`; the caller rewinds `pool`.
 * ERR_INPUT when the canvas does not fit the transformer. */
MUST_CHECK enum err flow_make(struct flow *fl, const struct flow_in *in, struct pool *pool,
                              struct pool *step, struct fail *f);
/* v [L,h,w,C] at x [L,h,w,C]. ERR_CORRUPT when the model gives numbers that are none. */
MUST_CHECK enum err flow_at(struct flow *fl, float *v, const float *x, const struct flow_when *when,
                            struct fail *f);
void flow_free(struct flow *fl); /* safe on a zeroed struct */
/* Bytes of device memory that a run of this latent takes, near enough to refuse one that is far too
 * large. */
double flow_bytes(const struct dit *d, int64_t L, int64_t h, int64_t w);

#endif
