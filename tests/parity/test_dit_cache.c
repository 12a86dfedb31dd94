/* First block cache against diffusers (train/dump_golden_tasks.py): which passes are skipped, and
 * what comes out of them. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/dit.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { TEXT_ROWS = 512, F = 3, H = 4, W = 6, PASSES = 4 };
static const double tolerance = 5e-5;

/* As CACHED in the script. */
static const struct {
    double scale, t;
} passes[PASSES] = {{1.0, 999}, {1.01, 999}, {0.5, 400}, {0.505, 400}};

struct fixture {
    struct device dev;
    struct pool pool, step;
    struct dit *dit;
    struct safetensors io;
    struct dit_text text;
    struct dit_shape shape;
    struct tensor latent, out;
    float *base; /* host */
    int64_t n;
    struct dit_cache cache;
    struct fail f;
};

static enum err open_fixture(struct fixture *x, const char *device) {
    enum err rc = ERR_OK;
    int64_t n_rows;
    struct tensor rows;
    struct device_opts o = {.n_threads = 2, .precision = PRECISION_F32};
    *x = (struct fixture){0};
    TRY(device_open(&x->dev, device, &o, &x->f));
    pool_make(&x->pool, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->step, &x->dev, 1 << 20, 1 << 26);
    TRY(dit_open(&x->dit, &x->dev, &x->pool, "tests/golden/dit_cells", NULL, &x->f));
    TRY(safetensors_open_file(&x->io, "tests/golden/dit_cells/io.safetensors", &x->f));
    x->base = golden_f32(&x->io, "latent", &x->n);
    float *words = golden_f32(&x->io, "rows", &n_rows);
    int64_t C = x->dit->config.in_channels, text_dim = x->dit->config.text_dim;
    TRY(pool_take_4d(&x->pool, &x->latent, F, H, W, C, &x->f));
    TRY(pool_take_4d(&x->pool, &x->out, F, H, W, C, &x->f));
    TRY(pool_take_2d(&x->pool, &rows, n_rows / text_dim, text_dim, &x->f));
    op_upload(&x->dev, &rows, words);
    mem_free(words);
    TRY(dit_text_make(x->dit, &x->text, &rows, TEXT_ROWS, &x->pool, &x->step, &x->f));
    TRY(dit_shape_make(x->dit, &x->shape, F, H, W, &x->pool, &x->f));
    TRY(dit_cache_make(&x->cache, &x->dev, 0.1, F * H * W, dit_config_width(&x->dit->config),
                       &x->pool, &x->f));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    dit_cache_free(&x->cache);
    mem_free(x->base);
    safetensors_close(&x->io);
    dit_close(x->dit);
    pool_free(&x->step);
    pool_free(&x->pool);
    device_close(&x->dev);
}

static void pass(struct fixture *x, float *out, int i, struct dit_cache *cache) {
    struct dit_times t = {.n = 1, .value = {passes[i].t}};
    struct dit_input in = {
        .latent = &x->latent, .times = &t, .text = &x->text, .shape = &x->shape, .cache = cache};
    float *scaled = mem_take((size_t)x->n, sizeof *scaled);
    for (int64_t k = 0; k < x->n; k++)
        scaled[k] = (float)((double)x->base[k] * passes[i].scale);
    op_upload(&x->dev, &x->latent, scaled);
    CHECK_OK(dit_forward(x->dit, &x->out, &in, &x->step, &x->f), &x->f);
    op_download(&x->dev, out, &x->out);
    mem_free(scaled);
}

static void run_device(const char *device, const struct safetensors *golden) {
    struct fixture x;
    int64_t n;
    CHECK_OK(open_fixture(&x, device), &x.f);
    float *want = golden_f32(golden, "cached", &n);
    float *got = mem_take((size_t)(PASSES * x.n), sizeof *got);
    float *plain = mem_take((size_t)x.n, sizeof *plain);
    CHECK_INT(n, PASSES * x.n);
    for (int i = 0; i < PASSES; i++)
        pass(&x, got + i * x.n, i, &x.cache);
    CHECK_INT(x.cache.n_run, 2);
    CHECK_INT(x.cache.n_skipped, 2);
    golden_check("first block cache", device, golden_compare(got, want, n), tolerance);
    pass(&x, plain, 2, NULL);
    CHECK(memcmp(plain, got + 2 * x.n, (size_t)x.n * sizeof *got) == 0); /* it ran in full */
    dit_cache_reset(&x.cache);
    pass(&x, plain, 3, &x.cache);
    CHECK_INT(x.cache.n_run, 3);
    mem_free(want);
    mem_free(got);
    mem_free(plain);
    close_fixture(&x);
}

static void passes_are_skipped_as_diffusers_does(void) {
    struct safetensors golden;
    struct fail f = {0};
    CHECK_OK(safetensors_open_file(&golden, "tests/golden/tasks/io.safetensors", &f), &f);
    run_device("ref", &golden);
    run_device("cpu", &golden);
    safetensors_close(&golden);
}

static const struct test tests[] = {TEST(passes_are_skipped_as_diffusers_does)};
TEST_MAIN(tests)
