/* dit_config.h - the sizes of a WanTransformer3DModel, from its config.json. */
#ifndef ENGINE_DIT_CONFIG_H
#define ENGINE_DIT_CONFIG_H

#include "engine/json.h"

enum { DIT_CONFIG_LAYERS_MAX = 128, DIT_CONFIG_BYTES_MAX = 1 << 20 };

struct dit_config {
    struct json_ints patch_size; /* frames, rows, columns */
    int n_heads, head_dim, n_layers;
    int in_channels, out_channels;
    int text_dim, freq_dim, ffn_dim;
    int rope_max; /* positions per axis */
    double eps;
    bool has_cross_norm;
    char qk_norm[JSON_TEXT_MAX];
};

/* ERR_CORRUPT when a value is missing or out of range, ERR_UNSUPPORTED for what we cannot run. */
MUST_CHECK enum err dit_config_read(struct dit_config *c, const char *folder, struct fail *f);
int dit_config_width(const struct dit_config *c); /* heads x channels of a head */

#endif
