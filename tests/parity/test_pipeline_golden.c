/* From a prompt to frames, against diffusers' WanPipeline with the same noise, on two folders: the
 * mini one with random weights and the embedded model (train/dump_golden_pipeline.py).
 *
 * Stage by stage, so that a difference names its place: noise, words, latents after all steps,
 * frames; then once more with a picture as the first frame, which must come back to the bit.
 * Tolerances: f32 on both sides; guidance multiplies differences at every step, and a frame is
 * rounded to a byte, where a value near a half may fall on either side. */
#include <math.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/sha256.h"
#include "engine/engine.h"
#include "engine/rng.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { EVERY = 7, SEED = 7, HASH_CHUNK = 1 << 16 };

static const double noise_tolerance = 1e-6;
static const double words_tolerance = 1e-5;
static const double image_tolerance = 1e-5;
static const double latent_tolerance = 1e-4;
static const double frame_tolerance = 1; /* levels of 255 */

static const char *const devices[] = {"ref", "cpu"};

/* As in SETTINGS of the script. */
static const struct setting {
    const char *name, *model, *golden;
    const char *prompt, *negative;
    struct canvas canvas;
    int n_steps;
    double guidance;
} settings[] = {
    {"mini",
     "tests/golden/mini",
     "tests/golden/mini",
     "A red ball\xef\xbc\x8cthe  caf\xc3\xa9 &amp; a \xf0\x9f\x99\x82",
     "dark",
     {9, 96, 64},
     4,
     3.0},
    {"tiny",
     "models/tiny",
     "tests/golden/tiny",
     "a red ball bounces in a meadow",
     "",
     {5, 96, 96},
     4,
     4.0},
};

struct fixture {
    const struct setting *s;
    const char *device;
    struct engine *engine;
    struct safetensors io;
    struct fail f;
};

static int add_file(struct sha256 *h, const char *folder, const char *name) {
    char path[256], *chunk = mem_take(HASH_CHUNK, 1);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    size_t n;
    while (file && (n = fread(chunk, 1, HASH_CHUNK, file)) > 0)
        sha256_add(h, chunk, n);
    if (file) fclose(file);
    mem_free(chunk);
    return file != NULL;
}

/* The golden belongs to exactly these weights. */
static int has_its_weights(const struct setting *s) {
    static const char *const files[] = {"text_encoder/model.safetensors",
                                        "transformer/diffusion_pytorch_model.safetensors",
                                        "vae/diffusion_pytorch_model.safetensors"};
    char want[SHA256_HEX + 1] = {0}, got[SHA256_HEX + 1], path[256];
    unsigned char digest[SHA256_BYTES];
    struct sha256 h;
    snprintf(path, sizeof path, "%s/weights.sha256", s->golden);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    size_t n = fread(want, 1, SHA256_HEX, file);
    fclose(file);
    sha256_start(&h);
    for (int i = 0; i < COUNT_OF(files); i++)
        if (!add_file(&h, s->model, files[i])) return 0;
    sha256_end(&h, digest);
    sha256_to_hex(digest, got);
    return n == SHA256_HEX && strcmp(got, want) == 0;
}

static enum err open_fixture(struct fixture *x, const struct setting *s, const char *device) {
    enum err rc = ERR_OK;
    char path[256];
    struct engine_opts opts = {.device = device, .n_threads = 2, .precision = PRECISION_F32};
    *x = (struct fixture){.s = s, .device = device};
    snprintf(path, sizeof path, "%s/io.safetensors", s->golden);
    TRY(safetensors_open_file(&x->io, path, &x->f));
    TRY(engine_open(&x->engine, s->model, &opts, &x->f));
out:
    return rc;
}

static void close_fixture(struct fixture *x) {
    engine_close(x->engine);
    safetensors_close(&x->io);
}

static void report(struct fixture *x, const char *what, const float *got, const char *name,
                   int64_t n_got, double allowed) {
    char label[64];
    int64_t n;
    float *want = golden_f32(&x->io, name, &n);
    CHECK_INT(n_got, n);
    snprintf(label, sizeof label, "%s %s", x->s->name, what);
    if (n_got == n) golden_check(label, x->device, golden_compare(got, want, n), allowed);
    mem_free(want);
}

static void check_noise(struct fixture *x) {
    const struct safetensors_entry *e = safetensors_find(&x->io, "noise");
    int64_t n = e ? (int64_t)(e->bytes / sizeof(float)) : 0;
    float *got = mem_take((size_t)n, sizeof *got);
    rng_normal_fill(SEED, RNG_STREAM_LATENT, 0, got, n);
    report(x, "noise", got, "noise", n, noise_tolerance);
    mem_free(got);
}

/* Frames against the sample of bytes in the golden. */
struct frames {
    const struct canvas *size;
    const uint8_t *want;
    int64_t n_want, at; /* of all bytes of the clip */
    int worst;
    int64_t squares;
};

static enum err compare_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct frames *c = ctx;
    int64_t size = (int64_t)c->size->width * c->size->height * 3;
    (void)f;
    CHECK_INT(index, c->at / size);
    for (int64_t i = 0; i < size; i++, c->at++) {
        if (c->at % EVERY != 0 || c->at / EVERY >= c->n_want) continue;
        int off = abs((int)rgb[i] - (int)c->want[c->at / EVERY]);
        if (off > c->worst) c->worst = off;
        c->squares += off * off;
    }
    return ERR_OK;
}

static void check_frames(struct fixture *x, const char *name, const struct tensor *latent) {
    const struct canvas *size = &x->s->canvas;
    struct frames c = {.size = size};
    uint8_t *want = golden_u8(&x->io, name, &c.n_want);
    c.want = want;
    CHECK_OK(engine_decode(x->engine, latent, compare_frame, &c, &x->f), &x->f);
    CHECK_INT(c.at, (int64_t)size->n_frames * size->width * size->height * 3);
    char label[64];
    struct golden_error e = {c.worst,
                             sqrt((double)c.squares / (double)(c.n_want ? c.n_want : 1)) / 255};
    snprintf(label, sizeof label, "%s %s, levels of 255", x->s->name, name);
    golden_check(label, x->device, e, frame_tolerance);
    mem_free(want);
}

/* The picture of image() in the script. */
static uint8_t *make_image(const struct canvas *size) {
    uint8_t *out = mem_take((size_t)size->width * size->height, 3), *p = out;
    for (int y = 0; y < size->height; y++)
        for (int x = 0; x < size->width; x++)
            for (int c = 0; c < 3; c++)
                *p++ = (uint8_t)(y * 3 + x * 2 + c * 60 + (y / 16 + x / 16) % 2 * 40);
    return out;
}

/* The picture becomes the first latent frame of the canvas, known and exact. */
static void know_image(struct fixture *x, struct engine_known *known) {
    struct canvas one = {1, x->s->canvas.width, x->s->canvas.height};
    uint8_t *rgb = make_image(&one);
    struct engine_clip clip = {.rgb = rgb, .size = one};
    struct tensor latent = {0};
    CHECK_OK(engine_encode_video(x->engine, &latent, &clip, &x->f), &x->f);
    CHECK_OK(engine_known_make(x->engine, known, &x->s->canvas, &x->f), &x->f);
    if (latent.data && known->latent.data) {
        report(x, "image", latent.data, "image_latent", tensor_count(&latent), image_tolerance);
        memcpy(known->latent.data, latent.data, tensor_bytes(&latent));
        memset(known->level.data, 0, (size_t)(latent.dim[1] * latent.dim[2]) * sizeof(float));
    }
    mem_free(rgb);
}

static void check_from_image(struct fixture *x, const struct engine_words *words,
                             const struct engine_params *params) {
    struct engine_known known = {0};
    struct tensor latent = {0};
    know_image(x, &known);
    CHECK_OK(engine_denoise(x->engine, &latent, &x->s->canvas, &known, words, params, &x->f),
             &x->f);
    if (!latent.data) return;
    report(x, "latent after an image", latent.data, "image_then_latent", tensor_count(&latent),
           latent_tolerance);
    int64_t n_known = latent.dim[1] * latent.dim[2] * latent.dim[3];
    CHECK(memcmp(latent.data, known.latent.data, (size_t)n_known * sizeof(float)) == 0);
    check_frames(x, "image_then_frames_every7", &latent);
}

static void check_all(struct fixture *x) {
    const struct setting *s = x->s;
    struct engine_params params = {.seed = SEED,
                                   .n_steps = s->n_steps,
                                   .guidance = s->guidance,
                                   .solver = ENGINE_SOLVER_UNIPC};
    struct engine_words words = {0};
    struct tensor latent = {0};

    check_noise(x);
    CHECK_OK(engine_encode_text(x->engine, &words, s->prompt, s->negative, &x->f), &x->f);
    if (!words.rows.data) return;
    report(x, "words", words.rows.data, "words", tensor_count(&words.rows), words_tolerance);
    report(x, "negative", words.negative_rows.data, "negative", tensor_count(&words.negative_rows),
           words_tolerance);
    CHECK_OK(engine_denoise(x->engine, &latent, &s->canvas, NULL, &words, &params, &x->f), &x->f);
    if (!latent.data) return;
    report(x, "latent", latent.data, "latent", tensor_count(&latent), latent_tolerance);
    check_frames(x, "frames_every7", &latent);
    check_from_image(x, &words, &params);
    engine_job_end(x->engine);
}

static void run_setting(const struct setting *s) {
    if (!has_its_weights(s)) {
        test_skip("no golden of these weights: run train/dump_golden_pipeline.py models/tiny");
        return;
    }
    for (int d = 0; d < COUNT_OF(devices); d++) {
        struct fixture x;
        CHECK_OK(open_fixture(&x, s, devices[d]), &x.f);
        if (x.engine) check_all(&x);
        close_fixture(&x);
    }
}

static void the_mini_model_makes_the_frames_of_diffusers(void) {
    run_setting(&settings[0]);
}

static void the_embedded_model_makes_the_frames_of_diffusers(void) {
    run_setting(&settings[1]);
}

static const struct test tests[] = {
    TEST(the_mini_model_makes_the_frames_of_diffusers),
    TEST(the_embedded_model_makes_the_frames_of_diffusers),
};
TEST_MAIN(tests)
