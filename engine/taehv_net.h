/* taehv_net.h - the layers of a tiny autoencoder (TAEHV) as lists, with their weights.
 *
 * One file holds encoder.N.* and decoder.N.*, N being places in a torch Sequential. What it is says
 * itself by its tensors: latent channels, patch (channels of the last layer are 3 patch^2), widths,
 * and the kind of decoder: "base" (blocks of three 3x3 convolutions, latents go through
 * 3 tanh(x/3)) or "super" (7x7 by channel, then two products; growing by shuffled pixels).
 * taehv.c walks the lists. Immutable after loading. */
#ifndef ENGINE_TAEHV_NET_H
#define ENGINE_TAEHV_NET_H

#include <stdbool.h>

#include "engine/weights.h"

enum { TAEHV_LAYERS_MAX = 32, TAEHV_STAGES = 3, TAEHV_BLOCKS = 3, TAEHV_FACTOR_T = 4 };

enum taehv_kind {
    TAEHV_CONV,    /* conv a, perhaps doubled pixels or stride 2, perhaps ReLU */
    TAEHV_BLOCK,   /* relu(conv c(relu(conv b(relu(conv a over x and the frame before))))) + x) */
    TAEHV_SUPER,   /* x + product b(relu(product a over by-channel(x) and by-channel(before))) */
    TAEHV_POOL,    /* `frames` frames become one */
    TAEHV_GROW,    /* one becomes `frames`, the earliest first */
    TAEHV_SHUFFLE, /* 4 C channels become 2x2 pixels */
    TAEHV_KIND_COUNT
};

struct taehv_layer {
    enum taehv_kind kind;
    int64_t c_in, c_out;
    int frames;
    int slot; /* of the frame before, in blocks */
    bool is_doubled, is_halved, has_relu;
    struct tensor a, a_b, b, b_b, c, c_b;
    struct tensor by_channel[2]; /* of x, of the frame before */
};

struct taehv_net {
    struct taehv_layer layer[TAEHV_LAYERS_MAX];
    int n_layers, n_slots;
    bool is_super;
};

struct taehv_shape {
    int64_t z_dim;
    int patch;
};

/* Both halves; problems with tensors are noted in `w` and come out of weights_finish(). */
MUST_CHECK enum err taehv_net_load(struct taehv_net *encoder, struct taehv_net *decoder,
                                   struct taehv_shape *shape, struct weights *w, struct fail *f);

#endif
