/* Model folders: what they may say about themselves, and transformers that are not what they say.
 * Every transformer row is the mini one with one line of config.json changed. */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "engine/dit.h"
#include "engine/engine_folder.h"
#include "tests/lib/check.h"

enum { CONFIG_MAX = 4096 };

static char folder[] = "/tmp/misora-folder-XXXXXX";
static const char *const mini = "tests/golden/dit_cells";

static void write_text(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(text, 1, strlen(text), file) == strlen(text));
    if (file) fclose(file);
}

static void drop(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK(remove(path) == 0);
}

static void make_dir(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_INT(mkdir(path, 0700), 0);
}

struct folder_row {
    const char *index, *scheduler, *transformer;
    enum err code;
    const char *says; /* failure, or the solver */
};

static const struct folder_row rows[] = {
    {"{}", "{}", "{}", ERR_OK, "unipc 5"},
    {"{}", NULL, "{}", ERR_OK, "unipc 5"},
    {"{\"transformer_2\":[null,null],\"boundary_ratio\":0.875}",
     "{\"_class_name\":\"UniPCMultistepScheduler\",\"flow_shift\":3.0}", "{}", ERR_OK, "unipc 3"},
    {"{}", "{\"_class_name\":\"FlowMatchEulerDiscreteScheduler\",\"shift\":8,\"flow_shift\":3}",
     "{}", ERR_OK, "euler 8"},
    {"{\"misora\":{\"shift\":2}}", "{\"flow_shift\":3}", "{\"misora\":{\"shift\":4}}", ERR_OK,
     "unipc 2"},
    {"{}", "{}", "{\"misora\":{\"sigmas\":[1.0,0.9375,0.8333,0.625]}}", ERR_OK, "euler 5"},
    {"{\"transformer_2\":[\"diffusers\",\"WanTransformer3DModel\"],\"boundary_ratio\":0.875}", "{}",
     "{}", ERR_OK, "unipc 5, low below 0.875"},
    {"{\"transformer_2\":[\"diffusers\",\"WanTransformer3DModel\"]}", "{}", "{}", ERR_CORRUPT,
     "two experts and no boundary_ratio"},
    {"{\"transformer_2\":[\"diffusers\",\"WanTransformer3DModel\"],\"boundary_ratio\":1.5}", "{}",
     "{}", ERR_CORRUPT, "\"boundary_ratio\""},
    {"{\"image_encoder\":[\"transformers\",\"CLIPVisionModel\"],\"image_processor\":[null,null]}",
     "{}", "{}", ERR_OK, "unipc 5, images"},
    {"{\"expand_timesteps\":true,\"boundary_ratio\":null}", "{}", "{}", ERR_OK,
     "unipc 5, token times"},
    {"{\"expand_timesteps\":1}", "{}", "{}", ERR_CORRUPT, "\"expand_timesteps\""},
    {"{}", "{\"prediction_type\":\"epsilon\"}", "{}", ERR_UNSUPPORTED, "only flow_prediction"},
    {"{}", "{}", "{\"misora\":{\"window_latents\":5,\"overlap_latents\":5}}", ERR_CORRUPT,
     "overlap_latents 5 needs to be below window_latents 5"},
    {"{}", "{}", "{\"misora\":{\"window_head\":\"tail\"}}", ERR_CORRUPT,
     "window_head \"tail\"; carry, anchor or encode"},
    {"{}", "{}", "{\"misora\":{\"window_latents\":1}}", ERR_CORRUPT,
     "window_latents is 1, it needs to be 0 or 2 and more"},
    {"{}", "{}", "{\"misora\":{\"fps\":0}}", ERR_CORRUPT, "\"fps\""},
    {"{}", "{}", "{\"misora\":{\"steps\":100000}}", ERR_CORRUPT, "\"steps\""},
    {"[]", "{}", "{}", ERR_CORRUPT, "model_index.json holds no object"},
    {"{}", "null", "{}", ERR_CORRUPT, "scheduler_config.json holds no object"},
    {"{}", "{}", "{\"misora\":[1]}", ERR_CORRUPT, "config.json holds no object at misora"},
    {"", "{}", "{}", ERR_CORRUPT, "model_index.json: byte 0: a value is missing"},
    {"\xef\xbb\xbf{}", "{}", "{}", ERR_CORRUPT, "model_index.json: byte 0"},
    {"{\"a\":1,\"a\":1}", "{}", "{}", ERR_CORRUPT, "the key \"a\" is there twice"},
    {NULL, "{}", "{}", ERR_NOT_FOUND, "model_index.json: no such file"},
    {"{}", "{}", NULL, ERR_NOT_FOUND, "transformer/config.json: no such file"},
};

static void folders_say_what_they_are(void) {
    make_dir("scheduler");
    make_dir("transformer");
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct engine_folder m;
        struct fail f = {0};
        const struct folder_row *r = &rows[i];
        char solver[64];
        if (r->index) write_text("model_index.json", r->index);
        if (r->scheduler) write_text("scheduler/scheduler_config.json", r->scheduler);
        if (r->transformer) write_text("transformer/config.json", r->transformer);
        CHECK_INT(engine_folder_read(&m, folder, &f), r->code);
        if (r->code == ERR_OK) {
            int n = snprintf(solver, sizeof solver, "%s %g%s%s",
                             engine_folder_solver(&m) == ENGINE_SOLVER_EULER ? "euler" : "unipc",
                             engine_folder_shift(&m), m.has_image_encoder ? ", images" : "",
                             m.has_token_times ? ", token times" : "");
            if (m.has_low_expert)
                snprintf(solver + n, sizeof solver - (size_t)n, ", low below %g", m.boundary);
            CHECK_STR(solver, r->says);
        } else {
            CHECK_HAS(f.text, r->says);
        }
        if (r->index) drop("model_index.json");
        if (r->scheduler) drop("scheduler/scheduler_config.json");
        if (r->transformer) drop("transformer/config.json");
    }
    drop("scheduler");
    drop("transformer");
}

struct change {
    const char *from, *to;
    enum err code;
    const char *says;
};

static const struct change changes[] = {
    {"\"num_layers\": 2", "\"num_layers\": 2", ERR_OK, ""},
    {"\"num_layers\": 2", "\"num_layers\": 1", ERR_CORRUPT,
     "nobody asked for blocks.1.attn1.norm_k.weight (27 problems in all)"},
    {"\"num_layers\": 2", "\"num_layers\": 3", ERR_CORRUPT,
     "blocks.2.scale_shift_table is missing (27 problems in all)"},
    {"\"num_layers\": 2", "\"num_layers\": 0", ERR_CORRUPT, "\"num_layers\""},
    {"\"num_layers\": 2", "\"num_layers\": 100000", ERR_CORRUPT, "\"num_layers\""},
    {"\"ffn_dim\": 56", "\"ffn_dim\": 57", ERR_CORRUPT,
     "blocks.0.ffn.net.0.proj.weight is [56,32] in the file, the model needs [57,32] (6 problems"},
    {"\"attention_head_dim\": 16", "\"attention_head_dim\": 18", ERR_CORRUPT,
     "patch_embedding.weight is [32,5,1,1,1] in the file, the model needs [36,5,1,1,1]"},
    {"\"attention_head_dim\": 16", "\"attention_head_dim\": 15", ERR_CORRUPT, "must be even"},
    {"\"text_dim\": 16", "\"text_dim\": 4096", ERR_CORRUPT,
     "condition_embedder.text_embedder.linear_1.weight is [32,16] in the file, the model needs "
     "[32,4096]"},
    {"\"in_channels\": 5", "\"in_channels\": 36", ERR_CORRUPT,
     "patch_embedding.weight is [32,5,1,1,1] in the file, the model needs [32,36,1,1,1]"},
    {"\"in_channels\": 5", "\"in_channels\": 4", ERR_CORRUPT, "4 channels in and 5 out"},
    {"\"image_dim\": null", "\"image_dim\": 1280, \"vace_layers\": [0]", ERR_OK, ""},
    {"\"freq_dim\": 64", "\"freq_dim\": 63", ERR_CORRUPT, "must be even"},
    {"\"eps\": 1e-06", "\"eps\": \"small\"", ERR_CORRUPT, "\"eps\""},
    {"\"qk_norm\": \"rms_norm_across_heads\"", "\"qk_norm\": \"layer\"", ERR_UNSUPPORTED,
     "qk_norm \"layer\" is not known"},
    {"\"cross_attn_norm\": true", "\"cross_attn_norm\": false", ERR_CORRUPT,
     "nobody asked for blocks.0.norm2.bias (4 problems in all)"},
    {"\"ffn_dim\": 56,", "", ERR_CORRUPT, "\"ffn_dim\" is missing"},
    {"\"num_layers\": 2", "\"num_layers\": null", ERR_CORRUPT, "\"num_layers\" is missing"},
    {"\"num_layers\": 2", "\"num_layers\": 1.5", ERR_CORRUPT, "\"num_layers\" has a wrong type"},
    {"\"num_layers\": 2", "\"num_layers\": 2, \"patch_size\": [1, 2]", ERR_CORRUPT, "patch_size"},
};

static void write_change(const struct change *c) {
    char config[CONFIG_MAX] = "", changed[2 * CONFIG_MAX], path[256];
    snprintf(path, sizeof path, "%s/config.json", mini);
    FILE *file = fopen(path, "rb");
    CHECK(file && fread(config, 1, sizeof config - 1, file) > 0);
    if (file) fclose(file);
    char *at = strstr(config, c->from);
    CHECK(at != NULL);
    if (!at) return;
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - config), config, c->to,
             at + strlen(c->from));
    write_text("config.json", changed);
}

static void transformers_that_do_not_fit_are_refused_by_name_and_shapes(void) {
    char weights[PATH_MAX], link[512]; /* realpath() wants no less */
    snprintf(link, sizeof link, "%s/diffusion_pytorch_model.safetensors", folder);
    CHECK(realpath("tests/golden/dit_cells/diffusion_pytorch_model.safetensors", weights) != NULL);
    CHECK_INT(symlink(weights, link), 0);
    for (int i = 0; i < COUNT_OF(changes); i++) {
        struct device dev;
        struct pool pool;
        struct dit *dit = NULL;
        struct fail f = {0};
        write_change(&changes[i]);
        CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, &f), &f);
        pool_make(&pool, &dev, 1 << 20, 1 << 26);
        enum err rc = dit_open(&dit, &dev, &pool, folder, NULL, &f);
        CHECK_INT(rc, changes[i].code);
        if (rc != ERR_OK) CHECK_HAS(f.text, changes[i].says);
        dit_close(dit);
        pool_free(&pool);
        device_close(&dev);
    }
    drop("config.json");
    unlink(link);
}

static const struct test tests[] = {
    TEST(folders_say_what_they_are),
    TEST(transformers_that_do_not_fit_are_refused_by_name_and_shapes),
};

int main(int argc, char **argv) {
    if (!mkdtemp(folder)) return 1;
    int rc = check_main(tests, COUNT_OF(tests), argc, argv);
    rmdir(folder);
    return rc;
}
