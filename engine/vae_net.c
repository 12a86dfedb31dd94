#include "engine/vae_net.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"

enum { CONFIG_BYTES_MAX = 1 << 20, NAME_MAX_BYTES = 96 };

#define AT(member) offsetof(struct vae_layer, member)
#define C_IN       WEIGHT_SIZE(0)
#define C_OUT      WEIGHT_SIZE(1)
#define C_QKV      WEIGHT_SIZE(2)
#define C_TIME     WEIGHT_SIZE(3) /* outputs of the conv in time: two frames per frame going up */

static const struct weight_row conv_rows[] = {
    {"weight", AT(conv1), WEIGHT_CONV | WEIGHT_PACK, 5, {C_OUT, C_IN, 3, 3, 3}},
    {"bias", AT(conv1_b), WEIGHT_PLAIN, 1, {C_OUT}},
};
static const struct weight_row res_rows[] = {
    {"norm1.gamma", AT(norm1), WEIGHT_VECTOR, 4, {C_IN, 1, 1, 1}},
    {"conv1.weight", AT(conv1), WEIGHT_CONV | WEIGHT_PACK, 5, {C_OUT, C_IN, 3, 3, 3}},
    {"conv1.bias", AT(conv1_b), WEIGHT_PLAIN, 1, {C_OUT}},
    {"norm2.gamma", AT(norm2), WEIGHT_VECTOR, 4, {C_OUT, 1, 1, 1}},
    {"conv2.weight", AT(conv2), WEIGHT_CONV | WEIGHT_PACK, 5, {C_OUT, C_OUT, 3, 3, 3}},
    {"conv2.bias", AT(conv2_b), WEIGHT_PLAIN, 1, {C_OUT}},
};
static const struct weight_row side_rows[] = {
    {"conv_shortcut.weight", AT(side), WEIGHT_MATRIX | WEIGHT_PACK, 5, {C_OUT, C_IN, 1, 1, 1}},
    {"conv_shortcut.bias", AT(side_b), WEIGHT_PLAIN, 1, {C_OUT}},
};
static const struct weight_row attention_rows[] = {
    {"norm.gamma", AT(norm1), WEIGHT_VECTOR, 3, {C_IN, 1, 1}},
    {"to_qkv.bias", AT(conv1_b), WEIGHT_PLAIN, 1, {C_QKV}},
    {"proj.weight", AT(conv2), WEIGHT_MATRIX | WEIGHT_PACK, 4, {C_OUT, C_IN, 1, 1}},
    {"proj.bias", AT(conv2_b), WEIGHT_PLAIN, 1, {C_OUT}},
};
static const struct weight_row sampler_rows[] = {
    {"resample.1.weight", AT(conv1), WEIGHT_CONV | WEIGHT_PACK, 4, {C_OUT, C_IN, 3, 3}},
    {"resample.1.bias", AT(conv1_b), WEIGHT_PLAIN, 1, {C_OUT}},
};
static const struct weight_row time_rows[] = {
    {"time_conv.weight", AT(conv2), WEIGHT_CONV | WEIGHT_PACK, 5, {C_TIME, C_IN, 3, 1, 1}},
    {"time_conv.bias", AT(conv2_b), WEIGHT_PLAIN, 1, {C_TIME}},
};
static const struct weight_row head_rows[] = {
    {"norm_out.gamma", AT(norm1), WEIGHT_VECTOR, 4, {C_IN, 1, 1, 1}},
    {"conv_out.weight", AT(conv1), WEIGHT_CONV | WEIGHT_PACK, 5, {C_OUT, C_IN, 3, 3, 3}},
    {"conv_out.bias", AT(conv1_b), WEIGHT_PLAIN, 1, {C_OUT}},
};

/* What every layer of a kind has, what it has only sometimes, and the caches of its convs. */
static const struct kind_row {
    const struct weight_row *rows, *more;
    int n_rows, n_more;
    int n_slots, n_more_slots;
} kinds[VAE_KIND_COUNT] = {
    [VAE_CONV] = {conv_rows, NULL, COUNT_OF(conv_rows), 0, 1, 0},
    [VAE_RES] = {res_rows, side_rows, COUNT_OF(res_rows), COUNT_OF(side_rows), 2, 0},
    [VAE_ATTENTION] = {attention_rows, NULL, COUNT_OF(attention_rows), 0, 0, 0},
    [VAE_DOWN] = {sampler_rows, time_rows, COUNT_OF(sampler_rows), COUNT_OF(time_rows), 0, 1},
    [VAE_UP] = {sampler_rows, time_rows, COUNT_OF(sampler_rows), COUNT_OF(time_rows), 0, 1},
    [VAE_HEAD] = {head_rows, NULL, COUNT_OF(head_rows), 0, 1, 0},
    [VAE_KEEP] = {0},
    [VAE_AVG_DOWN] = {0},
    [VAE_DUP_UP] = {0},
};

/* The list under construction. */
struct maker {
    struct vae_net *net;
    const struct vae_config *c;
    struct weights *w;
    int flat; /* 2.1: number of the next entry of encoder.down_blocks */
};

static bool has_more(const struct vae_layer *l) {
    if (l->kind == VAE_RES) return l->c_in != l->c_out;
    return l->ft == 2;
}

/* One tensor in the file, three products. */
static enum err take_qkv(struct maker *k, struct vae_layer *l, const char *prefix, struct fail *f) {
    enum err rc = ERR_OK;
    char name[2 * NAME_MAX_BYTES];
    int64_t c = l->c_in, dims[] = {3 * c, c, 1, 1};
    snprintf(name, sizeof name, "%sto_qkv.weight", prefix);
    for (int i = 0; i < COUNT_OF(l->qkv); i++)
        TRY(weights_take_rows(k->w, &l->qkv[i], name, WEIGHT_MATRIX | WEIGHT_PACK, dims,
                              COUNT_OF(dims), i * c, c, f));
out:
    return rc;
}

static enum err add(struct maker *k, struct vae_layer layer, const char *prefix, struct fail *f) {
    const struct kind_row *kind = &kinds[layer.kind];
    int64_t sizes[] = {layer.c_in, layer.c_out, 3 * (int64_t)layer.c_in,
                       layer.kind == VAE_UP ? 2 * (int64_t)layer.c_in : layer.c_in};
    struct vae_layer *l = &k->net->layer[k->net->n_layers];
    enum err rc = ERR_OK;

    ASSERT(k->net->n_layers < VAE_LAYERS_MAX);
    *l = layer;
    l->slot = k->net->n_slots;
    k->net->n_layers++;
    k->net->n_slots += kind->n_slots;
    if (kind->n_rows > 0) TRY(weights_bind(k->w, l, prefix, kind->rows, kind->n_rows, sizes, f));
    if (l->kind == VAE_ATTENTION) TRY(take_qkv(k, l, prefix, f));
    if (kind->n_more > 0 && has_more(l)) {
        k->net->n_slots += kind->n_more_slots;
        TRY(weights_bind(k->w, l, prefix, kind->more, kind->n_more, sizes, f));
    }
    ASSERT(k->net->n_slots <= VAE_SLOTS_MAX);
out:
    return rc;
}

static enum err add_mid(struct maker *k, const char *half, int c, struct fail *f) {
    static const struct {
        const char *name;
        enum vae_kind kind;
    } rows[] = {{"resnets.0", VAE_RES}, {"attentions.0", VAE_ATTENTION}, {"resnets.1", VAE_RES}};
    enum err rc = ERR_OK;
    for (int i = 0; i < COUNT_OF(rows); i++) {
        char prefix[NAME_MAX_BYTES];
        snprintf(prefix, sizeof prefix, "%s.mid_block.%s.", half, rows[i].name);
        TRY(add(k, (struct vae_layer){.kind = rows[i].kind, .c_in = c, .c_out = c}, prefix, f));
    }
out:
    return rc;
}

/* Residual blocks and the downsampler of one level; 2.1 numbers them through. */
static enum err add_down_layer(struct maker *k, int level, const char *nested,
                               struct vae_layer layer, struct fail *f) {
    char prefix[NAME_MAX_BYTES];
    if (k->c->is_residual)
        snprintf(prefix, sizeof prefix, "encoder.down_blocks.%d.%s.", level, nested);
    else
        snprintf(prefix, sizeof prefix, "encoder.down_blocks.%d.", k->flat++);
    return add(k, layer, prefix, f);
}

static enum err add_down_level(struct maker *k, int level, int c_in, int c_out, struct fail *f) {
    bool is_last = level == k->c->dim_mult.n - 1;
    int ft = !is_last && k->c->time_down.v[level] ? 2 : 1, fs = is_last ? 1 : 2;
    struct vae_layer wide = {.kind = VAE_KEEP, .c_in = c_in, .c_out = c_out, .ft = ft, .fs = fs};
    struct vae_layer sampler = {
        .kind = VAE_DOWN, .c_in = c_out, .c_out = c_out, .ft = ft, .fs = fs};
    enum err rc = ERR_OK;

    if (k->c->is_residual) TRY(add(k, wide, "", f));
    for (int i = 0; i < k->c->n_res_blocks; i++) {
        char nested[NAME_MAX_BYTES / 2];
        struct vae_layer res = {.kind = VAE_RES, .c_in = i == 0 ? c_in : c_out, .c_out = c_out};
        snprintf(nested, sizeof nested, "resnets.%d", i);
        TRY(add_down_layer(k, level, nested, res, f));
    }
    if (!is_last) TRY(add_down_layer(k, level, "downsampler", sampler, f));
    wide.kind = VAE_AVG_DOWN;
    if (k->c->is_residual) TRY(add(k, wide, "", f));
out:
    return rc;
}

/* The levels before the first one that halves time. */
static int count_singles(const struct vae_net *net) {
    int n = 0;
    for (int i = 0; i < net->n_layers; i++) {
        const struct vae_layer *l = &net->layer[i];
        if (l->kind == VAE_DOWN && l->ft == 2) return n;
        if (l->kind == VAE_AVG_DOWN || (l->kind == VAE_DOWN && l[1].kind != VAE_AVG_DOWN))
            n = i + 1;
    }
    return n;
}

/* Where a level ends that doubles time, be it with a shortcut or without. */
static void mark_splits(struct vae_net *net) {
    for (int i = 0; i + 1 < net->n_layers; i++) {
        struct vae_layer *l = &net->layer[i];
        bool is_end = l->kind == VAE_DUP_UP || (l->kind == VAE_UP && l[1].kind != VAE_DUP_UP);
        l->is_split = is_end && l->ft == 2;
    }
}

enum err vae_net_encoder(struct vae_net *net, const struct vae_config *c, struct weights *w,
                         struct fail *f) {
    struct maker k = {.net = net, .c = c, .w = w};
    enum err rc = ERR_OK;
    int width = c->base_dim;

    *net = (struct vae_net){0};
    TRY(add(&k, (struct vae_layer){.kind = VAE_CONV, .c_in = c->in_channels, .c_out = width},
            "encoder.conv_in.", f));
    for (int i = 0; i < c->dim_mult.n; i++) {
        int next = c->base_dim * c->dim_mult.v[i];
        TRY(add_down_level(&k, i, width, next, f));
        width = next;
    }
    TRY(add_mid(&k, "encoder", width, f));
    TRY(add(&k, (struct vae_layer){.kind = VAE_HEAD, .c_in = width, .c_out = 2 * c->z_dim},
            "encoder.", f));
    net->n_singles = count_singles(net);
out:
    return rc;
}

static enum err add_up_level(struct maker *k, int level, int c_in, int c_out, struct fail *f) {
    int n_levels = k->c->dim_mult.n;
    bool is_last = level == n_levels - 1, is_residual = k->c->is_residual;
    int ft = !is_last && k->c->time_down.v[n_levels - 2 - level] ? 2 : 1;
    struct vae_layer wide = {.kind = VAE_KEEP, .c_in = c_in, .c_out = c_out, .ft = ft, .fs = 2};
    struct vae_layer up = {.kind = VAE_UP, .c_in = c_out, .ft = ft, .fs = 2};
    char prefix[NAME_MAX_BYTES];
    enum err rc = ERR_OK;

    up.c_out = is_residual ? c_out : c_out / 2;
    if (is_residual && !is_last) TRY(add(k, wide, "", f));
    for (int i = 0; i <= k->c->n_res_blocks; i++) {
        struct vae_layer res = {.kind = VAE_RES, .c_in = i == 0 ? c_in : c_out, .c_out = c_out};
        snprintf(prefix, sizeof prefix, "decoder.up_blocks.%d.resnets.%d.", level, i);
        TRY(add(k, res, prefix, f));
    }
    if (is_last) goto out;
    snprintf(prefix, sizeof prefix, "decoder.up_blocks.%d.%s.", level,
             is_residual ? "upsampler" : "upsamplers.0");
    TRY(add(k, up, prefix, f));
    wide.kind = VAE_DUP_UP;
    if (is_residual) TRY(add(k, wide, "", f));
out:
    return rc;
}

enum err vae_net_decoder(struct vae_net *net, const struct vae_config *c, struct weights *w,
                         struct fail *f) {
    struct maker k = {.net = net, .c = c, .w = w};
    int n_levels = c->dim_mult.n;
    int width = c->decoder_base_dim * c->dim_mult.v[n_levels - 1];
    enum err rc = ERR_OK;

    *net = (struct vae_net){0};
    TRY(add(&k, (struct vae_layer){.kind = VAE_CONV, .c_in = c->z_dim, .c_out = width},
            "decoder.conv_in.", f));
    TRY(add_mid(&k, "decoder", width, f));
    for (int i = 0; i < n_levels; i++) {
        int next = c->decoder_base_dim * c->dim_mult.v[n_levels - 1 - i];
        /* The 2.1 upsampler before this level has halved the channels. */
        TRY(add_up_level(&k, i, i > 0 && !c->is_residual ? width / 2 : width, next, f));
        width = next;
    }
    TRY(add(&k, (struct vae_layer){.kind = VAE_HEAD, .c_in = width, .c_out = c->out_channels},
            "decoder.", f));
    mark_splits(net);
out:
    return rc;
}

#define FIELD(key, kind, member, min, max) \
    { key, JSON_FIELD_##kind, offsetof(struct vae_config, member), min, max }

static const struct json_field fields[] = {
    FIELD("base_dim", INT, base_dim, 1, 4096),
    FIELD("decoder_base_dim", INT, decoder_base_dim, 1, 4096),
    FIELD("z_dim", INT, z_dim, 1, JSON_INTS_MAX),
    FIELD("num_res_blocks", INT, n_res_blocks, 1, VAE_RES_BLOCKS_MAX),
    FIELD("in_channels", INT, in_channels, 3, 192),
    FIELD("out_channels", INT, out_channels, 3, 192),
    FIELD("patch_size", INT, patch, 1, 8),
    FIELD("scale_factor_spatial", INT, factor_s, 1, 256),
    FIELD("scale_factor_temporal", INT, factor_t, 1, 64),
    FIELD("is_residual", FLAG, is_residual, 0, 1),
    FIELD("dim_mult", INTS, dim_mult, 1, 64),
    FIELD("temperal_downsample", INTS, time_down, 0, 1),
    FIELD("attn_scales", INTS, attn_scales, 0, 64),
    FIELD("latents_mean", REALS, mean, -1e6, 1e6),
    FIELD("latents_std", REALS, std, 1e-6, 1e6),
};

/* The file may leave out what the class has as a default: those of the 2.1 VAE. */
static void set_defaults(struct vae_config *c) {
    *c = (struct vae_config){.base_dim = 96,
                             .z_dim = 16,
                             .n_res_blocks = 2,
                             .in_channels = 3,
                             .out_channels = 3,
                             .patch = 1,
                             .factor_s = 8,
                             .factor_t = 4,
                             .dim_mult = {4, {1, 2, 4, 4}},
                             .time_down = {3, {0, 1, 1}}};
}

static enum err check_config(const struct vae_config *c, const char *path, struct fail *f) {
    int n = c->dim_mult.n, factor_t = 1, pixels = 3 * c->patch * c->patch;
    if (n < 2 || n > VAE_LEVELS_MAX)
        return FAIL(f, ERR_UNSUPPORTED, "%s: dim_mult has %d levels, 2 to %d are possible", path, n,
                    VAE_LEVELS_MAX);
    if (c->time_down.n < n - 1)
        return FAIL(f, ERR_CORRUPT, "%s: temperal_downsample has %d entries, dim_mult asks for %d",
                    path, c->time_down.n, n - 1);
    if (c->attn_scales.n > 0)
        return FAIL(f, ERR_UNSUPPORTED, "%s: attn_scales must be empty", path);
    if (c->mean.n != c->z_dim || c->std.n != c->z_dim)
        return FAIL(f, ERR_CORRUPT,
                    "%s: latents_mean has %d and latents_std %d entries, z_dim is %d", path,
                    c->mean.n, c->std.n, c->z_dim);
    if (c->in_channels != pixels || c->out_channels != pixels)
        return FAIL(f, ERR_CORRUPT, "%s: %d and %d channels, patch_size %d asks for %d", path,
                    c->in_channels, c->out_channels, c->patch, pixels);
    for (int i = 0; i < n - 1; i++)
        factor_t *= c->time_down.v[i] ? 2 : 1;
    if (c->factor_t != factor_t || c->factor_s != c->patch << (n - 1))
        return FAIL(f, ERR_CORRUPT, "%s: scale factors %d and %d, the levels make %d and %d", path,
                    c->factor_s, c->factor_t, c->patch << (n - 1), factor_t);
    return ERR_OK;
}

enum err vae_net_config(struct vae_config *c, const char *folder, struct fail *f) {
    struct json j = {0};
    enum err rc = ERR_OK;
    char path[4096];

    if (snprintf(path, sizeof path, "%s/config.json", folder) >= (int)sizeof path)
        return FAIL(f, ERR_LIMIT, "the name of the model folder is too long");
    set_defaults(c);
    TRY(json_read_file(&j, path, CONFIG_BYTES_MAX, f));
    TRY(json_read_fields(&j, 0, c, fields, COUNT_OF(fields), f));
    if (c->decoder_base_dim == 0) c->decoder_base_dim = c->base_dim;
    TRY(check_config(c, path, f));
out:
    json_free(&j);
    return rc;
}
