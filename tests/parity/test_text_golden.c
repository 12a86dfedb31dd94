/* The UMT5 encoder against transformers' UMT5EncoderModel on a mini folder with random weights
 * (train/dump_golden_text.py). There the text is padded to 512 and masked as the pipeline does;
 * here only real tokens are computed. f32 on both sides, values of about one. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/text.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

static const double tolerance = 1e-5;
static const char *const devices[] = {"ref", "cpu"};
static const char *const folder = "tests/golden/mini/text_encoder";

struct fixture {
    const char *device;
    struct device dev;
    struct pool weights, job;
    struct text *text;
    struct safetensors io;
    struct fail f;
};

static enum err open_fixture(struct fixture *x, const char *device) {
    enum err rc = ERR_OK;
    *x = (struct fixture){.device = device};
    TRY(device_open(&x->dev, device,
                    &(struct device_opts){.n_threads = 2, .precision = PRECISION_F32}, &x->f));
    pool_make(&x->weights, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 28);
    TRY(text_open(&x->text, &x->dev, &x->weights, folder, &x->f));
    TRY(safetensors_open_file(&x->io, "tests/golden/mini/text_encoder/io.safetensors", &x->f));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    safetensors_close(&x->io);
    text_close(x->text);
    pool_free(&x->job);
    pool_free(&x->weights);
    device_close(&x->dev);
}

static void check_rows(struct fixture *x, int n_tokens) {
    char name[64];
    int64_t n_ids, n;
    struct tensor rows = {0};

    snprintf(name, sizeof name, "ids_%d", n_tokens);
    int32_t *ids = golden_i32(&x->io, name, &n_ids);
    snprintf(name, sizeof name, "rows_%d", n_tokens);
    float *want = golden_f32(&x->io, name, &n), *got = mem_take((size_t)n, sizeof *got);
    CHECK_INT(n_ids, n_tokens);
    CHECK_OK(pool_take_2d(&x->job, &rows, n_tokens, x->text->config.d_model, &x->f), &x->f);
    CHECK_OK(text_encode(x->text, &rows, ids, n_tokens, &x->job, &x->f), &x->f);
    op_download(&x->dev, got, &rows);
    snprintf(name, sizeof name, "umt5 %d tokens", n_tokens);
    golden_check(name, x->device, golden_compare(got, want, n), tolerance);
    mem_free(got);
    mem_free(want);
    mem_free(ids);
    pool_reset(&x->job);
}

static void ids_become_the_rows_of_transformers(void) {
    static const int counts[] = {3, 4, 5, 8, 13, 21, 40, 200};
    for (int d = 0; d < COUNT_OF(devices); d++) {
        struct fixture x;
        CHECK_OK(open_fixture(&x, devices[d]), &x.f);
        for (int i = 0; i < COUNT_OF(counts) && x.io.n_entries > 0; i++)
            check_rows(&x, counts[i]);
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
    const int32_t ids[] = {5, 400, 1};
    CHECK_OK(open_fixture(&x, "ref"), &x.f);
    CHECK_OK(pool_take_2d(&x.job, &rows, 3, x.text->config.d_model, &x.f), &x.f);
    CHECK_INT(text_encode(x.text, &rows, ids, 3, &x.job, &x.f), ERR_CORRUPT);
    CHECK_STR(x.f.text, "the tokenizer gave id 400, the text encoder has 400 rows");
    close_fixture(&x);
}

static const struct test tests[] = {
    TEST(ids_become_the_rows_of_transformers),
    TEST(distances_fall_into_the_buckets_of_the_paper),
    TEST(an_id_outside_the_table_is_refused_in_words),
};
TEST_MAIN(tests)
