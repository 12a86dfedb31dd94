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

/* Given frames count where there are some; the rest follows the clip. */
static void a_clip_to_follow_equals_the_pipeline(void) {
    uint8_t *rgb = mem_take(2 * FRAMES * FRAME, 1);
    for (int i = 0; i < FRAMES; i++) {
        paint(rgb + i * FRAME, 3 * i, false);
        paint(rgb + (FRAMES + i) * FRAME, 3 * i, true);
    }
    struct engine_span span = span_of(rgb, 5, 0);
    struct engine_clip guide = {rgb + FRAMES * FRAME, {FRAMES, WIDTH, HEIGHT}};
    check("vace", "vace_guide",
          &(struct engine_given){.n_spans = 1, .span = &span, .guide = &guide});
    mem_free(rgb);
}

static void pictures_for_reference_equal_the_pipeline(void) {
    enum { W = WIDTH / 4, H = HEIGHT / 2 };
    uint8_t *rgb = mem_take(FRAME, 1), *small = mem_take(W * H, 3);
    paint(rgb, 0, false);
    for (int i = 0; i < W * H; i++)
        memcpy(small + 3 * i, rgb + (i / W * 2 * WIDTH + i % W * 4) * 3, 3);
    struct engine_clip reference[] = {{rgb, {1, WIDTH, HEIGHT}}, {small, {1, W, H}}};
    check("vace", "vace_references",
          &(struct engine_given){.n_references = 2, .reference = reference});
    mem_free(small);
    mem_free(rgb);
}

/* A clip of three windows, each told its stretch of the guide and the same picture. */
struct seen {
    int n;
    uint64_t sum; /* of the bytes of the last frame */
};

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct seen *s = ctx;
    (void)f;
    CHECK_INT(index, s->n++);
    s->sum = 0;
    for (int i = 0; i < FRAME; i++)
        s->sum += rgb[i];
    return ERR_OK;
}

static enum err render(struct engine *e, const struct engine_given *given, struct seen *s,
                       struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_words words;
    struct engine_render_in in = {.canvas = {21, WIDTH, HEIGHT},
                                  .given = given,
                                  .words = &words,
                                  .params = {.n_steps = 1, .guidance = 1}};
    *s = (struct seen){0};
    TRY(engine_encode_text(e, &words, prompt, negative, f));
    TRY(engine_render(e, &in, on_frame, s, f));
out:
    engine_job_end(e);
    return rc;
}

/* The guide counts in the last window too; failed allocations are answers. */
static void windows_are_told_their_stretch_of_a_guide(void) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct seen a, b;
    uint8_t *rgb = mem_take(21 * FRAME, 1);
    make_folder("vace");
    struct engine_opts o = {.n_threads = 2, .precision = PRECISION_F32};
    CHECK_OK(engine_open(&e, folder, &o, &f), &f);
    e->caps.window_latents = 3;
    e->caps.overlap_latents = 1;
    struct engine_clip guide = {rgb, {21, WIDTH, HEIGHT}}, picture = {rgb, {1, WIDTH, HEIGHT}};
    struct engine_given given = {.guide = &guide, .n_references = 1, .reference = &picture};
    CHECK_OK(render(e, &given, &a, &f), &f);
    CHECK_INT(a.n, 21);
    memset(rgb + 15 * FRAME, 200, 6 * FRAME);
    CHECK_OK(render(e, &given, &b, &f), &f);
    CHECK(a.sum != b.sum);
    enum err rc = ERR_NOMEM;
    for (int64_t nth = 1; rc != ERR_OK && nth < 10000; nth += 1 + nth / 4) {
        mem_fail_nth(nth);
        rc = render(e, &given, &b, &f);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
    }
    CHECK_INT(rc, ERR_OK);
    guide.size.n_frames = 20;
    CHECK_INT(render(e, &given, &b, &f), ERR_INPUT);
    CHECK_HAS(f.text, "the clip to follow has 20 frames, 21 are to be made");
    engine_close(e);
    mem_free(rgb);
}

static const struct test tests[] = {
    TEST(a_first_picture_equals_the_pipeline),
    TEST(a_first_and_a_last_picture_equal_the_pipeline),
    TEST(a_control_volume_of_a_head_equals_the_pipeline),
    TEST(a_control_volume_of_a_region_equals_the_pipeline),
    TEST(a_clip_to_follow_equals_the_pipeline),
    TEST(pictures_for_reference_equal_the_pipeline),
    TEST(windows_are_told_their_stretch_of_a_guide),
};
TEST_MAIN(tests)
