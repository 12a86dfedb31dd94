/* Original names to ours and back: the 2.1 VAE against the list that diffusers' converter gives
 * (tests/golden/names.txt), the others by hand; transformers are loaded in test_dit_variants.c. */
#include "engine/names.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "tests/lib/check.h"

static void check_both_ways(enum names_kind kind, const char *original, const char *ours) {
    char got[SAFETENSORS_NAME_MAX];
    CHECK(names_find_ours(got, original, kind));
    CHECK_STR(got, ours);
    CHECK(names_find_original(got, ours, kind));
    CHECK_STR(got, original);
}

static void every_tensor_of_the_vae_gets_our_name(void) {
    char original[SAFETENSORS_NAME_MAX], ours[SAFETENSORS_NAME_MAX], got[SAFETENSORS_NAME_MAX];
    int n = 0;
    FILE *file = fopen("tests/golden/names.txt", "r");
    CHECK(file != NULL);
    while (file && fscanf(file, "vae %255s %255s\n", original, ours) == 2) {
        CHECK(names_find_ours(got, original, NAMES_VAE));
        CHECK_STR(got, ours);
        n++;
    }
    CHECK_INT(n, 198);
    if (file) fclose(file);
}

static const struct {
    enum names_kind kind;
    const char *original, *ours;
} rows[] = {
    {NAMES_VAE, "encoder.downsamples.1.downsamples.0.residual.2.weight",
     "encoder.down_blocks.1.resnets.0.conv1.weight"},
    {NAMES_VAE, "encoder.downsamples.1.downsamples.0.shortcut.bias",
     "encoder.down_blocks.1.resnets.0.conv_shortcut.bias"},
    {NAMES_VAE, "encoder.downsamples.2.downsamples.2.time_conv.weight",
     "encoder.down_blocks.2.downsampler.time_conv.weight"},
    {NAMES_VAE, "decoder.upsamples.0.upsamples.3.resample.1.weight",
     "decoder.up_blocks.0.upsampler.resample.1.weight"},
    {NAMES_VAE, "decoder.upsamples.3.upsamples.2.residual.6.bias",
     "decoder.up_blocks.3.resnets.2.conv2.bias"},
    {NAMES_TEXT, "token_embedding.weight", "shared.weight"},
    {NAMES_TEXT, "norm.weight", "encoder.final_layer_norm.weight"},
    {NAMES_TEXT, "blocks.23.attn.q.weight", "encoder.block.23.layer.0.SelfAttention.q.weight"},
    {NAMES_TEXT, "blocks.0.norm1.weight", "encoder.block.0.layer.0.layer_norm.weight"},
    {NAMES_TEXT, "blocks.0.norm2.weight", "encoder.block.0.layer.1.layer_norm.weight"},
    {NAMES_TEXT, "blocks.7.ffn.gate.0.weight",
     "encoder.block.7.layer.1.DenseReluDense.wi_0.weight"},
    {NAMES_TEXT, "blocks.7.ffn.fc1.weight", "encoder.block.7.layer.1.DenseReluDense.wi_1.weight"},
    {NAMES_TEXT, "blocks.7.ffn.fc2.weight", "encoder.block.7.layer.1.DenseReluDense.wo.weight"},
    {NAMES_TEXT, "blocks.7.pos_embedding.embedding.weight",
     "encoder.block.7.layer.0.SelfAttention.relative_attention_bias.weight"},
    {NAMES_TRANSFORMER, "blocks.12.norm3.weight", "blocks.12.norm2.weight"},
    {NAMES_TRANSFORMER, "blocks.12.modulation", "blocks.12.scale_shift_table"},
    {NAMES_TRANSFORMER, "head.modulation", "scale_shift_table"},
    {NAMES_TRANSFORMER, "blocks.0.cross_attn.k_img.bias", "blocks.0.attn2.add_k_proj.bias"},
    {NAMES_TRANSFORMER, "vace_blocks.3.self_attn.o.weight", "vace_blocks.3.attn1.to_out.0.weight"},
    {NAMES_TRANSFORMER, "vace_blocks.0.before_proj.bias", "vace_blocks.0.proj_in.bias"},
};

static void names_go_there_and_back(void) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        check_both_ways(rows[i].kind, rows[i].original, rows[i].ours);
}

static void names_of_others_stay(void) {
    static const char *const strange[] = {"patch_embedding.weight",
                                          "blocks..self_attn.q.weight",
                                          "blocks.x.self_attn.q.weight",
                                          "blocks.1.self_attn.qq",
                                          "normal.weight",
                                          "",
                                          "blocks."};
    char got[SAFETENSORS_NAME_MAX];
    for (int i = 0; i < COUNT_OF(strange); i++)
        for (int kind = 0; kind < NAMES_KIND_COUNT; kind++) {
            CHECK(!names_find_ours(got, strange[i], (enum names_kind)kind));
            CHECK_STR(got, strange[i]);
        }
    CHECK_STR(names_bare("model.diffusion_model.head.head.bias"), "head.head.bias");
    CHECK_STR(names_bare("transformer.proj_out.bias"), "proj_out.bias");
    CHECK_STR(names_bare("modelx.proj_out.bias"), "modelx.proj_out.bias");
}

/* The longest name a file may have: a longer translation is cut, never written past its end. */
static void long_names_are_cut(void) {
    char name[SAFETENSORS_NAME_MAX] = "blocks.", got[SAFETENSORS_NAME_MAX];
    memset(name + 7, '1', 200);
    snprintf(name + 207, sizeof name - 207, ".pos_embedding.embedding.weight");
    CHECK(names_find_ours(got, name, NAMES_TEXT));
    CHECK(strlen(got) < SAFETENSORS_NAME_MAX && strlen(got) > 240);
}

static const struct test tests[] = {
    TEST(every_tensor_of_the_vae_gets_our_name),
    TEST(names_go_there_and_back),
    TEST(names_of_others_stay),
    TEST(long_names_are_cut),
};
TEST_MAIN(tests)
