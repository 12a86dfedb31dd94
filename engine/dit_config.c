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
    {"vace_layers", JSON_FIELD_INTS, AT(vace_layers), 0, DIT_CONFIG_LAYERS_MAX - 1},
    {"dim", JSON_FIELD_INT, AT(width), 1, 131072},
    {"num_heads", JSON_FIELD_INT, AT(n_heads), 1, 256},
    {"in_dim", JSON_FIELD_INT, AT(in_channels), 1, 4096},
    {"out_dim", JSON_FIELD_INT, AT(out_channels), 1, 4096},
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
    if (c->in_channels < c->out_channels)
        return FAIL(f, ERR_CORRUPT, "%.160s: %d channels in and %d out", path, c->in_channels,
                    c->out_channels);
    return ERR_OK;
}

/* The original repository says the width, and leaves out what all of its models share. */
static void read_original(struct dit_config *c) {
    if (c->width == 0 || c->n_heads == 0) return;
    if (c->head_dim == 0) c->head_dim = c->width / c->n_heads;
    if (c->text_dim == 0) c->text_dim = 4096;
}

enum err dit_config_read(struct dit_config *c, const char *folder, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    char path[512];
    *c = defaults;
    snprintf(path, sizeof path, "%.400s/config.json", folder);
    TRY(json_read_file(&j, path, DIT_CONFIG_BYTES_MAX, f));
    TRY(json_read_fields(&j, 0, c, fields, COUNT_OF(fields), f));
    read_original(c);
    TRY(check(c, path, f));
out:
    json_free(&j);
    return rc;
}

int dit_config_width(const struct dit_config *c) {
    return c->n_heads * c->head_dim;
}

static const struct safetensors_entry *find(const struct weights *w, const char *name, int n_dims) {
    const struct safetensors_entry *e = weights_find(w, name);
    return e && e->n_dims == n_dims && e->dim[1] <= 1 << 20 ? e : NULL;
}

/* Evenly over all layers, as the published models have them. */
static void spread_vace(struct dit_config *c, int n) {
    c->vace_layers.n = n;
    for (int i = 0; i < n; i++)
        c->vace_layers.v[i] = i * (c->n_layers / n);
}

static enum err check_vace(const struct dit_config *c, const struct weights *w, struct fail *f) {
    const struct json_ints *l = &c->vace_layers;
    for (int i = 0; i < l->n; i++)
        if (l->v[i] >= c->n_layers || (i > 0 && l->v[i] <= l->v[i - 1]) || l->v[0] != 0)
            return FAIL(f, ERR_CORRUPT,
                        "%.160s: vace_layers must begin with 0, rise and stay below %d layers",
                        w->folder, c->n_layers);
    return ERR_OK;
}

enum err dit_config_caps(struct dit_caps *out, struct dit_config *c, const struct weights *w,
                         struct fail *f) {
    char name[64];
    const struct safetensors_entry *e;
    *out = (struct dit_caps){.extra_channels = c->in_channels - c->out_channels};
    if ((e = find(w, "condition_embedder.image_embedder.ff.net.0.proj.weight", 2)))
        out->image_dim = (int)e->dim[1];
    if ((e = find(w, "condition_embedder.image_embedder.pos_embed", 3)))
        out->image_rows = (int)e->dim[1];
    if ((e = find(w, "vace_patch_embedding.weight", 5))) out->vace_channels = (int)e->dim[1];
    while (out->vace_channels && out->n_vace < c->n_layers) {
        snprintf(name, sizeof name, "vace_blocks.%d.proj_out.weight", out->n_vace);
        if (!weights_find(w, name)) break;
        out->n_vace++;
    }
    if (!out->vace_channels) return ERR_OK;
    if (out->image_dim)
        return FAIL(f, ERR_UNSUPPORTED, "%.160s: a control branch that attends to pictures",
                    w->folder);
    if (out->n_vace == 0)
        return FAIL(f, ERR_CORRUPT, "%.160s: vace_blocks.0.proj_out.weight is missing", w->folder);
    if (c->vace_layers.n == 0) spread_vace(c, out->n_vace);
    if (c->vace_layers.n != out->n_vace)
        return FAIL(f, ERR_CORRUPT, "%.160s: %d vace_layers and %d vace_blocks", w->folder,
                    c->vace_layers.n, out->n_vace);
    return check_vace(c, w, f);
}
