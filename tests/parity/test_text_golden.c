/* The UMT5 encoder against transformers' UMT5EncoderModel on a mini folder with random weights
 * (train/dump_golden_text.py). There the text is padded to 512 and masked as the pipeline does;
 * here only real tokens are computed. Values are of about one. Weights are loaded, or read from the
 * mapped file; f32 against f32, bf16 by angle and relative distance. */
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/text.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"
#include "tests/lib/temp.h"

static const double tolerance = 1e-5, bf16_distance = 1e-2, bf16_cosine = 0.999;
static const char *const folder = "tests/golden/mini/text_encoder";
static const int counts[] = {3, 4, 5, 8, 13, 21, 40, 200};

static const struct way {
    const char *name, *device;
    enum precision precision;
    enum text_place place;
} ways[] = {
    {"", "ref", PRECISION_F32, TEXT_LOADED},  {", mapped", "ref", PRECISION_F32, TEXT_MAPPED},
    {"", "cpu", PRECISION_F32, TEXT_LOADED},  {", mapped", "cpu", PRECISION_F32, TEXT_MAPPED},
    {"", "cpu", PRECISION_BF16, TEXT_LOADED}, {", mapped", "cpu", PRECISION_BF16, TEXT_MAPPED},
};

struct fixture {
    const struct way *way;
    struct device dev;
    struct pool weights, job;
    struct text *text;
    struct safetensors io;
    struct fail f;
};

static enum err open_at(struct fixture *x, const struct way *way, const char *path) {
    enum err rc = ERR_OK;
    *x = (struct fixture){.way = way};
    struct device_opts opts = {.n_threads = 2, .precision = way->precision};
    TRY(device_open(&x->dev, way->device, &opts, &x->f));
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 28);
    TRY(text_open(&x->text, &x->dev, &x->weights, path, way->place, &x->f));
    TRY(safetensors_open_file(&x->io, "tests/golden/mini/text_encoder/io.safetensors", &x->f));
out:
    return rc;
}

static enum err open_fixture(struct fixture *x, const struct way *way) {
    return open_at(x, way, folder);
}

static void close_fixture(struct fixture *x) {
    safetensors_close(&x->io);
    text_close(x->text);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

static struct text_ids take_ids(struct fixture *x, int n_tokens) {
    char name[64];
    int64_t n;
    snprintf(name, sizeof name, "ids_%d", n_tokens);
    struct text_ids ids = {golden_i32(&x->io, name, &n), n_tokens};
    CHECK_INT(n, n_tokens);
    return ids;
}

static void check_distance(const char *name, const float *got, const float *want, int64_t n) {
    double dot = 0, a = 0, b = 0, d = 0;
    for (int64_t i = 0; i < n; i++) {
        double g = (double)got[i], w = (double)want[i];
        dot += g * w, a += g * g, b += w * w, d += (g - w) * (g - w);
    }
    printf("  %s bf16: cosine %.6f, relative distance %.2e\n", name, dot / sqrt(a * b),
           sqrt(d / b));
    CHECK(dot / sqrt(a * b) >= bf16_cosine);
    CHECK(sqrt(d / b) <= bf16_distance);
}

static void check_rows(struct fixture *x, int n_tokens) {
    char name[64];
    int64_t n;
    struct tensor rows = {0};

    struct text_ids ids = take_ids(x, n_tokens);
    snprintf(name, sizeof name, "rows_%d", n_tokens);
    float *want = golden_f32(&x->io, name, &n), *got = mem_take((size_t)n, sizeof *got);
    CHECK_OK(pool_take_2d(&x->job, &rows, n_tokens, x->text->config.d_model, &x->f), &x->f);
    CHECK_OK(text_encode(x->text, &rows, &ids, 1, &x->job, &x->f), &x->f);
    op_download(&x->dev, got, &rows);
    snprintf(name, sizeof name, "umt5 %d tokens%s", n_tokens, x->way->name);
    if (x->way->precision == PRECISION_F32)
        golden_check(name, x->way->device, golden_compare(got, want, n), tolerance);
    else
        check_distance(name, got, want, n);
    mem_free(got);
    mem_free(want);
    mem_free((int32_t *)(uintptr_t)ids.id);
    pool_reset(&x->job);
}

static void ids_become_the_rows_of_transformers(void) {
    for (int w = 0; w < COUNT_OF(ways); w++) {
        struct fixture x;
        CHECK_OK(open_fixture(&x, &ways[w]), &x.f);
        CHECK(x.text && (x.text->map != NULL) == (ways[w].place == TEXT_MAPPED));
        for (int i = 0; i < COUNT_OF(counts) && x.io.n_entries > 0; i++)
            check_rows(&x, counts[i]);
        close_fixture(&x);
    }
}

static void texts_together_are_the_texts_alone(void) {
    enum { N = 3, TOKENS = 8 + 40 + 3 };
    for (int w = 0; w < COUNT_OF(ways); w++) {
        struct fixture x;
        struct text_ids ids[N];
        struct tensor all = {0};
        int64_t first = 0;
        CHECK_OK(open_fixture(&x, &ways[w]), &x.f);
        for (int i = 0; i < N; i++)
            ids[i] = take_ids(&x, (int[]){8, 40, 3}[i]);
        CHECK_OK(pool_take_2d(&x.job, &all, TOKENS, x.text->config.d_model, &x.f), &x.f);
        CHECK_OK(text_encode(x.text, &all, ids, N, &x.job, &x.f), &x.f);
        for (int i = 0; i < N; i++) {
            struct tensor one, part = tensor_rows(&all, first, ids[i].n);
            CHECK_OK(pool_take_2d(&x.job, &one, ids[i].n, x.text->config.d_model, &x.f), &x.f);
            CHECK_OK(text_encode(x.text, &one, &ids[i], 1, &x.job, &x.f), &x.f);
            /* Host memory on every device there is; sums may be in another order. */
            for (int64_t k = 0; k < tensor_count(&one); k++)
                CHECK_NEAR((double)((float *)one.data)[k], (double)((float *)part.data)[k], 1e-5);
            first += ids[i].n;
            mem_free((int32_t *)(uintptr_t)ids[i].id);
        }
        close_fixture(&x);
    }
}

static void copy_file(const char *to_folder, const char *name) {
    static char bytes[1 << 16];
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *from = fopen(path, "rb");
    snprintf(path, sizeof path, "%s/%s", to_folder, name);
    FILE *to = fopen(path, "wb");
    CHECK(from && to);
    size_t n = from ? fread(bytes, 1, sizeof bytes, from) : 0;
    CHECK(n > 0 && n < sizeof bytes && to && fwrite(bytes, 1, n, to) == n);
    if (from) fclose(from);
    if (to) fclose(to);
}

static enum err cut_before_the_second(void *path, int layer, struct fail *f) {
    (void)f;
    if (layer == 1) CHECK_INT(truncate(path, 4096), 0);
    return ERR_OK;
}

static void a_file_that_is_cut_while_it_is_read_is_told_in_words(void) {
    for (int w = 0; w < COUNT_OF(ways); w++) {
        const char *dir = temp_dir();
        char path[512];
        struct fixture x;
        struct tensor rows = {0};
        snprintf(path, sizeof path, "%s/model.safetensors", dir);
        copy_file(dir, "config.json");
        copy_file(dir, "model.safetensors");
        CHECK_OK(open_at(&x, &ways[w], dir), &x.f);
        struct text_ids ids = take_ids(&x, 8);
        CHECK_OK(pool_take_2d(&x.job, &rows, 8, x.text->config.d_model, &x.f), &x.f);
        x.text->on_layer = cut_before_the_second;
        x.text->ctx = path;
        CHECK_INT(text_encode(x.text, &rows, &ids, 1, &x.job, &x.f), ERR_CORRUPT);
        CHECK_HAS(x.f.text, "model.safetensors");
        CHECK_HAS(x.f.text, "while it was in use");
        mem_free((int32_t *)(uintptr_t)ids.id);
        close_fixture(&x);
    }
}

static void distances_fall_into_the_buckets_of_the_paper(void) {
    static const struct {
        int distance, bucket;
    } rows[] = {
        {0, 0},    {1, 17},   {-1, 1},   {7, 23},    {-7, 7},    {8, 24},   {-8, 8},
        {11, 24},  {12, 25},  {-12, 9},  {15, 25},   {16, 26},   {-16, 10}, {22, 26},
        {23, 27},  {-23, 11}, {31, 27},  {32, 28},   {-32, 12},  {45, 28},  {46, 29},
        {-46, 13}, {63, 29},  {64, 30},  {-64, 14},  {90, 30},   {91, 31},  {-91, 15},
        {127, 31}, {128, 31}, {200, 31}, {-200, 15}, {-511, 15},
    };
    struct text_config c = {.n_buckets = 32, .max_distance = 128};
    for (int i = 0; i < COUNT_OF(rows); i++)
        CHECK_INT(text_bucket(&c, rows[i].distance), rows[i].bucket);
}

static void an_id_outside_the_table_is_refused_in_words(void) {
    struct fixture x;
    struct tensor rows = {0};
    const struct text_ids ids = {(const int32_t[]){5, 400, 1}, 3};
    CHECK_OK(open_fixture(&x, &ways[0]), &x.f);
    CHECK_OK(pool_take_2d(&x.job, &rows, 3, x.text->config.d_model, &x.f), &x.f);
    CHECK_INT(text_encode(x.text, &rows, &ids, 1, &x.job, &x.f), ERR_CORRUPT);
    CHECK_STR(x.f.text, "the tokenizer gave id 400, the text encoder has 400 rows");
    close_fixture(&x);
}

static const struct test tests[] = {
    TEST(ids_become_the_rows_of_transformers),
    TEST(texts_together_are_the_texts_alone),
    TEST(a_file_that_is_cut_while_it_is_read_is_told_in_words),
    TEST(distances_fall_into_the_buckets_of_the_paper),
    TEST(an_id_outside_the_table_is_refused_in_words),
};
TEST_MAIN(tests)
