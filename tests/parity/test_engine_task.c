/* Given frames through the door: they come back, the rest is made around them. Mechanics on the
 * mini folder, what the VAE keeps on the embedded model. */
#include <math.h>
#include <stdlib.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine_adapt.h"
#include "engine/engine_decode.h"
#include "tests/lib/check.h"

enum { STEPS = 3, SEED = 3 };

static const char *const mini = "tests/golden/mini", *const tiny = "models/tiny";

/* What came out. */
struct seen {
    struct canvas canvas;
    int n_frames;
    uint8_t *frames;
    char said[256]; /* the last line of the log */
    int n_previews;
    double preview_green; /* mean of the last one */
};

static int64_t frame_bytes(const struct canvas *c) {
    return (int64_t)c->width * c->height * 3;
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct seen *s = ctx;
    (void)f;
    CHECK_INT(index, s->n_frames);
    memcpy(s->frames + s->n_frames * frame_bytes(&s->canvas), rgb, (size_t)frame_bytes(&s->canvas));
    s->n_frames++;
    return ERR_OK;
}

static void on_log(void *ctx, const char *event, const char *text) {
    struct seen *s = ctx;
    if (strncmp(event, "render.", 7) == 0) snprintf(s->said, sizeof s->said, "%s", text);
}

static struct engine *open_engine(const char *folder, struct seen *s) {
    struct engine *e = NULL;
    struct fail f = {0};
    struct engine_opts o = {
        .n_threads = 2, .precision = PRECISION_F32, .hooks = {.ctx = s, .log = on_log}};
    CHECK_OK(engine_open(&e, folder, &o, &f), &f);
    ASSERT(e);
    return e;
}

static struct seen make_seen(int n_frames, int width, int height) {
    struct seen s = {.canvas = {n_frames, width, height}};
    s.frames = mem_take((size_t)((n_frames + 3) * frame_bytes(&s.canvas)), 1);
    return s;
}

/* A disc that crosses a sky with a slope in it: smooth enough for any VAE to keep. */
static uint8_t *draw_clip(const struct canvas *c) {
    uint8_t *out = mem_take((size_t)(c->n_frames * frame_bytes(c)), 1), *p = out;
    for (int t = 0; t < c->n_frames; t++)
        for (int y = 0; y < c->height; y++)
            for (int x = 0; x < c->width; x++) {
                double dx = x - c->width * (.2 + .6 * t / c->n_frames), dy = y - c->height * .55;
                double in = 1 / (1 + exp((sqrt(dx * dx + dy * dy) - c->height * .2) / 1.5));
                *p++ = (uint8_t)(90 + in * 120 + x * 20 / c->width);
                *p++ = (uint8_t)(140 - in * 90 + y * 30 / c->height);
                *p++ = (uint8_t)(180 - in * 130);
            }
    return out;
}

static double psnr(const uint8_t *a, const uint8_t *b, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return 10 * log10(255.0 * 255 / (sum / (double)n + 1e-4));
}

static enum err render(struct engine *e, struct seen *s, struct engine_render_in *in,
                       struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_words words;
    TRY(engine_encode_text(e, &words, "a red ball rolls in a meadow", NULL, f));
    in->canvas = s->canvas;
    in->words = &words;
    in->params.seed = SEED;
    if (in->params.n_steps == 0) in->params.n_steps = STEPS;
    s->n_frames = 0;
    TRY(engine_render(e, in, on_frame, s, f));
out:
    engine_job_end(e);
    return rc;
}

/* What stays of a tail when its latents stand in the place of the true ones. */
static double tail_db(struct engine *e, struct seen *s, const struct tensor *whole,
                      const float *tail, int64_t n_tail, const uint8_t *want) {
    struct fail f = {0};
    int64_t frame = tensor_count(whole) / whole->dim[0];
    float *at = (float *)whole->data + (whole->dim[0] - n_tail) * frame;
    float *kept = mem_take((size_t)(n_tail * frame), sizeof *kept);
    memcpy(kept, at, (size_t)(n_tail * frame) * sizeof *kept);
    memcpy(at, tail, (size_t)(n_tail * frame) * sizeof *kept);
    s->n_frames = 0;
    CHECK_OK(engine_decode(e, whole, on_frame, s, &f), &f);
    memcpy(at, kept, (size_t)(n_tail * frame) * sizeof *kept);
    mem_free(kept);
    int64_t from = (s->canvas.n_frames - 4 * n_tail) * frame_bytes(&s->canvas);
    return psnr(s->frames + from, want + from, 4 * n_tail * frame_bytes(&s->canvas));
}

/* The end of a clip, encoded with a made-up past, is nearly what it is in the whole clip; encoded
 * as if it were a beginning it is not. */
static void a_tail_gets_a_past_before_it_is_encoded(void) {
    for (int64_t n_tail = 1; n_tail <= 4; n_tail += 3) {
        struct seen s = make_seen(33, 128, 80);
        struct fail f = {0};
        struct engine *e = open_engine(tiny, &s);
        uint8_t *clip = draw_clip(&s.canvas);
        struct tensor whole, naive;
        struct engine_known known;
        int n = 4 * (int)n_tail, first = 33 - n;
        const uint8_t *end = clip + first * frame_bytes(&s.canvas);
        CHECK_OK(engine_encode_video(e, &whole, &(struct engine_clip){clip, s.canvas}, &f), &f);
        struct engine_span span = {.clip = {end, {n, 128, 80}}, .at = first};
        struct engine_given given = {.n_spans = 1, .span = &span};
        CHECK_OK(engine_known_from(e, &known, &s.canvas, &given, &f), &f);
        struct engine_clip late = {end + 3 * frame_bytes(&s.canvas), {n - 3, 128, 80}};
        CHECK_OK(engine_encode_video(e, &naive, &late, &f), &f);
        struct tensor is = tensor_rows(&whole, 9 - n_tail, n_tail);
        struct tensor warm = tensor_rows(&known.latent, 9 - n_tail, n_tail);
        double truth = tail_db(e, &s, &whole, is.data, n_tail, clip);
        double warm_db = tail_db(e, &s, &whole, warm.data, n_tail, clip);
        double naive_db = tail_db(e, &s, &whole, naive.data, n_tail, clip);
        printf("  %d latents at the end: whole clip %.1f dB, with a past %.1f, without %.1f\n",
               (int)n_tail, truth, warm_db, naive_db);
        CHECK(warm_db > naive_db + 1 && warm_db > truth - 3);
        engine_close(e);
        mem_free(clip);
        mem_free(s.frames);
    }
}

/* Spans at both ends, as connecting two clips has them: inside them every byte is what it was, the
 * edges go over into what was made. */
static void given_spans_come_back_to_the_byte(void) {
    struct seen s = make_seen(33, 128, 80);
    struct fail f = {0};
    struct engine *e = open_engine(tiny, &s);
    uint8_t *clip = draw_clip(&s.canvas);
    int64_t frame = frame_bytes(&s.canvas);
    struct engine_span span[2] = {{.clip = {clip, {9, 128, 80}}},
                                  {.clip = {clip + 21 * frame, {12, 128, 80}}, .at = 21}};
    struct engine_given given = {.n_spans = 2, .span = span};
    struct engine_render_in in = {.given = &given, .params = {.guidance = 3}};
    CHECK_OK(render(e, &s, &in, &f), &f);
    CHECK_INT(s.n_frames, 33);
    CHECK(memcmp(s.frames, clip, (size_t)(5 * frame)) == 0);
    CHECK(memcmp(s.frames + 25 * frame, clip + 25 * frame, (size_t)(8 * frame)) == 0);
    double edge = psnr(s.frames + 5 * frame, clip + 5 * frame, 4 * frame);
    printf("  frames that go over: %.1f dB from what was given\n", edge);
    CHECK(edge > 22);
    engine_close(e);
    mem_free(clip);
    mem_free(s.frames);
}

/* Outside a region nothing changes but its soft edge; inside it everything may. */
static void outside_a_region_nothing_changes(void) {
    struct seen s = make_seen(9, 128, 96);
    struct fail f = {0};
    struct engine *e = open_engine(mini, &s);
    uint8_t *clip = draw_clip(&s.canvas), *mask = mem_take(128 * 96, 1);
    for (int i = 0; i < 128 * 96; i++)
        mask[i] = i % 128 >= 64 ? 255 : 0;
    struct engine_span span = {.clip = {clip, s.canvas}};
    struct engine_given given = {
        .n_spans = 1, .span = &span, .region = {.mask = mask, .n_frames = 1, .level = 1}};
    struct engine_render_in in = {.given = &given, .params = {.guidance = 1}};
    CHECK_OK(render(e, &s, &in, &f), &f);
    int n_changed = 0;
    for (int64_t i = 0; i < 9 * 128 * 96; i++) {
        bool is_same = memcmp(s.frames + 3 * i, clip + 3 * i, 3) == 0;
        if (i % 128 < 64 - 12) CHECK(is_same);
        if (i % 128 >= 64) n_changed += !is_same;
    }
    CHECK(n_changed > 9 * 96 * 50);
    given.region.level = 0; /* nothing is anew: all is known */
    CHECK_OK(render(e, &s, &in, &f), &f);
    engine_close(e);
    mem_free(mask);
    mem_free(clip);
    mem_free(s.frames);
}

/* The freer, the further from what was given; a level below the last sigma gives the round trip of
 * the VAE. */
static void strength_says_how_far_it_may_go(void) {
    static const double levels[] = {.001, .6, .9};
    double db[3];
    struct seen s = make_seen(17, 128, 80);
    struct fail f = {0};
    struct engine *e = open_engine(tiny, &s);
    uint8_t *clip = draw_clip(&s.canvas);
    for (int i = 0; i < 3; i++) {
        struct engine_span span = {.clip = {clip, s.canvas}, .level = levels[i]};
        struct engine_given given = {.n_spans = 1, .span = &span};
        struct engine_render_in in = {.given = &given, .params = {.guidance = 1, .n_steps = 8}};
        CHECK_OK(render(e, &s, &in, &f), &f);
        db[i] = psnr(s.frames, clip, 17 * frame_bytes(&s.canvas));
    }
    printf("  strength 0, 0.6, 0.9: %.1f, %.1f, %.1f dB from what was given\n", db[0], db[1],
           db[2]);
    CHECK(db[0] > db[1] && db[1] > db[2] && db[0] > 28);
    engine_close(e);
    mem_free(clip);
    mem_free(s.frames);
}

/* Twice as long as a window: the second one is edited on from the first. With the same words and
 * guidance old and new velocities are one, so nothing moves. */
static void an_edit_to_the_same_words_changes_nothing(void) {
    struct seen s = make_seen(29, 64, 32), trip = make_seen(29, 64, 32);
    struct fail f = {0};
    struct engine *e = open_engine(mini, &s);
    struct engine_words words;
    struct tensor latent;
    uint8_t *clip = draw_clip(&s.canvas);
    e->caps.window_latents = 4;
    e->caps.overlap_latents = 2;
    struct engine_span span = {.clip = {clip, s.canvas}, .level = .5};
    struct engine_given given = {.n_spans = 1, .span = &span};
    for (int head = 0; head < WINDOW_HEAD_ENCODE; head++) {
        e->head = (enum window_head)head;
        CHECK_OK(engine_encode_text(e, &words, "a red ball rolls in a meadow", NULL, &f), &f);
        struct engine_edit edit = {.old = &words, .old_guidance = 2};
        struct engine_render_in in = {.given = &given, .params = {.guidance = 2}, .edit = &edit};
        CHECK_OK(render(e, &s, &in, &f), &f);
        CHECK_OK(engine_encode_video(e, &latent, &span.clip, &f), &f);
        trip.n_frames = 0;
        CHECK_OK(engine_decode(e, &latent, on_frame, &trip, &f), &f);
        CHECK(psnr(s.frames, trip.frames, 29 * frame_bytes(&s.canvas)) > 60);
        CHECK_OK(engine_encode_text(e, &words, "a dark and stormy night", NULL, &f), &f);
        CHECK_OK(render(e, &s, &in, &f), &f);
        CHECK(psnr(s.frames, trip.frames, 29 * frame_bytes(&s.canvas)) < 60);
    }
    engine_close(e);
    mem_free(clip);
    mem_free(s.frames);
    mem_free(trip.frames);
}

static double mean_step(const struct seen *s, int a, int b) {
    int64_t n = frame_bytes(&s->canvas);
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += abs(s->frames[a * n + i] - s->frames[b * n + i]);
    return sum / (double)n;
}

/* From the last frame to the first is a step like any other. */
static void a_loop_has_no_seam(void) {
    struct seen s = make_seen(33, 128, 80);
    struct fail f = {0};
    struct engine *e = open_engine(tiny, &s);
    struct engine_render_in in = {.params = {.guidance = 3, .n_steps = 8}, .is_loop = true};
    CHECK_OK(render(e, &s, &in, &f), &f);
    CHECK_INT(s.n_frames, 36);
    double most = 0, seam = mean_step(&s, 35, 0);
    for (int k = 0; k < 35; k++)
        most = fmax(most, mean_step(&s, k, k + 1));
    printf("  %s; a step of %.2f at the seam, elsewhere at most %.2f\n", s.said, seam, most);
    CHECK(seam <= most + 0.5);
    CHECK_HAS(s.said, "from the last frame to the first");
    in.is_loop = false;
    CHECK_OK(render(e, &s, &in, &f), &f);
    printf("  as a clip with two ends: a step of %.2f\n", mean_step(&s, 32, 0));
    s.canvas.n_frames = 101;
    in.is_loop = true;
    CHECK_INT(render(e, &s, &in, &f), ERR_LIMIT);
    CHECK_HAS(f.text, "a loop of 104 frames; this model can close 52 at most");
    engine_close(e);
    mem_free(s.frames);
}

/* When whole frames would take more than half of what a job may have, tiles do, and nearly the same
 * comes out; after each step a preview tells what is to be expected. */
static void frames_too_big_are_coded_in_tiles(void) {
    struct seen s = make_seen(5, 640, 384), tiled = make_seen(5, 640, 384);
    struct fail f = {0};
    struct engine *e = open_engine(tiny, &s);
    struct tensor latent, again;
    uint8_t *clip = draw_clip(&s.canvas);
    struct engine_clip whole = {clip, s.canvas};
    struct vae_shape one = {.T = 1, .H = 24, .W = 40};
    CHECK_OK(engine_encode_video(e, &latent, &whole, &f), &f);
    CHECK_OK(engine_decode(e, &latent, on_frame, &s, &f), &f);
    e->job_budget.max_bytes = (size_t)(1.9 * vae_stream_bytes(e->vae, VAE_DECODE, &one));
    CHECK(engine_decode_is_tiled(e, VAE_DECODE, latent.dim));
    CHECK_OK(engine_decode(e, &latent, on_frame, &tiled, &f), &f);
    double decode_db = psnr(s.frames, tiled.frames, 5 * frame_bytes(&s.canvas));
    double need = vae_stream_bytes(e->vae, VAE_ENCODE, &one);
    e->job_budget.max_bytes = (size_t)(1.9 * need);
    CHECK(engine_decode_is_tiled(e, VAE_ENCODE, latent.dim));
    CHECK_OK(engine_encode_video(e, &again, &whole, &f), &f);
    e->job_budget.max_bytes = (size_t)1 << 33;
    tiled.n_frames = 0;
    CHECK_OK(engine_decode(e, &again, on_frame, &tiled, &f), &f);
    double encode_db = psnr(s.frames, tiled.frames, 5 * frame_bytes(&s.canvas));
    printf("  tiles against whole frames: decoded %.1f dB, encoded %.1f dB\n", decode_db,
           encode_db);
    CHECK(decode_db > 35 && encode_db > 35);
    engine_job_end(e);
    engine_close(e);
    mem_free(clip);
    mem_free(s.frames);
    mem_free(tiled.frames);
}

static void on_preview(void *ctx, const struct engine_clip *frames) {
    struct seen *s = ctx;
    CHECK_INT(frames->size.n_frames, 5);
    CHECK_INT(frames->size.width, 8);
    CHECK_INT(frames->size.height, 5);
    s->n_previews++;
    s->preview_green = 0;
    for (int i = 0; i < 5 * 40; i++)
        s->preview_green += frames->rgb[3 * i + 1] / 200.0;
}

/* The last preview has the colours of the clip. */
static void every_step_shows_what_it_expects(void) {
    struct seen s = make_seen(17, 128, 80);
    struct fail f = {0};
    struct engine *e = open_engine(tiny, &s);
    struct engine_hooks hooks = {.ctx = &s, .preview = on_preview};
    struct engine_render_in in = {.params = {.guidance = 3}};
    double green = 0;
    if (!e->has_preview) {
        test_skip("the embedded model has no vae/preview.json");
        engine_close(e);
        return;
    }
    engine_hooks_set(e, &hooks);
    CHECK_OK(render(e, &s, &in, &f), &f);
    CHECK_INT(s.n_previews, STEPS);
    for (int64_t i = 0, n = 17 * frame_bytes(&s.canvas) / 3; i < n; i++)
        green += s.frames[3 * i + 1] / (double)n;
    printf("  mean green of the last preview %.0f, of the clip %.0f\n", s.preview_green, green);
    CHECK(fabs(s.preview_green - green) < 25);
    engine_close(e);
    mem_free(s.frames);
}

/* The same bytes for one, two and three threads, whatever is given. */
static void threads_change_nothing(void) {
    uint8_t *first = NULL;
    for (int n = 1; n <= 3; n++) {
        struct seen s = make_seen(17, 128, 80);
        struct fail f = {0};
        struct engine *e = NULL;
        struct engine_opts o = {.n_threads = n};
        CHECK_OK(engine_open(&e, tiny, &o, &f), &f);
        uint8_t *clip = draw_clip(&s.canvas);
        struct engine_span span = {.clip = {clip, {9, 128, 80}}};
        struct engine_given given = {.n_spans = 1, .span = &span};
        struct engine_render_in in = {.given = &given,
                                      .params = {.guidance = 3, .solver = ENGINE_SOLVER_RENOISE}};
        CHECK_OK(render(e, &s, &in, &f), &f);
        if (first) CHECK(memcmp(first, s.frames, (size_t)(17 * frame_bytes(&s.canvas))) == 0);
        if (first) mem_free(s.frames);
        if (!first) first = s.frames;
        engine_close(e);
        mem_free(clip);
    }
    mem_free(first);
}

/* The control volume of VACE and the channels of I2V, as the models' own pipelines fill them: known
 * frames, grey elsewhere, and a mask with a channel for every pixel of a cell or frame of a latent.
 */
static void other_models_are_told_in_their_own_form(void) {
    struct seen s = make_seen(9, 64, 64);
    struct fail f = {0};
    struct engine *e = open_engine(mini, &s);
    uint8_t *clip = draw_clip(&s.canvas);
    struct engine_span span[2] = {{.clip = {clip, {1, 64, 64}}},
                                  {.clip = {clip, {1, 64, 64}}, .at = 8}};
    struct engine_given given = {.n_spans = 2, .span = span};
    struct engine_adapt_view view = {.wanted = s.canvas, .fit = s.canvas, .given = &given};
    struct engine_known known = {0};
    struct tensor grey_first;
    int z = e->vae->config.z_dim, cell = e->grid.factor_s * e->grid.factor_s;
    CHECK_OK(engine_encode_video(e, &grey_first, &(struct engine_clip){clip, {1, 64, 64}}, &f), &f);
    e->adapter = ADAPTER_CHANNELS;
    e->dit->caps.extra_channels = 4 + z;
    CHECK_OK(engine_adapt_fill(e, &known, &view, &f), &f);
    const float *x = known.extra.data;
    for (int64_t i = 0; i < 3 * 16; i++, x += 4 + z)
        for (int c = 0; c < 4; c++)
            CHECK_NEAR(x[c], i < 16 || (i >= 32 && c == 3) ? 1 : 0, 0);
    x = known.extra.data; /* latent 0 knows nothing of what comes later */
    for (int64_t i = 0; i < 16; i++)
        for (int c = 0; c < z; c++)
            CHECK_NEAR(x[i * (4 + z) + 4 + c], ((float *)grey_first.data)[i * z + c], 1e-5);
    e->adapter = ADAPTER_CONTROL;
    e->dit->caps.extra_channels = 0;
    e->dit->caps.vace_channels = 2 * z + cell;
    CHECK_OK(engine_adapt_fill(e, &known, &view, &f), &f);
    x = known.control.data; /* frames 1, 4, 7 of 9 speak for the latents: all to be made */
    for (int64_t i = 0; i < 3 * 16; i++, x += 2 * z + cell)
        for (int c = 2 * z; c < 2 * z + cell; c++)
            CHECK_NEAR(x[c], 1, 0);
    engine_job_end(e);
    engine_close(e);
    mem_free(clip);
    mem_free(s.frames);
}

/* What a model cannot be told is refused before anything is computed. */
static void what_cannot_be_told_is_refused_in_words(void) {
    struct seen s = make_seen(9, 64, 64);
    struct fail f = {0};
    struct engine *e = open_engine(mini, &s);
    uint8_t *clip = draw_clip(&s.canvas);
    struct engine_span span = {.clip = {clip, {1, 64, 64}}, .at = 4};
    struct engine_given given = {.n_spans = 1, .span = &span};
    struct engine_render_in in = {.given = &given, .params = {.guidance = 1}};
    e->adapter = ADAPTER_CHANNELS;
    CHECK_INT(render(e, &s, &in, &f), ERR_UNSUPPORTED);
    CHECK_HAS(f.text, "WanPipeline cannot make this from frames in the middle: it is told first");
    in.given = NULL;
    CHECK_INT(render(e, &s, &in, &f), ERR_UNSUPPORTED);
    CHECK_HAS(f.text, "from words alone");
    e->adapter = ADAPTER_REPAINT;
    in.given = &given;
    CHECK_OK(render(e, &s, &in, &f), &f);
    CHECK_HAS(s.said, "painted over");
    given.guide = &(struct engine_clip){clip, s.canvas};
    CHECK_INT(render(e, &s, &in, &f), ERR_UNSUPPORTED);
    CHECK_HAS(f.text, "from a clip to follow: it has what is known painted over");
    given.guide = NULL;
    given.reference = &span.clip;
    given.n_references = 1;
    CHECK_INT(render(e, &s, &in, &f), ERR_UNSUPPORTED);
    CHECK_HAS(f.text, "from pictures for reference");
    given.n_references = 0;
    span.clip.size.width = 32;
    CHECK_INT(render(e, &s, &in, &f), ERR_INPUT);
    CHECK_HAS(f.text, "given frames of 32 x 64 for a canvas of 64 x 64");
    span = (struct engine_span){.clip = {clip, {2, 64, 64}}, .at = 2};
    CHECK_INT(render(e, &s, &in, &f), ERR_INPUT);
    CHECK_HAS(f.text, "2 frames at frame 2 of 9 are too few to go on from");
    engine_close(e);
    mem_free(clip);
    mem_free(s.frames);
}

/* One allocation after the other fails, on each of the ways that given frames can go. */
static void every_failed_allocation_is_an_answer(void) {
    struct seen s = make_seen(13, 64, 64);
    struct fail f = {0};
    struct engine *e = open_engine(mini, &s);
    struct engine_words words;
    uint8_t *clip = draw_clip(&s.canvas), *mask = mem_take(64 * 64, 1);
    memset(mask, 255, 64 * 32);
    struct engine_span span = {.clip = {clip, s.canvas}};
    struct engine_given given = {.n_spans = 1, .span = &span};
    enum { REGION, EDIT, LOOP, WAYS };
    for (int way = 0; way < WAYS; way++) {
        enum err rc = ERR_NOMEM;
        int n_failed = 0;
        given.region = (struct engine_region){way == REGION ? mask : NULL, 1, 1};
        span.level = way == REGION ? 0 : .5;
        for (int64_t nth = 1; rc != ERR_OK && nth < 10000; nth += 1 + nth / 6) {
            CHECK_OK(engine_encode_text(e, &words, "a", NULL, &f), &f);
            struct engine_edit edit = {.old = &words, .old_guidance = 1};
            struct engine_render_in in = {.canvas = s.canvas,
                                          .given = way == LOOP ? NULL : &given,
                                          .words = &words,
                                          .params = {.n_steps = 2, .guidance = 1, .cache = .1},
                                          .is_loop = way == LOOP,
                                          .edit = way == EDIT ? &edit : NULL};
            s.n_frames = 0;
            mem_fail_nth(nth);
            rc = engine_render(e, &in, on_frame, &s, &f);
            mem_fail_nth(0);
            CHECK(rc == ERR_OK || rc == ERR_NOMEM);
            n_failed += rc != ERR_OK;
            engine_job_end(e);
            CHECK(e->pace == NULL);
        }
        CHECK_INT(rc, ERR_OK);
        CHECK(n_failed > 5);
    }
    engine_close(e);
    mem_free(clip);
    mem_free(mask);
    mem_free(s.frames);
}

static const struct test tests[] = {
    TEST(a_tail_gets_a_past_before_it_is_encoded),
    TEST(given_spans_come_back_to_the_byte),
    TEST(outside_a_region_nothing_changes),
    TEST(strength_says_how_far_it_may_go),
    TEST(an_edit_to_the_same_words_changes_nothing),
    TEST(a_loop_has_no_seam),
    TEST(frames_too_big_are_coded_in_tiles),
    TEST(every_step_shows_what_it_expects),
    TEST(threads_change_nothing),
    TEST(other_models_are_told_in_their_own_form),
    TEST(what_cannot_be_told_is_refused_in_words),
    TEST(every_failed_allocation_is_an_answer),
};
TEST_MAIN(tests)
