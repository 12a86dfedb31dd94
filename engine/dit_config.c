#include "engine/dit_config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

#define AT(member) offsetof(struct dit_config, member)

static const struct json_field fields[] = {
    {"patch_size", JSON_FIELD_INTS, AT(patch_size), 1, 8},
    {"num_attention_heads", JSON_FIELD_INT, AT(n_heads), 1, 256},
    {"attention_head_dim", JSON_FIELD_INT, AT(head_dim), 8, 512},
    {"num_layers", JSON_FIELD_INT, AT(n_layers), 1, DIT_CONFIG_LAYERS_MAX},
    {"in_channels", JSON_FIELD_INT, AT(in_channels), 1, 4096},
    {"out_channels", JSON_FIELD_INT, AT(out_channels), 1, 4096},
    {"text_dim", JSON_FIELD_INT, AT(text_dim), 1, 16384},
    {"freq_dim", JSON_FIELD_INT, AT(freq_dim), 2, 4096},
    {"ffn_dim", JSON_FIELD_INT, AT(ffn_dim), 1, 131072},
    {"rope_max_seq_len", JSON_FIELD_INT, AT(rope_max), 1, 1 << 20},
    {"eps", JSON_FIELD_REAL, AT(eps), 0, 1},
    {"cross_attn_norm", JSON_FIELD_FLAG, AT(has_cross_norm), 0, 0},
    {"qk_norm", JSON_FIELD_TEXT, AT(qk_norm), 0, 0},
};

static const struct dit_config defaults = {
    .patch_size = {3, {1, 2, 2}},
    .freq_dim = 256,
    .rope_max = 1024,
    .eps = 1e-6,
    .has_cross_norm = true,
    .qk_norm = "rms_norm_across_heads",
};

static enum err check(const struct dit_config *c, const char *path, struct fail *f) {
    const struct {
        const char *key;
        int size;
    } needed[] = {{"num_attention_heads", c->n_heads},
                  {"attention_head_dim", c->head_dim},
                  {"num_layers", c->n_layers},
                  {"in_channels", c->in_channels},
                  {"out_channels", c->out_channels},
                  {"text_dim", c->text_dim},
                  {"ffn_dim", c->ffn_dim}};
    for (int i = 0; i < COUNT_OF(needed); i++)
        if (needed[i].size == 0)
            return FAIL(f, ERR_CORRUPT, "%.160s: \"%s\" is missing", path, needed[i].key);
    if (c->patch_size.n != 3)
        return FAIL(f, ERR_CORRUPT, "%.160s: \"patch_size\" has %d entries, 3 are needed", path,
                    c->patch_size.n);
    if (c->head_dim % 2 || c->freq_dim % 2)
        return FAIL(f, ERR_CORRUPT, "%.160s: attention_head_dim and freq_dim must be even", path);
    if (strcmp(c->qk_norm, "rms_norm_across_heads") != 0)
        return FAIL(f, ERR_UNSUPPORTED, "%.160s: qk_norm \"%s\" is not known", path, c->qk_norm);
    if (c->in_channels != c->out_channels)
        return FAIL(f, ERR_UNSUPPORTED,
                    "%.120s: %d channels in and %d out: conditioning by channels is not built",
                    path, c->in_channels, c->out_channels);
    return ERR_OK;
}

enum err dit_config_read(struct dit_config *c, const char *folder, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    char path[512];
    *c = defaults;
    snprintf(path, sizeof path, "%.400s/config.json", folder);
    TRY(json_read_file(&j, path, DIT_CONFIG_BYTES_MAX, f));
    TRY(json_read_fields(&j, 0, c, fields, COUNT_OF(fields), f));
    TRY(check(c, path, f));
out:
    json_free(&j);
    return rc;
}

int dit_config_width(const struct dit_config *c) {
    return c->n_heads * c->head_dim;
}
