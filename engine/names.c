#include "engine/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/str.h"

struct row {
    const char *original, *ours;
};

#define BLOCK "blocks.#."
#define EMBED "condition_embedder."
static const struct row transformer[] = {
    {"time_embedding.0", EMBED "time_embedder.linear_1"},
    {"time_embedding.2", EMBED "time_embedder.linear_2"},
    {"text_embedding.0", EMBED "text_embedder.linear_1"},
    {"text_embedding.2", EMBED "text_embedder.linear_2"},
    {"time_projection.1", EMBED "time_proj"},
    {"img_emb.proj.0", EMBED "image_embedder.norm1"},
    {"img_emb.proj.1", EMBED "image_embedder.ff.net.0.proj"},
    {"img_emb.proj.3", EMBED "image_embedder.ff.net.2"},
    {"img_emb.proj.4", EMBED "image_embedder.norm2"},
    {"img_emb.emb_pos", EMBED "image_embedder.pos_embed"},
    {"head.modulation", "scale_shift_table"},
    {"head.head", "proj_out"},
    {BLOCK "modulation", BLOCK "scale_shift_table"},
    {BLOCK "self_attn.q", BLOCK "attn1.to_q"},
    {BLOCK "self_attn.k", BLOCK "attn1.to_k"},
    {BLOCK "self_attn.v", BLOCK "attn1.to_v"},
    {BLOCK "self_attn.o", BLOCK "attn1.to_out.0"},
    {BLOCK "self_attn.norm_q", BLOCK "attn1.norm_q"},
    {BLOCK "self_attn.norm_k", BLOCK "attn1.norm_k"},
    {BLOCK "cross_attn.q", BLOCK "attn2.to_q"},
    {BLOCK "cross_attn.k", BLOCK "attn2.to_k"},
    {BLOCK "cross_attn.v", BLOCK "attn2.to_v"},
    {BLOCK "cross_attn.o", BLOCK "attn2.to_out.0"},
    {BLOCK "cross_attn.norm_q", BLOCK "attn2.norm_q"},
    {BLOCK "cross_attn.norm_k", BLOCK "attn2.norm_k"},
    {BLOCK "cross_attn.k_img", BLOCK "attn2.add_k_proj"},
    {BLOCK "cross_attn.v_img", BLOCK "attn2.add_v_proj"},
    {BLOCK "cross_attn.norm_k_img", BLOCK "attn2.norm_added_k"},
    {BLOCK "ffn.0", BLOCK "ffn.net.0.proj"},
    {BLOCK "ffn.2", BLOCK "ffn.net.2"},
    {BLOCK "norm3", BLOCK "norm2"}, /* before cross attention; the other two have no tensors */
    {BLOCK "before_proj", BLOCK "proj_in"},
    {BLOCK "after_proj", BLOCK "proj_out"},
};

/* Residual blocks: a sequence of norm, silu, conv, norm, silu, dropout, conv. */
#define RESIDUAL(theirs, ours)                                                          \
    {theirs ".residual.0", ours ".norm1"}, {theirs ".residual.2", ours ".conv1"},       \
        {theirs ".residual.3", ours ".norm2"}, {theirs ".residual.6", ours ".conv2"}, { \
        theirs ".shortcut", ours ".conv_shortcut"                                       \
    }
#define MIDDLE(side)                                                                               \
    RESIDUAL(side ".middle.0", side ".mid_block.resnets.0"),                                       \
        {side ".middle.1", side ".mid_block.attentions.0"},                                        \
        RESIDUAL(side ".middle.2", side ".mid_block.resnets.1"), {side ".conv1", side ".conv_in"}, \
        {side ".head.0", side ".norm_out"}, {                                                      \
        side ".head.2", side ".conv_out"                                                           \
    }
#define UP(theirs, ours) RESIDUAL("decoder.upsamples." theirs, "decoder.up_blocks." ours)
#define UP_LAST(theirs, ours) \
    { "decoder.upsamples." theirs, "decoder.up_blocks." ours ".upsamplers.0" }
/* The 2.2 VAE nests: a level holds its residual blocks and, last, its sampler. */
#define DOWN_2(theirs, ours) \
    RESIDUAL("encoder.downsamples.#.downsamples." theirs, "encoder.down_blocks.#." ours)
#define UP_2(theirs, ours) \
    RESIDUAL("decoder.upsamples.#.upsamples." theirs, "decoder.up_blocks.#." ours)
static const struct row vae[] = {
    {"conv1", "quant_conv"},
    {"conv2", "post_quant_conv"},
    MIDDLE("encoder"),
    MIDDLE("decoder"),
    DOWN_2("0", "resnets.0"),
    DOWN_2("1", "resnets.1"),
    {"encoder.downsamples.#.downsamples.2", "encoder.down_blocks.#.downsampler"},
    UP_2("0", "resnets.0"),
    UP_2("1", "resnets.1"),
    UP_2("2", "resnets.2"),
    {"decoder.upsamples.#.upsamples.3", "decoder.up_blocks.#.upsampler"},
    RESIDUAL("encoder.downsamples.#", "encoder.down_blocks.#"),
    {"encoder.downsamples.#", "encoder.down_blocks.#"},
    UP("0", "0.resnets.0"),
    UP("1", "0.resnets.1"),
    UP("2", "0.resnets.2"),
    UP_LAST("3", "0"),
    UP("4", "1.resnets.0"),
    UP("5", "1.resnets.1"),
    UP("6", "1.resnets.2"),
    UP_LAST("7", "1"),
    UP("8", "2.resnets.0"),
    UP("9", "2.resnets.1"),
    UP("10", "2.resnets.2"),
    UP_LAST("11", "2"),
    UP("12", "3.resnets.0"),
    UP("13", "3.resnets.1"),
    UP("14", "3.resnets.2"),
};

#define LAYER "encoder.block.#.layer."
static const struct row text[] = {
    {"token_embedding", "shared"},
    {"norm", "encoder.final_layer_norm"},
    {"blocks.#.pos_embedding.embedding", LAYER "0.SelfAttention.relative_attention_bias"},
    {"blocks.#.attn", LAYER "0.SelfAttention"},
    {"blocks.#.norm1", LAYER "0.layer_norm"},
    {"blocks.#.norm2", LAYER "1.layer_norm"},
    {"blocks.#.ffn.gate.0", LAYER "1.DenseReluDense.wi_0"},
    {"blocks.#.ffn.fc1", LAYER "1.DenseReluDense.wi_1"},
    {"blocks.#.ffn.fc2", LAYER "1.DenseReluDense.wo"},
};

static const struct {
    const struct row *row;
    int n;
    const char *mark; /* only original files have it */
} tables[NAMES_KIND_COUNT] = {
    [NAMES_TRANSFORMER] = {transformer, COUNT_OF(transformer), "time_projection.1.weight"},
    [NAMES_VAE] = {vae, COUNT_OF(vae), "encoder.conv1.weight"},
    [NAMES_TEXT] = {text, COUNT_OF(text), "token_embedding.weight"},
};

static const char *const prefixes[] = {"model.diffusion_model.", "diffusion_model.", "transformer.",
                                       "base_model.model."};

const char *names_bare(const char *name) {
    for (int i = 0; i < COUNT_OF(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return name + strlen(prefixes[i]);
    return name;
}

/* Where the pattern ends in the name, or NULL. `digits` gets the place of its number. */
static const char *fit(const char *name, const char *pattern, struct str *digits) {
    for (; *pattern; pattern++) {
        if (*pattern != '#') {
            if (*name++ != *pattern) return NULL;
            continue;
        }
        digits->p = name;
        while (isdigit((unsigned char)*name))
            name++;
        digits->n = (size_t)(name - digits->p);
        if (digits->n == 0) return NULL;
    }
    return *name == '.' || *name == '\0' ? name : NULL;
}

static void write_name(char out[SAFETENSORS_NAME_MAX], const char *pattern, struct str digits,
                       const char *rest) {
    size_t n = 0;
    for (; *pattern && n < SAFETENSORS_NAME_MAX - 1; pattern++) {
        if (*pattern != '#')
            out[n++] = *pattern;
        else
            for (size_t i = 0; i < digits.n && n < SAFETENSORS_NAME_MAX - 1; i++)
                out[n++] = digits.p[i];
    }
    snprintf(out + n, SAFETENSORS_NAME_MAX - n, "%s", rest);
}

/* Blocks of the control branch are named like the others, behind "vace_". */
static bool translate(char out[SAFETENSORS_NAME_MAX], const char *name, enum names_kind kind,
                      bool is_back) {
    const char *branch =
        kind == NAMES_TRANSFORMER && str_starts(str_of(name), "vace_blocks.") ? "vace_" : "";
    char inner[SAFETENSORS_NAME_MAX];
    for (int i = 0; i < tables[kind].n; i++) {
        const struct row *r = &tables[kind].row[i];
        struct str digits = {"", 0};
        const char *rest = fit(name + strlen(branch), is_back ? r->ours : r->original, &digits);
        if (!rest) continue;
        write_name(inner, is_back ? r->original : r->ours, digits, rest);
        snprintf(out, SAFETENSORS_NAME_MAX, "%s%.*s", branch, SAFETENSORS_NAME_MAX - 8, inner);
        return true;
    }
    snprintf(out, SAFETENSORS_NAME_MAX, "%s", name);
    return false;
}

bool names_find_ours(char out[SAFETENSORS_NAME_MAX], const char *original, enum names_kind kind) {
    return translate(out, original, kind, false);
}

bool names_find_original(char out[SAFETENSORS_NAME_MAX], const char *ours, enum names_kind kind) {
    return translate(out, ours, kind, true);
}

static void rename_original(char out[SAFETENSORS_NAME_MAX], const char *name, int kind) {
    names_find_ours(out, names_bare(name), (enum names_kind)kind);
}

static void rename_bare(char out[SAFETENSORS_NAME_MAX], const char *name, int kind) {
    (void)kind;
    snprintf(out, SAFETENSORS_NAME_MAX, "%s", names_bare(name));
}

enum err names_to_ours(struct safetensors *s, enum names_kind kind, struct fail *f) {
    bool has_prefix = false, is_original = false;
    for (int i = 0; i < s->n_entries; i++) {
        const char *name = s->entry[i].name, *bare = names_bare(name);
        has_prefix |= bare != name;
        is_original |= strcmp(bare, tables[kind].mark) == 0;
    }
    if (is_original) return safetensors_rename(s, rename_original, kind, f);
    return has_prefix ? safetensors_rename(s, rename_bare, kind, f) : ERR_OK;
}
