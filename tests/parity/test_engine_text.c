/* The words of a job through the door: what was encoded once is not encoded again, and damage is
 * an answer in words. On a copy of the mini folder. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine.h"
#include "engine/safetensors.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

static const char *const mini = "tests/golden/mini";

/* Everything of the folder by links, but for one file, which is a copy. */
static const char *const files[] = {
    "model_index.json",
    "scheduler/scheduler_config.json",
    "tokenizer/spiece.model",
    "text_encoder/config.json",
    "text_encoder/model.safetensors",
    "transformer/config.json",
    "transformer/diffusion_pytorch_model.safetensors",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
};

static void copy(const char *from, const char *to) {
    char *bytes = mem_take(1 << 20, 1);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    size_t n = in ? fread(bytes, 1, 1 << 20, in) : 0;
    CHECK(n > 0 && n < 1 << 20 && out && fwrite(bytes, 1, n, out) == n);
    if (in) fclose(in);
    if (out) fclose(out);
    mem_free(bytes);
}

static const char *make_folder(void) {
    static const char *const dirs[] = {"scheduler", "tokenizer", "text_encoder", "transformer",
                                       "vae"};
    const char *folder = temp_dir();
    char from[512], to[512];
    for (int i = 0; i < COUNT_OF(dirs); i++) {
        snprintf(to, sizeof to, "%s/%s", folder, dirs[i]);
        CHECK_INT(mkdir(to, 0700), 0);
    }
    for (int i = 0; i < COUNT_OF(files); i++) {
        snprintf(from, sizeof from, "%s/%s", mini, files[i]);
        snprintf(to, sizeof to, "%s/%s", folder, files[i]);
        copy(from, to);
    }
    return folder;
}

struct heard {
    int n_cache, n_infinite;
};

static void on_log(void *ctx, const char *event, const char *text) {
    struct heard *h = ctx;
    (void)text;
    h->n_cache += strcmp(event, "embed.cache") == 0;
    h->n_infinite += strcmp(event, "weights.infinite") == 0;
}

static struct engine *open_engine(const char *folder, const char *cache, int n_threads,
                                  struct heard *h) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_opts o = {.n_threads = n_threads, .cache_dir = cache};
    o.hooks.log = on_log;
    o.hooks.ctx = h;
    CHECK_OK(engine_open(&e, folder, &o, &f), &f);
    return e;
}

/* Both prompts as one run of numbers, to be freed. */
static float *encode(struct engine *e, const char *prompt, int64_t *n, struct fail *f) {
    struct engine_words w = {0};
    enum err rc = engine_encode_text(e, &w, prompt, "blurry", f);
    float *all = NULL;
    *n = 0;
    if (rc == ERR_OK) {
        int64_t a = tensor_count(&w.rows), b = tensor_count(&w.negative_rows);
        all = mem_take((size_t)(a + b), sizeof *all);
        memcpy(all, w.rows.data, (size_t)a * sizeof *all);
        memcpy(all + a, w.negative_rows.data, (size_t)b * sizeof *all);
        *n = a + b;
    }
    engine_job_end(e);
    return all;
}

static int count_files(const char *folder) {
    DIR *dir = opendir(folder);
    int n = 0;
    for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir))
        n += strstr(d->d_name, ".emb") != NULL;
    if (dir) closedir(dir);
    return n;
}

static void words_are_encoded_once(void) {
    const char *cache = temp_dir();
    struct heard heard = {0};
    float *first = NULL;
    int64_t n_first = 0;
    for (int i = 0; i < 3; i++) { /* fresh, from the cache of another run, without one */
        struct fail f = {0};
        int64_t n;
        struct engine *e = open_engine(mini, i < 2 ? cache : NULL, 1 + i, &heard);
        float *got = encode(e, "a red ball", &n, &f);
        CHECK(got != NULL && n > 0);
        CHECK_INT(count_files(cache), 2);
        if (i == 0) {
            first = got;
            n_first = n;
        } else {
            CHECK(n == n_first && got && memcmp(got, first, (size_t)n * sizeof *got) == 0);
            mem_free(got);
        }
        engine_close(e);
    }
    mem_free(first);
    CHECK_INT(heard.n_cache, 0);
}

static void an_encoder_that_changed_is_another_encoder(void) {
    const char *folder = make_folder(), *cache = temp_dir();
    char path[512];
    for (int i = 0; i < 2; i++) {
        struct fail f = {0};
        struct heard heard = {0};
        int64_t n;
        struct engine *e = open_engine(folder, cache, 1, &heard);
        mem_free(encode(e, "a red ball", &n, &f));
        CHECK_INT(count_files(cache), 2 * (i + 1));
        engine_close(e);
        snprintf(path, sizeof path, "%s/text_encoder/model.safetensors", folder);
        copy("tests/golden/mini/text_encoder/model.safetensors", path); /* another time stamp */
    }
}

static void a_cache_that_cannot_be_used_is_told_and_done_without(void) {
    struct fail f = {0};
    struct heard heard = {0};
    int64_t n;
    struct engine *e = open_engine(mini, "/proc/none", 1, &heard);
    CHECK_INT(heard.n_cache, 1);
    float *got = encode(e, "a red ball", &n, &f);
    CHECK(got != NULL);
    mem_free(got);
    engine_close(e);
}

/* One value of the tensor that the file lists first becomes NaN. */
static void damage(const char *path) {
    struct safetensors s;
    struct fail f = {0};
    CHECK_OK(safetensors_open_file(&s, path, &f), &f);
    struct safetensors_entry *e = safetensors_find(&s, "encoder.final_layer_norm.weight");
    CHECK(e && e->dtype == DTYPE_F16);
    FILE *file = fopen(path, "r+b");
    CHECK(file && e && fseek(file, (long)e->offset, SEEK_SET) == 0 && fputc(0, file) != EOF &&
          fputc(0x7e, file) != EOF);
    if (file) fclose(file);
    safetensors_close(&s);
}

static void weights_that_are_no_numbers_are_warned_of_and_refused_at_the_output(void) {
    const char *folder = make_folder();
    struct fail f = {0};
    struct heard heard = {0};
    char path[512];
    int64_t n;
    snprintf(path, sizeof path, "%s/text_encoder/model.safetensors", folder);
    damage(path);
    struct engine *e = open_engine(folder, NULL, 1, &heard);
    CHECK_INT(heard.n_infinite, 1);
    CHECK(encode(e, "a red ball", &n, &f) == NULL);
    CHECK_INT(f.code, ERR_CORRUPT);
    CHECK_HAS(f.text, "text_encoder made rows that are not numbers: its weights are damaged");
    engine_close(e);
}

static void an_encoder_that_is_cut_after_it_was_opened_is_refused(void) {
    const char *folder = make_folder();
    struct fail f = {0};
    struct heard heard = {0};
    char path[512];
    int64_t n;
    struct engine *e = open_engine(folder, NULL, 1, &heard);
    snprintf(path, sizeof path, "%s/text_encoder/model.safetensors", folder);
    CHECK_INT(truncate(path, 4096), 0);
    CHECK(encode(e, "a red ball", &n, &f) == NULL);
    CHECK_INT(f.code, ERR_CORRUPT);
    CHECK_HAS(f.text, "model.safetensors");
    engine_close(e);
}

static const struct test tests[] = {
    TEST(words_are_encoded_once),
    TEST(an_encoder_that_changed_is_another_encoder),
    TEST(a_cache_that_cannot_be_used_is_told_and_done_without),
    TEST(weights_that_are_no_numbers_are_warned_of_and_refused_at_the_output),
    TEST(an_encoder_that_is_cut_after_it_was_opened_is_refused),
};
TEST_MAIN(tests)
