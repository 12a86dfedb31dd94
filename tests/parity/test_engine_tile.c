/* A job whose frames do not fit its memory whole: they go through the VAE in tiles, the log says
 * so, and the clip is the same but for what tiles change. */
#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine.h"
#include "tests/lib/check.h"

enum { W = 512, H = 384, FRAMES = 5, FRAME_BYTES = W * H * 3, STOP_AT = 3, JOB_BYTES = 100 << 20 };

static const struct canvas canvas = {FRAMES, W, H};

struct seen {
    uint8_t *rgb; /* of all frames */
    int n_frames, n_tiles_said, n_asked, cancel_at;
};

static void on_log(void *ctx, const char *event, const char *text) {
    struct seen *s = ctx;
    if (strcmp(event, "engine.tiles") == 0) s->n_tiles_said++;
    CHECK(text != NULL);
}

static bool on_ask(void *ctx) {
    struct seen *s = ctx;
    return ++s->n_asked == s->cancel_at;
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct seen *s = ctx;
    (void)f;
    CHECK_INT(index, s->n_frames);
    memcpy(s->rgb + (int64_t)s->n_frames++ * FRAME_BYTES, rgb, FRAME_BYTES);
    return ERR_OK;
}

static uint8_t *paint(void) {
    uint8_t *rgb = mem_take(FRAMES, FRAME_BYTES), *to = rgb;
    for (int t = 0; t < FRAMES; t++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++, to += 3) {
                int dx = x - 150 - 8 * t, dy = y - H / 2;
                to[0] = dx * dx + dy * dy < 3600 ? 230 : 90;
                to[1] = (uint8_t)(y * 255 / H);
                to[2] = (uint8_t)(x * 255 / W);
            }
    return rgb;
}

static enum err there_and_back(struct seen *s, size_t job_max_bytes, const uint8_t *rgb,
                               struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_opts o = {.n_threads = 2,
                            .job_max_bytes = job_max_bytes,
                            .hooks = {.ctx = s, .log = on_log, .is_cancelled = on_ask}};
    struct engine_clip clip = {rgb, canvas};
    struct engine *e = NULL;
    struct tensor latent;
    TRY(engine_open(&e, "models/tiny", &o, f));
    TRY(engine_encode_video(e, &latent, &clip, f));
    TRY(engine_decode(e, &latent, on_frame, s, f));
out:
    engine_close(e);
    return rc;
}

static void a_job_with_little_memory_makes_its_frames_in_tiles(void) {
    struct fail f = {0};
    uint8_t *rgb = paint();
    struct seen whole = {.rgb = mem_take(FRAMES, FRAME_BYTES)};
    struct seen tiles = {.rgb = mem_take(FRAMES, FRAME_BYTES)};
    CHECK_OK(there_and_back(&whole, 0, rgb, &f), &f);
    CHECK_OK(there_and_back(&tiles, JOB_BYTES, rgb, &f), &f);
    CHECK_INT(whole.n_tiles_said, 0);
    CHECK(tiles.n_tiles_said > 0);
    CHECK_INT(whole.n_frames, FRAMES);
    CHECK_INT(tiles.n_frames, FRAMES);
    double square = 0;
    for (int64_t i = 0; i < (int64_t)FRAMES * FRAME_BYTES; i++) {
        double d = (double)whole.rgb[i] - (double)tiles.rgb[i];
        square += d * d;
    }
    double psnr = 10 * log10(255.0 * 255.0 * FRAMES * FRAME_BYTES / (square + 1e-9));
    printf("  a clip in tiles against whole frames: %.1f dB, %d parts in tiles\n", psnr,
           tiles.n_tiles_said);
    CHECK(psnr >= 33);
    mem_free(rgb);
    mem_free(whole.rgb);
    mem_free(tiles.rgb);
}

static void a_cancelled_job_stops_between_tiles(void) {
    struct fail f = {0};
    uint8_t *rgb = paint();
    struct seen s = {.rgb = mem_take(FRAMES, FRAME_BYTES), .cancel_at = STOP_AT};
    CHECK_INT(there_and_back(&s, JOB_BYTES, rgb, &f), ERR_CANCELLED);
    CHECK_INT(s.n_asked, STOP_AT);
    CHECK_INT(s.n_frames, 0);
    mem_free(rgb);
    mem_free(s.rgb);
}

static const struct test tests[] = {
    TEST(a_job_with_little_memory_makes_its_frames_in_tiles),
    TEST(a_cancelled_job_stops_between_tiles),
};
TEST_MAIN(tests)
