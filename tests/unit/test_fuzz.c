/* The corpora of the fuzzers without a fuzzer: every seed, its beginnings, and the seed with a byte
 * changed here and there go through the function that the fuzzer drives. */
#include <dirent.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/file.h"
#include "tests/fuzz/fuzz.h"
#include "tests/lib/check.h"

enum { SEED_BYTES_MAX = 1 << 20, CHANGES = 32 };

struct target {
    const char *name;
    fuzz_fn run;
    const char *fixture; /* a good file beside the corpus, or NULL */
};

static const struct target targets[] = {
    {"fz_safetensors", fz_safetensors, "tests/golden/mini/text_encoder/model.safetensors"},
    {"fz_model_index", fz_model_index, "tests/golden/mini/model_index.json"},
    {"fz_tokenizer", fz_tokenizer, "tests/golden/mini/tokenizer/spiece.model"},
    {"fz_prompt", fz_prompt, NULL},
    {"fz_json", fz_json, "tests/golden/mini/vae/config.json"},
    {"fz_lora", fz_lora, NULL},
};

/* The exact bytes in a block of their own, so that a sanitizer sees a step beyond them. */
static void run_part(const struct target *t, const char *bytes, size_t n) {
    uint8_t *own = mem_take(n, 1);
    memcpy(own, bytes, n);
    t->run(own, n);
    mem_free(own);
}

static void run_seed(const struct target *t, const char *path) {
    struct fail f = {0};
    char *bytes = NULL;
    size_t n = 0;
    uint64_t state = 1;
    CHECK_OK(file_take(&bytes, &n, path, SEED_BYTES_MAX, &f), &f);
    run_part(t, bytes, n);
    for (size_t i = 1; i < CHANGES && n > 0; i++)
        run_part(t, bytes, n * i / CHANGES);
    for (int i = 0; i < CHANGES && n > 0; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        char *at = &bytes[(state >> 33) % n], kept = *at;
        *at = (char)(state >> 20);
        run_part(t, bytes, n);
        *at = kept;
    }
    mem_free(bytes);
}

static int run_corpus(const struct target *t) {
    char folder[256], path[1024];
    int n = 0;
    snprintf(folder, sizeof folder, "tests/fuzz/corpus/%s", t->name);
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    for (struct dirent *d = dir ? readdir(dir) : NULL; d; d = readdir(dir)) {
        if (d->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        run_seed(t, path);
        n++;
    }
    if (dir) closedir(dir);
    return n;
}

static void no_seed_breaks_a_promise(void) {
    int64_t alive = mem_alive();
    for (int i = 0; i < COUNT_OF(targets); i++) {
        int n = run_corpus(&targets[i]);
        if (targets[i].fixture) run_seed(&targets[i], targets[i].fixture);
        printf("  %-16s %d seeds\n", targets[i].name, n);
        CHECK(n >= 3);
        if (i == 0) CHECK_INT(mem_alive(), alive); /* others keep what they opened once */
    }
}

static const struct test tests[] = {TEST(no_seed_breaks_a_promise)};
TEST_MAIN(tests)
