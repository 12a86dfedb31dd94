/* count.h - the arithmetic that a pass needs, from shapes alone; a multiplication and an addition
 * are two. What an implementation saves by cleverness is not taken off, what it wastes by padding
 * is not added. Norms, activations and other work that grows with rows only are left out. */
#ifndef TESTS_BENCH_COUNT_H
#define TESTS_BENCH_COUNT_H

#include "engine/dit.h"
#include "engine/text.h"
#include "engine/vae.h"

struct count {
    double linear, attention, conv;
};

double count_sum(const struct count *c);
/* One forward pass over n tokens; n_words rows of text, whose keys and values are made already. */
struct count count_dit(const struct dit *d, double n_tokens, double n_words);
/* Decoding or encoding a clip whose latent has this shape. */
struct count count_vae(const struct vae *v, enum vae_direction direction,
                       const struct vae_shape *latent);
struct count count_text(const struct text *t, double n_tokens);
/* Bytes of the bf16 weights that every text needs; of the table only single rows are read. */
double count_text_weights(const struct text *t);

#endif
