/* Folders with two transformers behind the door of the engine, made of the mini folder: the second
 * is the first with other weights. And a model that this machine has no room for. */
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine.h"
#include "engine/lora.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

enum { STEPS = 4, FILE_MAX = 1 << 20, N_VALUES = 3 * 2 * 4 };

static const char *const weights = "diffusion_pytorch_model.safetensors";
static const struct canvas canvas = {9, 64, 32};
static const char *folder;

static void write_file(const char *name, const void *data, size_t n) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, n, file) == n);
    if (file) fclose(file);
}

static void link_part(const char *part, const char *as) {
    char from[PATH_MAX], path[PATH_MAX + 64], to[PATH_MAX];
    snprintf(path, sizeof path, "tests/golden/mini/%s", part);
    CHECK(realpath(path, from) != NULL);
    snprintf(to, sizeof to, "%s/%s", folder, as);
    CHECK_INT(symlink(from, to), 0);
}

/* The weights of the first with a bit turned in the middle of them. */
static void write_late(void) {
    char path[PATH_MAX], name[128];
    unsigned char *data = mem_take(FILE_MAX, 1);
    snprintf(path, sizeof path, "tests/golden/mini/transformer/%s", weights);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t n = file ? fread(data, 1, FILE_MAX, file) : 0;
    if (file) fclose(file);
    for (size_t i = n / 2; i < n; i += 16)
        data[i & ~(size_t)1] ^= 0x40; /* the first bit of the fraction of a bf16 */
    snprintf(path, sizeof path, "%s/transformer_2", folder);
    CHECK_INT(mkdir(path, 0700), 0);
    link_part("transformer/config.json", "transformer_2/config.json");
    snprintf(name, sizeof name, "transformer_2/%s", weights);
    write_file(name, data, n);
    mem_free(data);
}

static void make_folder(const char *index) {
    static const char *const parts[] = {"scheduler", "text_encoder", "tokenizer", "vae"};
    folder = temp_dir();
    for (int i = 0; i < COUNT_OF(parts); i++)
        link_part(parts[i], parts[i]);
    write_file("model_index.json", index, strlen(index));
}

static void make_pair(double boundary) {
    char index[256];
    snprintf(index, sizeof index,
             "{\"_class_name\":\"WanPipeline\",\"expand_timesteps\":true,\"boundary_ratio\":%g,"
             "\"transformer_2\":[\"diffusers\",\"WanTransformer3DModel\"]}",
             boundary);
    make_folder(index);
    link_part("transformer", "transformer");
    write_late();
}

struct seen {
    int n_loaded;
    char mode[64];
};

static void on_log(void *ctx, const char *event, const char *text) {
    struct seen *s = ctx;
    if (strcmp(event, "engine.expert") == 0) s->n_loaded++;
    if (strcmp(event, "engine.experts") == 0) snprintf(s->mode, sizeof s->mode, "%s", text);
}

static void denoise(struct engine *e, float out[], double guidance_2) {
    struct engine_words words;
    struct tensor latent;
    struct fail f = {0};
    struct engine_params p = {
        .seed = 3, .n_steps = STEPS, .guidance = 2, .guidance_2 = guidance_2, .shift = 3};
    CHECK_OK(engine_encode_text(e, &words, "a red ball", NULL, &f), &f);
    enum err rc = engine_denoise(e, &latent, &canvas, NULL, &words, &p, &f);
    CHECK_OK(rc, &f);
    if (rc == ERR_OK) memcpy(out, latent.data, N_VALUES * sizeof *out);
    engine_job_end(e);
}

static void run(enum engine_experts_mode mode, bool has_late, float out[], struct seen *s) {
    struct engine *e = NULL;
    struct fail f = {0};
    float again[N_VALUES];
    struct engine_opts o = {.n_threads = 2, .experts = mode, .hooks = {.ctx = s, .log = on_log}};
    CHECK_OK(engine_open(&e, folder, &o, &f), &f);
    if (!e) return;
    denoise(e, out, 0);
    denoise(e, again, 0); /* begins with the early one anew */
    CHECK(memcmp(out, again, sizeof again) == 0);
    denoise(e, again, 1); /* the late one, if it has a say, without guidance */
    CHECK_INT(memcmp(out, again, sizeof again) != 0, has_late);
    engine_close(e);
}

/* Timesteps of four steps at shift 3: 999, 900, 750, 500. */
static void one_loaded_expert_gives_what_two_give(void) {
    float both[N_VALUES], one[N_VALUES], early[N_VALUES];
    struct seen s[3] = {0};
    make_pair(0.8);
    run(ENGINE_EXPERTS_BOTH, true, both, &s[0]);
    run(ENGINE_EXPERTS_ONE, true, one, &s[1]);
    CHECK(memcmp(both, one, sizeof both) == 0);
    CHECK_STR(s[0].mode, "both stay loaded");
    CHECK_STR(s[1].mode, "one at a time");
    CHECK_INT(s[0].n_loaded, 0);
    CHECK_INT(s[1].n_loaded, 3 + 2); /* the late one in each run, the early one for the next */
    make_pair(0.0001);
    run(ENGINE_EXPERTS_AUTO, false, early, &s[2]);
    CHECK(memcmp(both, early, sizeof both) != 0);
}

static void a_second_transformer_that_is_missing_or_different_is_told(void) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_opts o = {.n_threads = 1, .experts = ENGINE_EXPERTS_BOTH};
    struct lora_source lora = {"nowhere.safetensors", 1};
    char path[PATH_MAX];
    make_pair(0.8);
    snprintf(path, sizeof path, "%s/transformer_2/%s", folder, weights);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(engine_open(&e, folder, &o, &f), ERR_NOT_FOUND);
    CHECK_HAS(f.text, "transformer_2/diffusion_pytorch_model.safetensors: no such file");
    o.loras_late = &lora;
    o.n_loras_late = 1;
    f = (struct fail){0};
    CHECK_INT(engine_open(&e, "tests/golden/mini", &o, &f), ERR_INPUT);
    CHECK_HAS(f.text, "tests/golden/mini has no second transformer for LoRA files");
}

/* A header that promises 200 GiB of weights, and a file of holes behind it. */
static void a_model_larger_than_memory_is_refused_with_both_figures(void) {
    static const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[51200,1048576],"
                                 "\"data_offsets\":[0,214748364800]}}";
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_opts o = {.n_threads = 1, .precision = PRECISION_F32};
    unsigned char file[8 + sizeof header - 1] = {sizeof header - 1};
    char path[PATH_MAX];
    make_folder("{\"_class_name\":\"WanPipeline\"}");
    snprintf(path, sizeof path, "%s/transformer", folder);
    CHECK_INT(mkdir(path, 0700), 0);
    link_part("transformer/config.json", "transformer/config.json");
    memcpy(file + 8, header, sizeof header - 1);
    snprintf(path, sizeof path, "transformer/%s", weights);
    write_file(path, file, sizeof file);
    snprintf(path, sizeof path, "%s/transformer/%s", folder, weights);
    CHECK_INT(truncate(path, (off_t)sizeof file + 214748364800), 0);
    CHECK_INT(engine_open(&e, folder, &o, &f), ERR_LIMIT);
    CHECK_HAS(f.text, "transformer needs about 200.0 GiB of memory, ");
    CHECK_HAS(f.text, " GiB are free");
}

static const struct test tests[] = {
    TEST(one_loaded_expert_gives_what_two_give),
    TEST(a_second_transformer_that_is_missing_or_different_is_told),
    TEST(a_model_larger_than_memory_is_refused_with_both_figures),
};
TEST_MAIN(tests)
