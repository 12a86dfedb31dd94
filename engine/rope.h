/* rope.h - rotary positions of the tokens of a volume. Pure arithmetic on the host.
 *
 * A head of D channels is split into time, height and width: height and width get 2*(D/6) each,
 * time the rest, in this order. Every axis starts its own row of frequencies. Pairs are
 * neighbours (2j, 2j+1), positions are plain indices of latent frame, token row, token column. */
#ifndef ENGINE_ROPE_H
#define ENGINE_ROPE_H

#include <stdint.h>

struct rope_shape {
    int64_t T, H, W; /* tokens; f slowest, w fastest */
    int64_t D;       /* channels of a head, even */
};

/* out [T*H*W, D]: cos, sin by turns, as op_rope wants them. */
void rope_fill(float *out, const struct rope_shape *s);

#endif
