/* Models that are told given frames in channels, in rows of pictures or in a control volume,
 * against the whole pipelines of diffusers (train/dump_golden_variants.py): mini transformers
 * between the other parts of the mini folder, the noise, words and picture of
 * test_pipeline_golden.c.
 *
 * Tolerance: that of the latents there. */
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine_adapt.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"
#include "tests/lib/temp.h"

enum { WIDTH = 96, HEIGHT = 64, FRAMES = 9, SEED = 7, STEPS = 4, FRAME = WIDTH * HEIGHT * 3 };

static const double tolerance = 1e-4;
static const double guidance = 3;
static const char *const prompt = "A red ball\xef\xbc\x8cthe  caf\xc3\xa9 &amp; a \xf0\x9f\x99\x82";
static const char *const negative = "dark";

static char folder[PATH_MAX];

static void link_part(const char *from, const char *as) {
    char whole[PATH_MAX], to[PATH_MAX + 32];
    CHECK(realpath(from, whole) != NULL);
    snprintf(to, sizeof to, "%s/%s", folder, as);
    CHECK_INT(symlink(whole, to), 0);
}

static void make_folder(const char *transformer) {
    static const char *const parts[] = {"scheduler", "text_encoder", "tokenizer", "vae"};
    static const char index[] =
        "{\"image_encoder\":[\"transformers\",\"CLIPVisionModel\"],\"boundary_ratio\":null}";
    char path[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", temp_dir());
    for (int i = 0; i < COUNT_OF(parts); i++) {
        snprintf(path, sizeof path, "tests/golden/mini/%s", parts[i]);
        link_part(path, parts[i]);
    }
    link_part("tests/golden/clip", "image_encoder");
    snprintf(path, sizeof path, "tests/golden/pipelines/%s", transformer);
    link_part(path, "transformer");
    snprintf(path, sizeof path, "%.4000s/model_index.json", folder);
    FILE *file = fopen(path, "wb");
    CHECK(file && fputs(index, file) >= 0);
    if (file) fclose(file);
}

/* image() of the script, rolled to the right, or turned into its negative. */
static void paint(uint8_t *out, int roll, bool is_negative) {
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int c = 0; c < 3; c++) {
                int from = (x - roll + WIDTH) % WIDTH;
                uint8_t v = (uint8_t)(y * 3 + from * 2 + c * 60 + (y / 16 + from / 16) % 2 * 40);
                *out++ = is_negative ? (uint8_t)(255 - v) : v;
            }
}

static struct engine_span span_of(const uint8_t *rgb, int n, int at) {
    return (struct engine_span){.clip = {rgb, {n, WIDTH, HEIGHT}}, .at = at};
}

static enum err denoise(struct engine *e, struct tensor *latent, const struct engine_given *given,
                        struct fail *f) {
    enum err rc = ERR_OK;
    const struct canvas canvas = {FRAMES, WIDTH, HEIGHT};
    struct engine_words words = {0};
    struct engine_known known = {0};
    struct engine_adapt_view view = {.wanted = canvas, .fit = canvas, .given = given};
    struct engine_params params = {
        .seed = SEED, .n_steps = STEPS, .guidance = guidance, .solver = ENGINE_SOLVER_UNIPC};
    TRY(engine_encode_text(e, &words, prompt, negative, f));
    TRY(engine_known_make(e, &known, &canvas, f));
    TRY(engine_adapt_fill(e, &known, &view, f));
    TRY(engine_denoise(e, latent, &canvas, &known, &words, &params, f));
out:
    return rc;
}

static void check_on(const char *device, const char *golden, const struct engine_given *given) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct safetensors io = {0};
    struct tensor latent = {0};
    char label[64];
    int64_t n;
    struct engine_opts o = {.device = device, .n_threads = 2, .precision = PRECISION_F32};
    CHECK_OK(safetensors_open_file(&io, "tests/golden/pipelines/io.safetensors", &f), &f);
    enum err rc = engine_open(&e, folder, &o, &f);
    CHECK_OK(rc, &f);
    if (rc == ERR_OK) rc = denoise(e, &latent, given, &f);
    CHECK_OK(rc, &f);
    float *want = golden_f32(&io, golden, &n);
    snprintf(label, sizeof label, "pipeline %s, latents", golden);
    if (rc == ERR_OK && want) {
        CHECK_INT(n, tensor_count(&latent));
        golden_check(label, device, golden_compare(latent.data, want, n), tolerance);
    }
    mem_free(want);
    engine_close(e);
    safetensors_close(&io);
}

static void check(const char *transformer, const char *golden, const struct engine_given *given) {
    make_folder(transformer);
    check_on("ref", golden, given);
    check_on("cpu", golden, given);
}

static void a_first_picture_equals_the_pipeline(void) {
    uint8_t *rgb = mem_take(FRAME, 1);
    paint(rgb, 0, false);
    struct engine_span span = span_of(rgb, 1, 0);
    check("i2v", "i2v", &(struct engine_given){.n_spans = 1, .span = &span});
    mem_free(rgb);
}

static void a_first_and_a_last_picture_equal_the_pipeline(void) {
    uint8_t *rgb = mem_take(2 * FRAME, 1);
    paint(rgb, 0, false);
    paint(rgb + FRAME, 0, true);
    struct engine_span span[] = {span_of(rgb, 1, 0), span_of(rgb + FRAME, 1, FRAMES - 1)};
    check("flf", "flf", &(struct engine_given){.n_spans = 2, .span = span});
    mem_free(rgb);
}

static void a_control_volume_of_a_head_equals_the_pipeline(void) {
    uint8_t *rgb = mem_take(5 * FRAME, 1);
    for (int i = 0; i < 5; i++)
        paint(rgb + i * FRAME, 3 * i, false);
    struct engine_span span = span_of(rgb, 5, 0);
    check("vace", "vace_head", &(struct engine_given){.n_spans = 1, .span = &span});
    mem_free(rgb);
}

static void a_control_volume_of_a_region_equals_the_pipeline(void) {
    uint8_t *rgb = mem_take(FRAMES * FRAME, 1), *mask = mem_take(WIDTH * HEIGHT, 1);
    for (int i = 0; i < FRAMES; i++)
        paint(rgb + i * FRAME, 3 * i, false);
    for (int y = 16; y < 40; y++)
        memset(mask + y * WIDTH + 24, 255, 72 - 24);
    struct engine_span span = span_of(rgb, FRAMES, 0);
    check("vace", "vace_region",
          &(struct engine_given){.n_spans = 1, .span = &span, .region = {mask, 1, 1}});
    mem_free(mask);
    mem_free(rgb);
}

static const struct test tests[] = {
    TEST(a_first_picture_equals_the_pipeline),
    TEST(a_first_and_a_last_picture_equal_the_pipeline),
    TEST(a_control_volume_of_a_head_equals_the_pipeline),
    TEST(a_control_volume_of_a_region_equals_the_pipeline),
};
TEST_MAIN(tests)
