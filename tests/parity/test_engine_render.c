/* Clips longer than the window of the model: mechanics on the mini folder, what the eye would see
 * on the embedded model. */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine_own.h"
#include "tests/lib/check.h"

enum { WINDOW = 4, OVERLAP = 2, STEPS = 2, SEED = 3, KEEP_FRAMES_MAX = 160 };

#ifdef __SANITIZE_ADDRESS__
enum { KEEPS_FREED_MEMORY = 1 };
#else
enum { KEEPS_FREED_MEMORY = 0 };
#endif

static const char *const mini = "tests/golden/mini", *const tiny = "models/tiny";

/* What a run showed. */
struct seen {
    struct canvas canvas;
    int n_frames, n_seams, n_asked, cancel_at;
    double worst_seam_db, last_eta_s;
    struct engine_progress last[ENGINE_PHASE_COUNT];
    uint8_t *frames; /* all of them, when there is room */
};

static int64_t frame_bytes(const struct canvas *c) {
    return (int64_t)c->width * c->height * 3;
}

static bool on_ask(void *ctx) {
    struct seen *s = ctx;
    return ++s->n_asked == s->cancel_at;
}

static void on_progress(void *ctx, const struct engine_progress *p) {
    struct seen *s = ctx;
    CHECK(p->step >= s->last[p->phase].step && p->step <= p->total);
    CHECK(s->last[p->phase].total == 0 || p->total == s->last[p->phase].total);
    s->last[p->phase] = *p;
    s->last_eta_s = p->eta_s;
}

static void on_log(void *ctx, const char *event, const char *text) {
    struct seen *s = ctx;
    const char *at = strstr(text, "came back at ");
    if (strcmp(event, "render.seam") != 0) return;
    printf("  %s\n", text);
    double db = at ? strtod(at + strlen("came back at "), NULL) : 99;
    if (s->n_seams == 0 || db < s->worst_seam_db) s->worst_seam_db = db;
    s->n_seams++;
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct seen *s = ctx;
    (void)f;
    CHECK_INT(index, s->n_frames);
    if (s->frames)
        memcpy(s->frames + index * frame_bytes(&s->canvas), rgb, (size_t)frame_bytes(&s->canvas));
    s->n_frames++;
    return ERR_OK;
}

static struct engine *open_engine(const char *folder, struct seen *s) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_opts o = {
        .n_threads = 2,
        .hooks = {.ctx = s, .progress = on_progress, .is_cancelled = on_ask, .log = on_log}};
    CHECK_OK(engine_open(&e, folder, &o, &f), &f);
    ASSERT(e);
    return e;
}

static struct engine *open_mini(struct seen *s) {
    struct engine *e = open_engine(mini, s);
    e->caps.window_latents = WINDOW; /* the folder of the golden names none */
    e->caps.overlap_latents = OVERLAP;
    return e;
}

static enum err render(struct engine *e, struct seen *s, const struct engine_known *known,
                       struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_words words;
    TRY(engine_encode_text(e, &words, "a red ball rolls in a meadow", NULL, f));
    struct engine_render_in in = {.canvas = s->canvas, .known = known, .words = &words};
    in.params = (struct engine_params){.seed = SEED, .n_steps = STEPS, .guidance = 1};
    TRY(engine_render(e, &in, on_frame, s, f));
out:
    return rc;
}

static struct seen make_seen(int n_frames, int width, int height, bool is_kept) {
    struct seen s = {.canvas = {n_frames, width, height}};
    if (is_kept) s.frames = mem_take((size_t)(n_frames * frame_bytes(&s.canvas)), 1);
    return s;
}

/* A clip of one window is the two halves, one after the other. */
static void a_short_clip_is_one_window(void) {
    struct seen s = make_seen(13, 64, 32, true), halves = make_seen(13, 64, 32, true);
    struct fail f = {0};
    struct engine *e = open_mini(&s);
    struct engine_words words;
    struct engine_params p = {.seed = SEED, .n_steps = STEPS, .guidance = 1};
    struct tensor latent;
    CHECK_OK(render(e, &s, NULL, &f), &f);
    CHECK_INT(s.n_seams, 0);
    engine_hooks_set(e, &(struct engine_hooks){0});
    CHECK_OK(engine_encode_text(e, &words, "a red ball rolls in a meadow", NULL, &f), &f);
    CHECK_OK(engine_denoise(e, &latent, &s.canvas, NULL, &words, &p, &f), &f);
    CHECK_OK(engine_decode(e, &latent, on_frame, &halves, &f), &f);
    CHECK(memcmp(s.frames, halves.frames, (size_t)(13 * frame_bytes(&s.canvas))) == 0);
    engine_close(e);
    mem_free(s.frames);
    mem_free(halves.frames);
}

static void every_length_has_its_frames_and_its_progress(void) {
    for (int n_latents = 1; n_latents <= 11; n_latents++) {
        struct seen s = make_seen(1 + 4 * (n_latents - 1), 64, 32, false);
        struct fail f = {0};
        struct engine *e = open_mini(&s);
        struct window_plan plan = {n_latents, WINDOW, OVERLAP};
        int n_windows = (int)window_count(&plan);
        CHECK_OK(render(e, &s, NULL, &f), &f);
        CHECK_INT(s.n_frames, s.canvas.n_frames);
        CHECK_INT(s.n_seams, n_windows - 1);
        CHECK_INT(s.last[ENGINE_PHASE_DENOISE].step, STEPS * n_windows);
        CHECK_INT(s.last[ENGINE_PHASE_DENOISE].total, STEPS * n_windows);
        CHECK_INT(s.last[ENGINE_PHASE_DECODE].step, s.canvas.n_frames);
        CHECK_INT(s.last[ENGINE_PHASE_ENCODE].total, 0);
        CHECK_NEAR(s.last_eta_s, 0, 1e-9);
        engine_close(e);
    }
}

/* However windows learn of each other: all frames come, and a caller's picture at frame 0 as well.
 */
static void every_head_makes_the_whole_clip(void) {
    for (int head = 0; head < WINDOW_HEAD_COUNT; head++) {
        struct seen s = make_seen(29, 64, 32, false);
        struct fail f = {0};
        struct engine *e = open_mini(&s);
        e->head = (enum window_head)head;
        CHECK_OK(render(e, &s, NULL, &f), &f);
        CHECK_INT(s.n_frames, 29);
        CHECK_INT(s.n_seams, 2);
        CHECK_INT(s.last[ENGINE_PHASE_DECODE].step, 29);
        engine_close(e);
    }
}

/* Latents that go from window to window as they are give the frames of one decoding. */
static void carried_windows_are_one_decoding(void) {
    struct seen s = make_seen(29, 64, 32, true);
    struct fail f = {0};
    struct engine *e = open_mini(&s);
    struct engine_words words;
    struct engine_params p = {.seed = SEED, .n_steps = STEPS, .guidance = 1};
    struct window_plan plan = engine_window_plan(e, 8);
    struct engine_known all, known;
    struct canvas canvas = s.canvas;
    e->head = WINDOW_HEAD_CARRY;
    CHECK_OK(render(e, &s, NULL, &f), &f);
    uint8_t *rendered = s.frames;
    s.frames = mem_take((size_t)(29 * frame_bytes(&s.canvas)), 1);
    s.n_frames = 0;
    engine_hooks_set(e, &(struct engine_hooks){0});
    CHECK_OK(engine_encode_text(e, &words, "a red ball rolls in a meadow", NULL, &f), &f);
    CHECK_OK(engine_known_make(e, &all, &canvas, &f), &f);
    for (int64_t i = 0; i < window_count(&plan); i++) {
        struct window w = window_at(&plan, i);
        struct tensor latent, made = tensor_rows(&all.latent, w.first, w.n);
        canvas.n_frames = 1 + 4 * ((int)w.n - 1);
        p.first_latent = w.first;
        CHECK_OK(engine_known_make(e, &known, &canvas, &f), &f);
        memcpy(known.latent.data, made.data, tensor_bytes(&made));
        struct tensor head = tensor_rows(&known.level, 0, w.n_head);
        memset(head.data, 0, tensor_bytes(&head));
        CHECK_OK(engine_denoise(e, &latent, &canvas, &known, &words, &p, &f), &f);
        memcpy(made.data, latent.data, tensor_bytes(&made));
    }
    CHECK_OK(engine_decode(e, &all.latent, on_frame, &s, &f), &f);
    CHECK(memcmp(rendered, s.frames, (size_t)(29 * frame_bytes(&s.canvas))) == 0);
    engine_close(e);
    mem_free(rendered);
    mem_free(s.frames);
}

/* What is off the grid is made on the next canvas, and cut. */
static void a_canvas_off_the_grid_is_cut_out_of_the_next_one(void) {
    struct seen whole = make_seen(5, 64, 64, true), part = make_seen(5, 52, 38, true);
    struct fail f = {0};
    struct engine *e = open_mini(&whole);
    CHECK_OK(render(e, &whole, NULL, &f), &f);
    engine_hooks_set(e, &(struct engine_hooks){.ctx = &part, .progress = on_progress});
    CHECK_OK(render(e, &part, NULL, &f), &f);
    CHECK_INT(part.n_frames, 5);
    for (int i = 0; i < 5 * 38; i++) {
        const uint8_t *got = part.frames + (int64_t)i * 52 * 3;
        const uint8_t *want = whole.frames + (int64_t)(i / 38 * 64 + i % 38) * 64 * 3;
        CHECK(memcmp(got, want, 52 * 3) == 0);
    }
    engine_close(e);
    mem_free(whole.frames);
    mem_free(part.frames);
}

/* A minute takes the memory of ten seconds; and nothing of it is kept that the next job has no use
 * for. */
static void memory_is_that_of_one_window(void) {
    size_t used[2];
    for (int i = 0; i < 2; i++) {
        struct seen s = make_seen(i == 0 ? 121 : 721, 128, 96, false);
        struct fail f = {0};
        struct engine *e = open_mini(&s);
        CHECK_OK(render(e, &s, NULL, &f), &f);
        used[i] = e->job_budget.used_bytes;
        engine_job_end(e);
        CHECK(e->job_budget.used_bytes <= (size_t)128 << 20);
        engine_close(e);
    }
    CHECK_INT(used[1], used[0]);
}

static double resident_mib(void) {
    long total = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%ld %ld", &total, &resident) != 2) resident = 0;
    if (file) fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

/* A big job leaves a small process behind. */
static void memory_goes_back_to_the_system(void) {
    if (KEEPS_FREED_MEMORY) {
        test_skip("the sanitizer keeps what is freed for a while");
        return;
    }
    struct seen s = make_seen(5, 1024, 512, false);
    struct fail f = {0};
    struct engine *e = open_mini(&s);
    double before = resident_mib();
    CHECK_OK(render(e, &s, NULL, &f), &f);
    double during = resident_mib();
    engine_job_end(e);
    double after = resident_mib();
    printf("  resident: %.0f MiB before a big job, %.0f at its end, %.0f after it\n", before,
           during, after);
    CHECK(during - before > 64);
    CHECK(after - before < (during - before) / 2 + 64);
    engine_close(e);
}

/* The estimate that refuses canvases is near what a job takes: blocks are rounded up. */
static void the_estimate_is_near_the_truth(void) {
    static const struct {
        const char *folder;
        struct canvas canvas;
    } rows[] = {{"tests/golden/mini", {5, 512, 512}}, {"models/tiny", {5, 320, 320}}};
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct seen s = {.canvas = rows[i].canvas};
        struct fail f = {0};
        struct engine *e = open_engine(rows[i].folder, &s);
        CHECK_OK(render(e, &s, NULL, &f), &f);
        double took = (double)e->job_budget.used_bytes / (1 << 20);
        double need = engine_canvas_bytes(e, &s.canvas) / (1 << 20);
        printf("  %s: %.0f MiB estimated, %.0f MiB in blocks\n", rows[i].folder, need, took);
        CHECK(need <= took && need >= took / 2);
        engine_close(e);
    }
}

static void cancelling_works_in_every_window(void) {
    struct seen s = make_seen(29, 64, 32, false);
    struct fail f = {0};
    struct engine *e = open_mini(&s);
    CHECK_OK(render(e, &s, NULL, &f), &f);
    int n_asked = s.n_asked;
    for (int at = 1; at <= n_asked; at += 3) {
        s = make_seen(29, 64, 32, false);
        s.cancel_at = at;
        CHECK_INT(render(e, &s, NULL, &f), ERR_CANCELLED);
        CHECK(e->pace == NULL);
        engine_job_end(e);
    }
    engine_close(e);
}

/* One allocation after the other fails, in every window: the call says so and the next one works.
 */
static void every_failed_allocation_is_an_answer(void) {
    struct seen s = make_seen(29, 64, 32, false);
    struct fail f = {0};
    struct engine *e = open_mini(&s);
    enum err rc = ERR_NOMEM;
    int n_failed = 0;
    for (int64_t nth = 1; rc != ERR_OK && nth < 10000; nth += 1 + nth / 6) {
        s = make_seen(29, 64, 32, false);
        mem_fail_nth(nth);
        rc = render(e, &s, NULL, &f);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        n_failed += rc != ERR_OK;
        engine_job_end(e);
        CHECK(e->pace == NULL);
    }
    CHECK_INT(rc, ERR_OK);
    CHECK(n_failed > 5);
    engine_close(e);
}

/* Greatest mean difference of neighbouring frames, over the frames from..to. */
static double greatest_jump(const struct seen *s, int from, int to) {
    double worst = 0;
    for (int k = from; k < to; k++) {
        const uint8_t *a = s->frames + k * frame_bytes(&s->canvas);
        double sum = 0;
        for (int64_t i = 0, n = frame_bytes(&s->canvas); i < n; i++)
            sum += abs(a[i] - a[i + n]);
        sum /= (double)frame_bytes(&s->canvas);
        worst = sum > worst ? sum : worst;
    }
    return worst;
}

/* Three windows of the embedded model, the first frame given: the head of each window comes back as
 * the frames that it was made from, and the picture at frame 0 as well. */
static void a_long_clip_of_the_embedded_model_holds_together(void) {
    struct seen s = make_seen(121, 96, 64, true);
    struct fail f = {0};
    struct engine *e = open_engine(tiny, &s);
    struct engine_known known;
    struct tensor image;
    const struct engine_caps *c = engine_caps(e);
    if (c->window_latents != 13 || c->overlap_latents != 4) {
        test_skip("the embedded model has other windows now: choose 3 of them");
        engine_close(e);
        return;
    }
    uint8_t *picture = mem_take((size_t)frame_bytes(&s.canvas), 1);
    for (int64_t i = 0, w = s.canvas.width; i < frame_bytes(&s.canvas); i++)
        picture[i] = (uint8_t)(i % 3 == 0 ? 60 + i / 3 % w : i % 3 == 1 ? 90 + i / (3 * w) : 120);
    struct engine_clip one = {picture, {1, s.canvas.width, s.canvas.height}};
    CHECK_OK(engine_encode_video(e, &image, &one, &f), &f);
    CHECK_OK(engine_known_make(e, &known, &s.canvas, &f), &f);
    memcpy(known.latent.data, image.data, tensor_bytes(&image));
    memset(known.level.data, 0, (size_t)(known.level.dim[1] * known.level.dim[2]) * sizeof(float));
    s.last[ENGINE_PHASE_ENCODE] = (struct engine_progress){0};
    CHECK_OK(render(e, &s, &known, &f), &f);
    CHECK_INT(s.n_frames, 121);
    CHECK_INT(s.n_seams, 2);
    CHECK(s.worst_seam_db > 20);
    double sum = 0;
    for (int64_t i = 0; i < frame_bytes(&s.canvas); i++)
        sum += (s.frames[i] - picture[i]) * (s.frames[i] - picture[i]);
    double db = 10 * log10(255 * 255 / (sum / (double)frame_bytes(&s.canvas) + 1e-4));
    double seam = fmax(greatest_jump(&s, 44, 49), greatest_jump(&s, 80, 85));
    double within = fmax(greatest_jump(&s, 30, 44), greatest_jump(&s, 60, 80));
    printf("  first frame came back at %.1f dB; jump at the seams %.2f, inside at most %.2f\n", db,
           seam, within);
    CHECK(db > 20);
    CHECK(seam <= 2 * within + 1); /* weights change; a cut would be many times that */
    engine_close(e);
    mem_free(picture);
    mem_free(s.frames);
}

static const struct test tests[] = {
    TEST(a_short_clip_is_one_window),
    TEST(every_length_has_its_frames_and_its_progress),
    TEST(every_head_makes_the_whole_clip),
    TEST(carried_windows_are_one_decoding),
    TEST(a_canvas_off_the_grid_is_cut_out_of_the_next_one),
    TEST(memory_is_that_of_one_window),
    TEST(memory_goes_back_to_the_system),
    TEST(the_estimate_is_near_the_truth),
    TEST(cancelling_works_in_every_window),
    TEST(every_failed_allocation_is_an_answer),
    TEST(a_long_clip_of_the_embedded_model_holds_together),
};
TEST_MAIN(tests)
