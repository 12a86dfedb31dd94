/* Two experts (Wan 2.2 A14B) against WanPipeline with a boundary and a scale of guidance for each
 * (train/dump_golden_variants.py): six steps, the first three of them of the early one.
 *
 * Tolerance: as in test_dit_golden.c, twelve forward passes each fed by the one before, guided. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/denoise.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { TEXT_ROWS = 512, F = 3, H = 4, W = 6, C = 4, STEPS = 6 };
static const double tolerance = 5e-5;

struct expert {
    struct dit *dit;
    struct pool weights;
    struct dit_text words, negative;
};

struct fixture {
    const char *device;
    struct device dev;
    struct pool job, step;
    struct expert expert[2];
    struct safetensors io;
    struct fail f;
};

static enum err make_text(struct fixture *x, struct expert *e, struct dit_text *out,
                          const char *name) {
    enum err rc = ERR_OK;
    int64_t n;
    struct tensor rows;
    float *host = golden_f32(&x->io, name, &n);
    TRY(pool_take_2d(&x->job, &rows, 7, n / 7, &x->f));
    op_upload(&x->dev, &rows, host);
    TRY(dit_text_make(e->dit, out, &rows, TEXT_ROWS, &x->job, &x->step, &x->f));
out:
    mem_free(host);
    return rc;
}

static enum err open_expert(struct fixture *x, struct expert *e, const char *part) {
    enum err rc = ERR_OK;
    char path[128];
    snprintf(path, sizeof path, "tests/golden/experts/%s", part);
    pool_make(&e->weights, &x->dev, 1 << 20, 1 << 26);
    TRY(dit_open(&e->dit, &x->dev, &e->weights, path, NULL, &x->f));
    TRY(make_text(x, e, &e->words, "rows"));
    TRY(make_text(x, e, &e->negative, "negative"));
out:
    return rc;
}

static enum err open_all(struct fixture *x) {
    enum err rc = ERR_OK;
    struct device_opts o = {.n_threads = 2, .precision = PRECISION_F32};
    TRY(device_open(&x->dev, x->device, &o, &x->f));
    pool_make(&x->job, &x->dev, 1 << 20, 1 << 26);
    pool_make(&x->step, &x->dev, 1 << 20, 1 << 26);
    TRY(safetensors_open_file(&x->io, "tests/golden/experts/io.safetensors", &x->f));
    TRY(open_expert(x, &x->expert[0], "transformer"));
    TRY(open_expert(x, &x->expert[1], "transformer_2"));
out:
    return rc;
}

static void close_all(struct fixture *x) {
    safetensors_close(&x->io);
    for (int i = 0; i < 2; i++) {
        dit_close(x->expert[i].dit);
        pool_free(&x->expert[i].weights);
    }
    pool_free(&x->step);
    pool_free(&x->job);
    device_close(&x->dev);
}

static struct flow_expert of(const struct expert *e) {
    return (struct flow_expert){.dit = e->dit, .words = &e->words, .negative = &e->negative};
}

static void check_path(struct fixture *x) {
    int64_t n;
    float *noise = golden_f32(&x->io, "latent", &n), *want = golden_f32(&x->io, "out", &n);
    float *got = mem_take((size_t)n, sizeof *got);
    struct flow_in in = {.early = of(&x->expert[0]),
                         .late = of(&x->expert[1]),
                         .boundary = 875,
                         .guidance = {.scale = 4, .scale_late = 3, .from = 1},
                         .L = F,
                         .h = H,
                         .w = W,
                         .C = C};
    struct denoise_canvas canvas = {0};
    struct denoise_opts o = {.kind = SAMPLER_UNIPC, .noise = noise};
    CHECK_INT(n, F * H * W * C);
    CHECK_OK(schedule_unipc(&o.schedule, STEPS, 5, &x->f), &x->f);
    CHECK_OK(denoise_run(got, &in, &canvas, &o, &x->job, &x->step, &x->f), &x->f);
    golden_check("two experts, guided latents", x->device, golden_compare(got, want, n), tolerance);
    mem_free(noise);
    mem_free(want);
    mem_free(got);
}

static void two_experts_share_one_run(void) {
    static const char *const devices[] = {"ref", "cpu"};
    for (int d = 0; d < COUNT_OF(devices); d++) {
        struct fixture x = {.device = devices[d]};
        enum err rc = open_all(&x);
        CHECK_OK(rc, &x.f);
        if (rc == ERR_OK) check_path(&x);
        close_all(&x);
    }
}

static const struct test tests[] = {
    TEST(two_experts_share_one_run),
};
TEST_MAIN(tests)
