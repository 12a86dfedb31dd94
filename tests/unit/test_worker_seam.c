/* How well a loop closes, on frames whose differences are known. */
#include "worker/seam.h"

#include <string.h>

#include "common/base/mem.h"
#include "tests/lib/check.h"

enum { N = 300 };

static void show(struct seam *s, int grey) {
    uint8_t rgb[N];
    memset(rgb, grey, sizeof(rgb));
    seam_frame(s, rgb);
}

static void a_ramp_has_its_step_at_the_seam(void) {
    struct seam s;
    struct fail f = {0};
    CHECK_OK(seam_make(&s, N, &f), &f);
    for (int i = 0; i < 11; i++)
        show(&s, 10 * i);
    CHECK_NEAR(seam_end(&s).usual, 10.0 / 255, 1e-9);
    CHECK_NEAR(seam_end(&s).error, 100.0 / 255, 1e-9);
    seam_free(&s);
    CHECK_INT(mem_alive(), 0);
}

static void a_loop_closes(void) {
    struct seam s;
    struct fail f = {0};
    CHECK_OK(seam_make(&s, N, &f), &f);
    for (int i = 0; i < 8; i++)
        show(&s, i < 4 ? 10 * i : 10 * (8 - i));
    CHECK_NEAR(seam_end(&s).error, seam_end(&s).usual, 1e-9);
    seam_free(&s);
}

static void no_frames_and_no_loop_are_no_error(void) {
    struct seam none = {0};
    seam_frame(&none, NULL);
    CHECK_NEAR(seam_end(&none).usual, 0, 0);
    seam_free(&none);
}

static const struct test tests[] = {
    TEST(a_ramp_has_its_step_at_the_seam),
    TEST(a_loop_closes),
    TEST(no_frames_and_no_loop_are_no_error),
};
TEST_MAIN(tests)
