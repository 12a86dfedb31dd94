/* Whole models on a CUDA device (or its emulator) against the oracle: a clip of the mini folder
 * from its words to its frames, a clip into latents, and a text encoder whose matrices stay in
 * files. In the emulator host code that touches memory of the device dies. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine.h"
#include "engine/text.h"
#include "tests/lib/check.h"
#include "tests/lib/cuda_device.h"
#include "tests/lib/golden.h"

enum { WIDTH = 64, HEIGHT = 32, FRAMES = 5, STEPS = 2, FRAME_BYTES = WIDTH * HEIGHT * 3 };

static const char *const mini = "tests/golden/mini";

static const struct way {
    const char *device;
    enum precision precision;
    double tolerance, psnr_db;
} ways[] = {{"ref", PRECISION_F32, 0, 0},
            {"cuda", PRECISION_F32, 1e-4, 55},
            {"cuda", PRECISION_BF16, 3e-2, 35}};

struct clip {
    float *latent, *encoded;
    int64_t n_latent, n_encoded;
    uint8_t rgb[FRAMES * FRAME_BYTES];
    int n_frames;
};

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct clip *c = ctx;
    (void)f;
    CHECK_INT(index, c->n_frames++);
    memcpy(c->rgb + index * FRAME_BYTES, rgb, FRAME_BYTES);
    return ERR_OK;
}

static float *copy_of(const struct tensor *t, int64_t *n) {
    *n = tensor_count(t);
    float *p = mem_take((size_t)*n, sizeof *p);
    ASSERT(p);
    memcpy(p, t->data, tensor_bytes(t));
    return p;
}

/* Frames that are the same for all: stripes that move. */
static void paint(uint8_t *rgb) {
    for (int t = 0; t < FRAMES; t++)
        for (int i = 0; i < FRAME_BYTES; i++)
            rgb[t * FRAME_BYTES + i] =
                (uint8_t)(i / 3 % WIDTH * 3 + i / 3 / WIDTH * 5 + t * 9 + i % 3 * 40);
}

static enum err make_clip(struct clip *c, struct engine *e, struct fail *f) {
    enum err rc = ERR_OK;
    static uint8_t painted[FRAMES * FRAME_BYTES];
    struct engine_words words;
    struct engine_params p = {.seed = 3, .n_steps = STEPS, .guidance = 2};
    struct canvas canvas = {FRAMES, WIDTH, HEIGHT};
    struct engine_clip given = {painted, canvas};
    struct tensor latent;
    paint(painted);
    TRY(engine_encode_text(e, &words, "a red ball", NULL, f));
    TRY(engine_denoise(e, &latent, &canvas, NULL, &words, &p, f));
    c->latent = copy_of(&latent, &c->n_latent);
    TRY(engine_decode(e, &latent, on_frame, c, f));
    TRY(engine_encode_video(e, &latent, &given, f));
    c->encoded = copy_of(&latent, &c->n_encoded);
out:
    return rc;
}

static double psnr(const struct clip *a, const struct clip *b) {
    double sum = 0;
    for (size_t i = 0; i < sizeof a->rgb; i++)
        sum += ((double)a->rgb[i] - b->rgb[i]) * ((double)a->rgb[i] - b->rgb[i]);
    return sum == 0 ? 99 : 10 * log10(255.0 * 255.0 * (double)sizeof a->rgb / sum);
}

static void a_clip_is_the_same_as_on_the_oracle(void) {
    static struct clip clips[COUNT_OF(ways)];
    const char *reason;
    if (!cuda_device_find(&reason)) {
        test_skip(reason);
        return;
    }
    for (int i = 0; i < COUNT_OF(ways); i++) {
        struct fail f = {0};
        struct engine *e = NULL;
        struct engine_opts o = {.device = ways[i].device, .precision = ways[i].precision};
        CHECK_OK(engine_open(&e, mini, &o, &f), &f);
        if (!e) break;
        enum err rc = make_clip(&clips[i], e, &f);
        CHECK_OK(rc, &f);
        engine_close(e);
        if (i == 0 || rc != ERR_OK) continue;
        char label[64];
        snprintf(label, sizeof label, "mini latent, %s", device_precision_name(ways[i].precision));
        golden_check(label, cuda_device_label(),
                     golden_compare(clips[i].latent, clips[0].latent, clips[0].n_latent),
                     ways[i].tolerance);
        snprintf(label, sizeof label, "mini encoded, %s", device_precision_name(ways[i].precision));
        golden_check(label, cuda_device_label(),
                     golden_compare(clips[i].encoded, clips[0].encoded, clips[0].n_encoded),
                     ways[i].tolerance * 3);
        double db = psnr(&clips[i], &clips[0]);
        printf("     %s: PSNR %.1f dB, %.0f are needed\n", label, db, ways[i].psnr_db);
        CHECK(db >= ways[i].psnr_db);
    }
    for (int i = 0; i < COUNT_OF(ways); i++) {
        mem_free(clips[i].latent);
        mem_free(clips[i].encoded);
    }
}

static enum err encode(float *out, int64_t n, const char *device, enum text_place place,
                       struct fail *f) {
    enum err rc = ERR_OK;
    static const int32_t ids[] = {7, 3, 12, 5, 1};
    struct device dev = {0};
    struct pool pool;
    struct text *t = NULL;
    struct tensor rows;
    struct text_ids text = {ids, COUNT_OF(ids)};
    struct device_opts o = {.precision = PRECISION_F32};
    TRY(device_open(&dev, device, &o, f));
    pool_make(&pool, &dev, 1 << 20, 1 << 28);
    TRY(text_open(&t, &dev, &pool, "tests/golden/mini/text_encoder", place, f));
    ASSERT(t->config.d_model * COUNT_OF(ids) <= n);
    TRY(pool_take_2d(&pool, &rows, COUNT_OF(ids), t->config.d_model, f));
    TRY(text_encode(t, &rows, &text, 1, &pool, f));
    op_download(&dev, out, &rows);
    TRY(op_check(&dev, f));
out:
    text_close(t);
    if (dev.ops) pool_free(&pool);
    device_close(&dev);
    return rc;
}

static void mapped_matrices_are_brought_to_the_device(void) {
    enum { N = 8192 };
    static float want[N], got[N];
    const char *reason;
    struct fail f = {0};
    if (!cuda_device_find(&reason)) {
        test_skip(reason);
        return;
    }
    CHECK_OK(encode(want, N, "ref", TEXT_LOADED, &f), &f);
    CHECK_OK(encode(got, N, "cuda", TEXT_MAPPED, &f), &f);
    golden_check("mini words, mapped", cuda_device_label(), golden_compare(got, want, N), 1e-5);
}

static const struct test tests[] = {
    TEST(mapped_matrices_are_brought_to_the_device),
    TEST(a_clip_is_the_same_as_on_the_oracle),
};
TEST_MAIN(tests)
