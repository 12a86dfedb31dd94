/* The image encoder against CLIPVisionModel, and what is done to a picture before it against
 * CLIPImageProcessor (train/dump_golden_variants.py).
 *
 * Tolerance: pixels are whole numbers up to the last step, so they agree but for the rounding of
 * the normalisation; rows are f32 through two layers. */
#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/vision.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

static const double pixel_tolerance = 1e-6, row_tolerance = 2e-5, bf16_tolerance = 1e-2;

static const struct {
    int width, height;
} pictures[] = {{64, 48}, {31, 77}, {28, 28}, {20, 17}, {90, 30}};

struct fixture {
    const char *label;
    bool is_bf16;
    struct device dev;
    struct pool weights, step;
    struct vision *clip;
    struct safetensors io;
    struct fail f;
};

static void check_rows(struct fixture *x, const char *picture, const float *pixels) {
    char name[64], label[96];
    int64_t n;
    struct tensor out;
    snprintf(name, sizeof name, "rows_%s", picture);
    snprintf(label, sizeof label, "clip %s%s", name, x->is_bf16 ? ", bf16 by L2" : "");
    float *want = golden_f32(&x->io, name, &n), *got = mem_take((size_t)n, sizeof *got);
    CHECK_OK(pool_take_2d(&x->step, &out, vision_n_rows(x->clip), 32, &x->f), &x->f);
    CHECK_OK(vision_encode(x->clip, &out, pixels, &x->step, &x->f), &x->f);
    CHECK_INT(n, tensor_count(&out));
    op_download(&x->dev, got, &out);
    struct golden_error e = golden_compare(got, want, n);
    if (x->is_bf16) e.max_abs = e.rel_l2;
    golden_check(label, x->label, e, x->is_bf16 ? bf16_tolerance : row_tolerance);
    mem_free(want);
    mem_free(got);
}

static void check_pictures(struct fixture *x) {
    for (int i = 0; i < COUNT_OF(pictures); i++) {
        char picture[16], name[64];
        int64_t n, n_rgb;
        snprintf(picture, sizeof picture, "%dx%d", pictures[i].width, pictures[i].height);
        snprintf(name, sizeof name, "rgb_%s", picture);
        uint8_t *rgb = golden_u8(&x->io, name, &n_rgb);
        snprintf(name, sizeof name, "pixels_%s", picture);
        float *want = golden_f32(&x->io, name, &n), *got = mem_take((size_t)n, sizeof *got);
        CHECK_INT(n, 28 * 28 * 3);
        CHECK_OK(vision_prepare(x->clip, got, rgb, pictures[i].width, pictures[i].height, &x->f),
                 &x->f);
        snprintf(name, sizeof name, "clip pixels_%s", picture);
        if (!x->is_bf16)
            golden_check(name, x->label, golden_compare(got, want, n), pixel_tolerance);
        check_rows(x, picture, want);
        mem_free(rgb);
        mem_free(want);
        mem_free(got);
    }
}

static void run(const char *device, enum precision precision) {
    struct fixture x = {.label = device, .is_bf16 = precision == PRECISION_BF16};
    enum err rc = device_open(&x.dev, device,
                              &(struct device_opts){.n_threads = 2, .precision = precision}, &x.f);
    if (rc == ERR_UNSUPPORTED && x.is_bf16) return;
    CHECK_OK(rc, &x.f);
    pool_make(&x.weights, &x.dev, 1 << 20, 1 << 26);
    pool_make(&x.step, &x.dev, 1 << 20, 1 << 26);
    CHECK_OK(vision_open(&x.clip, &x.dev, &x.weights, "tests/golden/clip", &x.f), &x.f);
    CHECK_OK(safetensors_open_file(&x.io, "tests/golden/clip/io.safetensors", &x.f), &x.f);
    if (x.clip) check_pictures(&x);
    safetensors_close(&x.io);
    vision_close(x.clip);
    pool_free(&x.step);
    pool_free(&x.weights);
    device_close(&x.dev);
}

static void pictures_are_prepared_and_encoded_as_transformers_does(void) {
    run("ref", PRECISION_F32);
    run("cpu", PRECISION_F32);
    run("cpu", PRECISION_BF16);
}

static void pictures_that_are_none_are_refused(void) {
    struct vision c = {.config = {.image_px = 28, .patch_px = 14}};
    struct fail f = {0};
    float pixels[1];
    uint8_t rgb[3] = {0};
    CHECK_INT(vision_prepare(&c, pixels, rgb, 0, 5, &f), ERR_INPUT);
    CHECK_HAS(f.text, "a picture of 0 x 5");
    f = (struct fail){0};
    CHECK_INT(vision_prepare(&c, pixels, rgb, 1, 1 << 15, &f), ERR_INPUT);
    f = (struct fail){0};
    CHECK_INT(vision_prepare(&c, pixels, rgb, 1, 1 << 14, &f), ERR_INPUT);
    CHECK_HAS(f.text, "1 x 16384 is too narrow");
}

static const struct test tests[] = {
    TEST(pictures_are_prepared_and_encoded_as_transformers_does),
    TEST(pictures_that_are_none_are_refused),
};
TEST_MAIN(tests)
