/* How long jobs will take, learnt from how long they took. */
#include "common/estimate.h"

#include "tests/lib/check.h"

/* A machine with known speeds. */
static struct estimate_work job_of(int frames, int steps, double noise) {
    struct estimate_work w = {.width = 128,
                              .height = 80,
                              .n_frames = frames,
                              .n_steps = steps,
                              .n_passes = 2,
                              .other_ms = 100,
                              .memory_bytes = 1000,
                              .multiple_px = 16,
                              .frame_step = 4,
                              .fps = 12,
                              .home_width = 128,
                              .home_height = 80,
                              .home_steps = 20,
                              .guidance = 5};
    int tokens = (1 + (frames - 1) / 4) * 8 * 5;
    w.denoise_ms = (int64_t)(0.05 * tokens * steps * 2 * noise);
    w.decode_ms = (int64_t)(0.0005 * 128 * 80 * frames * noise);
    return w;
}

static void a_steady_machine_is_known_after_few_jobs(void) {
    struct estimate_model m = {.n_jobs = 0};
    struct estimate e;
    struct estimate_work big = job_of(97, 50, 1);
    struct estimate_work first = job_of(13, 4, 1);
    CHECK(estimate_learn(&m, &first) < 0);
    for (int i = 0; i < 8; i++) {
        struct estimate_work w = job_of(13 + 4 * i, 4 + i, 1);
        CHECK(estimate_learn(&m, &w) < 0.02);
    }
    estimate_predict(&e, &m, &big);
    CHECK_INT(e.n_tokens, 25 * 40);
    CHECK_NEAR(e.total_ms / (double)(big.denoise_ms + big.decode_ms + 100), 1, 0.02);
    CHECK(e.p90_ms >= e.total_ms && m.error < 0.02);
    CHECK_INT(m.n_jobs, 9);
}

static void an_uneven_machine_says_so(void) {
    struct estimate_model m = {.n_jobs = 0};
    struct estimate e;
    for (int i = 0; i < 20; i++) {
        struct estimate_work w = job_of(49, 10, i % 2 ? 1.5 : 0.75);
        (void)estimate_learn(&m, &w);
    }
    struct estimate_work next = job_of(49, 10, 1);
    estimate_predict(&e, &m, &next);
    CHECK(m.error > 0.15 && e.p90_ms > 1.2 * e.total_ms);
}

static void figures_come_back(void) {
    struct estimate_model m = {.n_jobs = 0}, back;
    struct buf out;
    struct fail f = {0};
    struct estimate_work w = job_of(49, 10, 1);
    (void)estimate_learn(&m, &w);
    buf_make(&out, 4096);
    CHECK_OK(estimate_write(&m, &out, &f), &f);
    CHECK_OK(estimate_read(&back, (struct str){out.data, out.len}, &f), &f);
    CHECK_NEAR(back.ms_token_step, m.ms_token_step, 0);
    CHECK_INT(back.last.fps, 12);
    CHECK_INT(estimate_read(&back, str_of("{}"), &f), ERR_CORRUPT);
    CHECK_INT(estimate_read(&back, str_of("[]"), &f), ERR_CORRUPT);
    CHECK_INT(estimate_read(&back, str_of("x"), &f), ERR_CORRUPT);
    buf_free(&out);
}

static void a_job_that_nobody_measured_teaches_nothing(void) {
    struct estimate_model m = {.n_jobs = 0};
    struct estimate_work none = {.width = 0};
    CHECK(estimate_learn(&m, &none) < 0);
    CHECK_INT(m.n_jobs, 0);
}

static const struct test tests[] = {
    TEST(a_steady_machine_is_known_after_few_jobs),
    TEST(an_uneven_machine_says_so),
    TEST(figures_come_back),
    TEST(a_job_that_nobody_measured_teaches_nothing),
};
TEST_MAIN(tests)
