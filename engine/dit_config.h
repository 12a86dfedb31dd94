/* dit_config.h - the sizes of a WanTransformer3DModel, from its config.json, and what it can be
 * conditioned with, from the tensors that are there (configs of mirrors name parts that the files
 * do not hold). Keys of the original repository (dim, num_heads, in_dim, out_dim) are read too. */
#ifndef ENGINE_DIT_CONFIG_H
#define ENGINE_DIT_CONFIG_H

#include "engine/json.h"
#include "engine/weights.h"

enum { DIT_CONFIG_LAYERS_MAX = 128, DIT_CONFIG_BYTES_MAX = 1 << 20 };

struct dit_config {
    struct json_ints patch_size; /* frames, rows, columns */
    int n_heads, head_dim, n_layers;
    int in_channels, out_channels; /* what is denoised has out_channels, in the input too */
    int text_dim, freq_dim, ffn_dim;
    int rope_max; /* positions per axis */
    double eps;
    bool has_cross_norm;
    char qk_norm[JSON_TEXT_MAX];
    int width;                    /* said by original configs only, or 0 */
    struct json_ints vace_layers; /* read only where there are tensors for them */
};

/* Ways of conditioning beside words and a timestep per token. */
struct dit_caps {
    int extra_channels; /* read behind the latent's: 20 = mask 4 + picture 16 (Wan I2V); 0 none */
    int image_dim;      /* width of the image encoder's rows that it attends to; 0 none */
    int image_rows;     /* how many of them, when the model has positions for them: 514 = first and
                           last picture; 0 any number */
    int vace_channels;  /* of the control volume: 96 = inactive 16, reactive 16, mask 64; 0 none */
    int n_vace;         /* blocks that read it */
};

/* ERR_CORRUPT when a value is missing or out of range, ERR_UNSUPPORTED for what we cannot run. */
MUST_CHECK enum err dit_config_read(struct dit_config *c, const char *folder, struct fail *f);
int dit_config_width(const struct dit_config *c); /* heads x channels of a head */
/* By presence and shape; c->vace_layers gets the layers of the control blocks when config.json does
 * not say them. ERR_CORRUPT when they do not fit each other. */
MUST_CHECK enum err dit_config_caps(struct dit_caps *out, struct dit_config *c,
                                    const struct weights *w, struct fail *f);

#endif
