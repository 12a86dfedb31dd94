/* vae_net.h - the layers of one half of AutoencoderKLWan as a list, with their weights.
 *
 * Both styles of the class become the same list of the same kinds; only the names of tensors and
 * the shortcuts around whole blocks differ (config.is_residual):
 *   2.1  flat names, no block shortcuts, the upsampler halves the channels
 *   2.2  nested names, AvgDown / DupUp around every block, pixels in 2x2 patches
 * vae_run.c walks the list. Immutable after loading. */
#ifndef ENGINE_VAE_NET_H
#define ENGINE_VAE_NET_H

#include <stdbool.h>

#include "engine/json.h"
#include "engine/weights.h"

enum {
    VAE_LEVELS_MAX = 6,
    VAE_RES_BLOCKS_MAX = 8,
    VAE_LAYERS_MAX = 96,
    VAE_SLOTS_MAX = 160,
};

/* vae/config.json; names as there where they say what they mean. */
struct vae_config {
    int base_dim, decoder_base_dim; /* channels at full resolution */
    int z_dim, n_res_blocks;
    int in_channels, out_channels; /* after patchify: 3 * patch^2 */
    int patch;
    int factor_s, factor_t; /* pixels per latent column, frames per latent after the first */
    bool is_residual;
    struct json_ints dim_mult;  /* channels of each level over base_dim */
    struct json_ints time_down; /* 1 where the sampler after a level halves time too */
    struct json_ints attn_scales;
    struct json_reals mean, std; /* of latents, z_dim entries */
};

enum vae_kind {
    VAE_CONV,      /* causal 3x3x3 */
    VAE_RES,       /* x + conv2(silu(norm2(conv1(silu(norm1 x))))), 1x1x1 on x if widths differ */
    VAE_ATTENTION, /* x + proj(attention(norm x)), one head, frame by frame */
    VAE_DOWN,      /* 3x3 conv with stride 2, then perhaps a conv of stride 2 in time */
    VAE_UP,        /* perhaps time doubled by a conv, then nearest x2 and a 3x3 conv */
    VAE_HEAD,      /* silu(norm), causal 3x3x3 */
    VAE_KEEP,      /* remembers x for the shortcut that closes the block */
    VAE_AVG_DOWN,  /* x += averages of what was kept */
    VAE_DUP_UP,    /* x += copies of what was kept */
    VAE_KIND_COUNT
};

struct vae_layer {
    enum vae_kind kind;
    int c_in, c_out;
    int ft, fs;    /* factors in time and space of samplers and shortcuts */
    int slot;      /* first of its caches */
    bool is_split; /* the frames after it go on one by one */
    struct tensor norm1, norm2;
    struct tensor conv1, conv1_b; /* of an attention: bias of q|k|v; of a sampler: the 3x3 */
    struct tensor conv2, conv2_b; /* of an attention: proj; of a sampler: the conv in time */
    struct tensor qkv[3];         /* of an attention: q, k, v */
    struct tensor side, side_b;   /* 1x1x1 of a residual block */
};

struct vae_net {
    struct vae_layer layer[VAE_LAYERS_MAX];
    int n_layers;
    int n_slots;   /* caches that a pass needs */
    int n_singles; /* so many layers from the first on may see each frame alone */
};

/* Read and checked; `path` names the folder. Fails with ERR_CORRUPT or ERR_UNSUPPORTED. */
MUST_CHECK enum err vae_net_config(struct vae_config *c, const char *folder, struct fail *f);
/* List and weights of `encoder.` or `decoder.`. Problems with tensors are noted in `w` and come
 * out of weights_finish(). */
MUST_CHECK enum err vae_net_encoder(struct vae_net *net, const struct vae_config *c,
                                    struct weights *w, struct fail *f);
MUST_CHECK enum err vae_net_decoder(struct vae_net *net, const struct vae_config *c,
                                    struct weights *w, struct fail *f);

#endif
