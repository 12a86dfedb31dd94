/* VAE and text encoder folders that are not what they say: refused with file, tensor and reason.
 * Every row is the mini folder with one line of config.json changed. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/text.h"
#include "engine/vae.h"
#include "tests/lib/check.h"

enum { CONFIG_MAX = 4096, COPY_MAX = 1 << 20 };

struct row {
    const char *from, *to; /* text to replace in config.json */
    enum err code;
    const char *text;
};

static const char *const vae_folder = "tests/golden/mini/vae";
static const char *const text_folder = "tests/golden/mini/text_encoder";

static size_t read_file(const char *folder, const char *name, char *out, size_t max) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    size_t n = file ? fread(out, 1, max, file) : 0;
    if (file) fclose(file);
    CHECK(n > 0 && n < max);
    return n;
}

static void write_file(const char *folder, const char *name, const char *data, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(data, 1, n, file) == n);
    if (file) fclose(file);
}

static void remove_file(const char *folder, const char *name) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

/* Writes config.json of `source` into `folder` with the change of the row. */
static void write_config(const char *folder, const char *source, const struct row *r) {
    char config[CONFIG_MAX] = {0}, changed[2 * CONFIG_MAX];
    read_file(source, "config.json", config, sizeof config);
    char *at = strstr(config, r->from);
    CHECK(at != NULL);
    if (!at) return;
    int n = snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - config), config, r->to,
                     at + strlen(r->from));
    write_file(folder, "config.json", changed, (size_t)n);
}

struct place {
    char folder[64];
    const char *source, *weights;
    struct device dev;
    struct pool pool;
};

static void make_place(struct place *p, const char *source, const char *weights) {
    struct fail f = {0};
    char *copy = mem_take(COPY_MAX, 1);
    *p = (struct place){.folder = "/tmp/model_folder_XXXXXX", .source = source, .weights = weights};
    CHECK(mkdtemp(p->folder) != NULL);
    write_file(p->folder, weights, copy, read_file(source, weights, copy, COPY_MAX));
    mem_free(copy);
    CHECK_OK(device_open(&p->dev, "ref", &(struct device_opts){0}, &f), &f);
    pool_make(&p->pool, &p->dev, 1 << 20, 1 << 26);
}

static void drop_place(struct place *p) {
    remove_file(p->folder, "config.json");
    remove_file(p->folder, p->weights);
    rmdir(p->folder);
    pool_free(&p->pool);
    device_close(&p->dev);
}

static void check_row(const struct row *r, enum err got, const struct fail *f) {
    CHECK_INT(got, r->code);
    CHECK_HAS(f->text, r->text);
}

static void a_vae_folder_that_lies_is_refused_in_words(void) {
    static const struct row rows[] = {
        {"\"attn_scales\": []", "\"attn_scales\": [1]", ERR_UNSUPPORTED,
         "attn_scales must be empty"},
        {"\"z_dim\": 6", "\"z_dim\": 5", ERR_CORRUPT,
         "latents_mean has 6 and latents_std 6 entries"},
        {"\"patch_size\": 2", "\"patch_size\": 1", ERR_CORRUPT, "patch_size 1 asks for 3"},
        {"\"scale_factor_spatial\": 16", "\"scale_factor_spatial\": 8", ERR_CORRUPT,
         "scale factors 8 and 4, the levels make 16 and 4"},
        {"\"num_res_blocks\": 1", "\"num_res_blocks\": 1000000000", ERR_CORRUPT, "num_res_blocks"},
        {"\"base_dim\": 2", "\"base_dim\": -2", ERR_CORRUPT, "base_dim"},
        {"\"base_dim\": 2", "\"base_dim\": \"2\"", ERR_CORRUPT, "base_dim"},
        {"\"is_residual\": true", "\"is_residual\": 1", ERR_CORRUPT, "is_residual"},
        {"\"base_dim\": 2", "\"base_dim\": 4", ERR_CORRUPT, "encoder.conv_in.weight"},
        {"\"base_dim\": 2", "\"base_dim\": 4", ERR_CORRUPT, "[2,12,3,3,3]"},
        {"\"base_dim\": 2", "\"base_dim\": 4", ERR_CORRUPT, "[4,12,3,3,3]"},
        {"\"num_res_blocks\": 1", "\"num_res_blocks\": 2", ERR_CORRUPT,
         "encoder.down_blocks.0.resnets.1"},
        {"\"is_residual\": true", "\"is_residual\": false", ERR_CORRUPT, "problems in all"},
        {"{", "[", ERR_CORRUPT, "config.json"},
    };
    struct place p;
    make_place(&p, vae_folder, "diffusion_pytorch_model.safetensors");
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct vae *v = NULL;
        struct fail f = {0};
        write_config(p.folder, p.source, &rows[i]);
        check_row(&rows[i], vae_open(&v, &p.dev, &p.pool, p.folder, &f), &f);
        CHECK_HAS(f.text, p.folder);
        vae_close(v);
    }
    drop_place(&p);
}

static void a_text_folder_that_lies_is_refused_in_words(void) {
    static const struct row rows[] = {
        {"\"gated-gelu\"", "\"relu\"", ERR_UNSUPPORTED, "feed_forward_proj is relu"},
        {"\"d_ff\": 24,", "", ERR_CORRUPT, "lacks one of vocab_size"},
        {"\"num_layers\": 2", "\"num_layers\": 65", ERR_CORRUPT, "num_layers"},
        {"\"relative_attention_num_buckets\": 32", "\"relative_attention_num_buckets\": 30",
         ERR_UNSUPPORTED, "30 buckets"},
        {"\"vocab_size\": 400", "\"vocab_size\": 401", ERR_CORRUPT, "shared.weight"},
        {"\"num_layers\": 2", "\"num_layers\": 3", ERR_CORRUPT, "encoder.block.2."},
        {"\"num_layers\": 2", "\"num_layers\": 1", ERR_CORRUPT,
         "nobody asked for encoder.block.1."},
        {"\"d_kv\": 4", "\"d_kv\": 8", ERR_CORRUPT, "[12,16]"},
    };
    struct place p;
    make_place(&p, text_folder, "model.safetensors");
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct text *t = NULL;
        struct fail f = {0};
        write_config(p.folder, p.source, &rows[i]);
        check_row(&rows[i], text_open(&t, &p.dev, &p.pool, p.folder, TEXT_BY_SIZE, &f), &f);
        CHECK_HAS(f.text, p.folder);
        text_close(t);
    }
    drop_place(&p);
}

static void a_missing_folder_is_not_found(void) {
    struct fail f = {0};
    struct device dev = {0};
    struct pool pool;
    struct vae *v;
    struct text *t;
    CHECK_OK(device_open(&dev, "ref", &(struct device_opts){0}, &f), &f);
    pool_make(&pool, &dev, 1 << 20, 1 << 26);
    CHECK_INT(vae_open(&v, &dev, &pool, "tests/golden/none", &f), ERR_NOT_FOUND);
    CHECK_HAS(f.text, "tests/golden/none/config.json");
    CHECK_INT(text_open(&t, &dev, &pool, "tests/golden/none", TEXT_BY_SIZE, &f), ERR_NOT_FOUND);
    CHECK(v == NULL && t == NULL);
    pool_free(&pool);
    device_close(&dev);
}

/* Each allocation on the host fails in turn: nothing leaks, the failure is NOMEM. */
static void loading_survives_every_failed_allocation(void) {
    struct place p;
    make_place(&p, text_folder, "model.safetensors");
    const struct row same = {"{", "{", ERR_OK, ""};
    write_config(p.folder, p.source, &same);
    int64_t alive = mem_alive();
    int n_failed = 0;
    for (int i = 1; i < 1000; i++) {
        struct text *t = NULL;
        struct fail f = {0};
        mem_fail_nth(i);
        enum err rc = text_open(&t, &p.dev, &p.pool, p.folder, TEXT_BY_SIZE, &f);
        mem_fail_nth(0);
        text_close(t);
        pool_free(&p.pool);
        pool_make(&p.pool, &p.dev, 1 << 20, 1 << 26);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        CHECK_INT(mem_alive(), alive);
        if (rc == ERR_OK) break;
        n_failed++;
    }
    CHECK(n_failed > 10);
    drop_place(&p);
}

static const struct test tests[] = {
    TEST(a_vae_folder_that_lies_is_refused_in_words),
    TEST(a_text_folder_that_lies_is_refused_in_words),
    TEST(a_missing_folder_is_not_found),
    TEST(loading_survives_every_failed_allocation),
};
TEST_MAIN(tests)
