/* The door of the engine on the mini folder: what callers are promised, whatever the weights. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine.h"
#include "tests/lib/check.h"
#include "tests/lib/golden.h"

enum { WIDTH = 64, HEIGHT = 32, FRAMES = 9, STEPS = 3 };

static const char *const mini = "tests/golden/mini";
static const struct canvas canvas = {FRAMES, WIDTH, HEIGHT};

/* What the hooks saw. */
struct seen {
    int n_asked, cancel_at; /* 0 = never */
    int n_told[ENGINE_PHASE_COUNT], last[ENGINE_PHASE_COUNT], total[ENGINE_PHASE_COUNT];
    int n_frames, stop_at;
    uint64_t sum;
};

static bool on_ask(void *ctx) {
    struct seen *s = ctx;
    return ++s->n_asked == s->cancel_at;
}

static void on_progress(void *ctx, const struct engine_progress *p) {
    struct seen *s = ctx;
    CHECK(p->step >= s->last[p->phase] || p->step == 0);
    s->n_told[p->phase]++;
    s->last[p->phase] = p->step;
    s->total[p->phase] = p->total;
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct seen *s = ctx;
    CHECK_INT(index, s->n_frames);
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        s->sum = s->sum * 31 + rgb[i];
    s->n_frames++;
    if (s->n_frames == s->stop_at) return FAIL(f, ERR_DISK, "the disk is full");
    return ERR_OK;
}

static struct engine *open_mini(struct seen *s) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_opts o = {.n_threads = 2,
                            .hooks = {.ctx = s, .progress = on_progress, .is_cancelled = on_ask}};
    CHECK_OK(engine_open(&e, mini, &o, &f), &f);
    return e;
}

static enum err make_clip(struct engine *e, struct seen *s, uint64_t seed,
                          const struct engine_known *known, struct tensor *latent, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_words words;
    struct engine_params p = {.seed = seed, .n_steps = STEPS, .guidance = 2};
    TRY(engine_encode_text(e, &words, "a red ball", NULL, f));
    TRY(engine_denoise(e, latent, &canvas, known, &words, &p, f));
    TRY(engine_decode(e, latent, on_frame, s, f));
out:
    return rc;
}

static void a_clip_tells_its_progress_to_the_end(void) {
    struct seen s = {0};
    struct fail f = {0};
    struct tensor latent;
    struct engine *e = open_mini(&s);
    const struct engine_caps *c = engine_caps(e);
    CHECK_INT(c->multiple_px, 32);
    CHECK_INT(c->frame_step, 4);
    CHECK_HAS(c->device, "cpu: 2 threads");
    CHECK_OK(make_clip(e, &s, 1, NULL, &latent, &f), &f);
    CHECK_INT(s.n_frames, FRAMES);
    CHECK_INT(s.last[ENGINE_PHASE_TEXT], 2);
    CHECK_INT(s.last[ENGINE_PHASE_DENOISE], STEPS);
    CHECK_INT(s.total[ENGINE_PHASE_DENOISE], STEPS);
    CHECK_INT(s.last[ENGINE_PHASE_DECODE], FRAMES);
    engine_close(e);
}

static void the_seed_decides_and_threads_do_not(void) {
    uint64_t sums[3];
    static const uint64_t seeds[3] = {5, 5, 6};
    for (int i = 0; i < 3; i++) {
        struct seen s = {0};
        struct fail f = {0};
        struct tensor latent;
        struct engine *e = NULL;
        struct engine_opts o = {.n_threads = 1 + i};
        CHECK_OK(engine_open(&e, mini, &o, &f), &f);
        CHECK_OK(make_clip(e, &s, seeds[i], NULL, &latent, &f), &f);
        engine_job_end(e);
        sums[i] = s.sum;
        engine_close(e);
    }
    CHECK(sums[0] == sums[1]);
    CHECK(sums[0] != sums[2]);
}

/* Whenever the caller says stop, the call comes back with CANCELLED and the engine goes on. */
static void cancelling_works_at_every_place(void) {
    struct seen s = {0};
    struct fail f = {0};
    struct tensor latent;
    struct engine *e = open_mini(&s);
    CHECK_OK(make_clip(e, &s, 1, NULL, &latent, &f), &f);
    int n_asked = s.n_asked;
    CHECK(n_asked >= 1 + STEPS + 3);
    for (int at = 1; at <= n_asked; at++) {
        s = (struct seen){.cancel_at = at};
        CHECK_INT(make_clip(e, &s, 1, NULL, &latent, &f), ERR_CANCELLED);
        CHECK_INT(s.n_asked, at);
        engine_job_end(e);
    }
    s = (struct seen){0};
    CHECK_OK(make_clip(e, &s, 1, NULL, &latent, &f), &f);
    engine_close(e);
}

static void a_failing_receiver_stops_the_decoding(void) {
    struct seen s = {.stop_at = 3};
    struct fail f = {0};
    struct tensor latent;
    struct engine *e = open_mini(&s);
    CHECK_INT(make_clip(e, &s, 1, NULL, &latent, &f), ERR_DISK);
    CHECK_STR(f.text, "the disk is full");
    CHECK_INT(s.n_frames, 3);
    engine_close(e);
}

static void known_latents_come_back_to_the_bit(void) {
    struct seen s = {0};
    struct fail f = {0};
    struct tensor latent, image;
    struct engine_known known;
    uint8_t rgb[WIDTH * HEIGHT * 3];
    for (int i = 0; i < COUNT_OF(rgb); i++)
        rgb[i] = (uint8_t)(i * 7);
    struct engine *e = open_mini(&s);
    struct engine_clip clip = {rgb, {1, WIDTH, HEIGHT}};
    CHECK_OK(engine_encode_video(e, &image, &clip, &f), &f);
    CHECK_OK(engine_known_make(e, &known, &canvas, &f), &f);
    memcpy(known.latent.data, image.data, tensor_bytes(&image));
    memset(known.level.data, 0, (size_t)(known.level.dim[1] * known.level.dim[2]) * sizeof(float));
    CHECK_OK(make_clip(e, &s, 3, &known, &latent, &f), &f);
    CHECK(memcmp(latent.data, image.data, tensor_bytes(&image)) == 0);
    ((float *)known.level.data)[0] = 2;
    CHECK_INT(make_clip(e, &s, 3, &known, &latent, &f), ERR_INPUT);
    CHECK_STR(f.text, "the start level of latent place 0 is 2, not 0..1");
    engine_close(e);
}

static void canvases_that_do_not_fit_are_refused_in_words(void) {
    static const struct canvas rows[] = {{9, 60, 32}, {9, 64, 40}, {8, 64, 32},
                                         {0, 64, 32}, {9, 0, 32},  {-3, 64, 32}};
    struct seen s = {0};
    struct engine *e = open_mini(&s);
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct fail f = {0};
        struct engine_known known;
        CHECK_INT(engine_canvas_check(e, &rows[i], &f), ERR_INPUT);
        CHECK_HAS(f.text, "multiples of 32");
        if (i == 1) CHECK_HAS(f.text, "near are 64 x 32 and 96 x 64, 9 and 13 frames");
        if (i > 1) CHECK_INT(engine_known_make(e, &known, &rows[i], &f), ERR_INPUT);
    }
    engine_close(e);
}

/* Need and cap are in the words, and nothing was allocated for the refusal. */
static void a_canvas_beyond_the_memory_of_a_job_is_refused_at_once(void) {
    static const struct canvas rows[] = {
        {9, 4096, 4096}, {4001, 1024, 1024}, {9, 32768, 32}, {1 + 4 * 70000, 64, 32}};
    struct seen s = {0};
    struct fail f = {0};
    struct tensor latent;
    struct engine *e = NULL;
    struct engine_opts o = {.n_threads = 1, .job_max_bytes = (size_t)40 << 20};
    struct engine_words words;
    struct engine_params p = {.seed = 1, .n_steps = 1, .guidance = 1};
    CHECK_OK(engine_open(&e, mini, &o, &f), &f);
    CHECK_OK(engine_encode_text(e, &words, "a", NULL, &f), &f);
    for (int i = 0; i < COUNT_OF(rows); i++) {
        int64_t before = mem_alive();
        CHECK_INT(engine_denoise(e, &latent, &rows[i], NULL, &words, &p, &f), ERR_LIMIT);
        CHECK_INT(mem_alive(), before);
        if (i == 0) CHECK_HAS(f.text, "4096 x 4096 with 9 frames needs about ");
        if (i == 0) CHECK_HAS(f.text, " MiB, a job may have 40");
    }
    engine_job_end(e);
    CHECK_OK(make_clip(e, &s, 1, NULL, &latent, &f), &f);
    engine_close(e);
}

static void folders_without_a_model_are_refused(void) {
    static const struct {
        const char *folder;
        enum err code;
        const char *text;
    } rows[] = {
        {"tests/golden/nowhere", ERR_NOT_FOUND,
         "tests/golden/nowhere/model_index.json: no such file"},
        {"tests/golden/vae21", ERR_NOT_FOUND, "model_index.json"},
        {"/dev/null", ERR_NOT_FOUND, "model_index.json"},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct fail f = {0};
        struct engine *e = NULL;
        struct engine_opts o = {0};
        CHECK_INT(engine_open(&e, rows[i].folder, &o, &f), rows[i].code);
        CHECK_HAS(f.text, rows[i].text);
        CHECK(e == NULL);
    }
}

/* Opening and one clip, with every allocation failing in turn: no crash, nothing left. */
static void every_failed_allocation_is_an_answer(void) {
    int64_t before = mem_alive();
    int n_opened = 0;
    for (int64_t nth = 1; nth < 1 << 20 && n_opened < 3; nth += 1 + nth / 8) {
        struct engine *e = NULL;
        struct engine_opts o = {.n_threads = 1};
        mem_fail_nth(nth);
        enum err rc = engine_open(&e, mini, &o, NULL);
        struct tensor latent;
        struct seen s = {0};
        if (rc == ERR_OK) rc = make_clip(e, &s, 1, NULL, &latent, NULL);
        mem_fail_nth(0);
        n_opened += rc == ERR_OK;
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        engine_close(e);
        CHECK_INT(mem_alive(), before);
    }
    CHECK_INT(n_opened, 3);
}

static void the_oracle_and_the_cpu_agree_on_a_clip(void) {
    static const struct {
        const char *device;
        enum precision precision;
        double tolerance;
    } rows[] = {
        {"ref", PRECISION_F32, 0}, {"cpu", PRECISION_F32, 1e-4}, {"cpu", PRECISION_BF16, 1e-2}};
    float *latents[COUNT_OF(rows)] = {0};
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct seen s = {0};
        struct fail f = {0};
        struct tensor latent;
        struct engine *e = NULL;
        struct engine_opts o = {.device = rows[i].device, .precision = rows[i].precision};
        CHECK_OK(engine_open(&e, mini, &o, &f), &f);
        CHECK_OK(make_clip(e, &s, 1, NULL, &latent, &f), &f);
        int64_t n = tensor_count(&latent);
        latents[i] = mem_take((size_t)n, sizeof **latents);
        memcpy(latents[i], latent.data, tensor_bytes(&latent));
        engine_close(e);
        if (i > 0)
            golden_check("mini latent against ref", device_precision_name(rows[i].precision),
                         golden_compare(latents[i], latents[0], n), rows[i].tolerance);
    }
    for (int i = 0; i < COUNT_OF(rows); i++)
        mem_free(latents[i]);
}

static const struct test tests[] = {
    TEST(a_clip_tells_its_progress_to_the_end),
    TEST(the_seed_decides_and_threads_do_not),
    TEST(cancelling_works_at_every_place),
    TEST(a_failing_receiver_stops_the_decoding),
    TEST(known_latents_come_back_to_the_bit),
    TEST(canvases_that_do_not_fit_are_refused_in_words),
    TEST(a_canvas_beyond_the_memory_of_a_job_is_refused_at_once),
    TEST(folders_without_a_model_are_refused),
    TEST(every_failed_allocation_is_an_answer),
    TEST(the_oracle_and_the_cpu_agree_on_a_clip),
};
TEST_MAIN(tests)
