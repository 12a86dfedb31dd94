/* Figures about frames and sets of answers. */
#include <math.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "eval/stat.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"

enum { W = 16, H = 16, T = 9 };

static struct reel filled(int (*value)(int t, int x, int y)) {
    struct reel r;
    struct fail f = {0};
    CHECK_OK(reel_make(&r, T, W, H, &f), &f);
    for (int t = 0; t < T; t++)
        for (int i = 0; i < W * H; i++)
            for (int c = 0; c < 3; c++)
                reel_frame(&r, t)[i * 3 + c] = (uint8_t)value(t, i % W, i / W);
    return r;
}

static int grey(int t, int x, int y) {
    (void)t, (void)x, (void)y;
    return 100;
}
static int fading(int t, int x, int y) {
    (void)x, (void)y;
    return 100 + 2 * t;
}
static int jumping(int t, int x, int y) {
    (void)x, (void)y;
    return 100 + 2 * t + (t >= 5 ? 40 : 0);
}
static int trembling(int t, int x, int y) {
    (void)x, (void)y;
    return 100 + t % 2 * 8;
}
static int checked(int t, int x, int y) {
    (void)t;
    return (x + y) % 2 * 80;
}

static void psnr_is_that_of_the_books(void) {
    static const uint8_t a[] = {10, 20, 30}, b[] = {11, 21, 31};
    CHECK_NEAR(stat_psnr(a, b, 3), 48.1308, 1e-3);
    CHECK_NEAR(stat_psnr(a, a, 3), STAT_PSNR_MAX, 0);
}

static void a_jump_is_seen_at_its_seam_only(void) {
    struct reel r = filled(jumping), calm = filled(fading);
    CHECK(stat_seam_drop(&r, 5) > 20);
    CHECK(stat_seam_drop(&r, 3) < 0);
    CHECK_NEAR(stat_seam_drop(&calm, 4), 0, 1e-9);
    CHECK(stat_loop_drop(&calm) > 10);
    reel_free(&r);
    reel_free(&calm);
}

static void flicker_is_trembling_and_not_fading(void) {
    struct reel still = filled(grey), calm = filled(fading), bad = filled(trembling);
    CHECK_NEAR(stat_flicker(&still), 0, 0);
    CHECK_NEAR(stat_flicker(&calm), 0, 1e-9);
    CHECK_NEAR(stat_flicker(&bad), 16, 1e-9);
    reel_free(&still);
    reel_free(&calm);
    reel_free(&bad);
}

static void sharpness_is_edges(void) {
    struct reel flat = filled(grey), edges = filled(checked);
    CHECK_NEAR(stat_sharpness(&flat), 0, 1e-9);
    CHECK(stat_sharpness(&edges) > 1000);
    reel_free(&flat);
    reel_free(&edges);
}

/* Of two normal distributions with independent coordinates the distance is a closed form. */
static void frechet_is_the_closed_form_on_a_grid(void) {
    enum { N = 400, D = 3 };
    static float a[N * D], b[N * D];
    double d, s = 0;
    struct fail f = {0};
    for (int i = 0; i < N; i++)
        for (int k = 0; k < D; k++) {
            double v = sqrt(2) * cos(2 * 3.14159265358979 * (k + 1) * (i + 0.5) / N);
            a[i * D + k] = (float)v;           /* mean 0, variance 1, uncorrelated */
            b[i * D + k] = (float)(3 * v + k); /* mean k, deviation 3 */
        }
    for (int k = 0; k < D; k++)
        s += k * k + (3 - 1) * (3 - 1);
    CHECK_OK(stat_frechet(&d, a, N, b, N, D, &f), &f);
    CHECK_NEAR(d, s, 1e-4);
    CHECK_OK(stat_frechet(&d, a, N, a, N, D, &f), &f);
    CHECK_NEAR(d, 0, 1e-6);
}

static void shares_have_the_interval_of_wilson(void) {
    CHECK_NEAR(stat_wilson(50, 100), 0.0962, 1e-3);
    CHECK_NEAR(stat_wilson(0, 10), 0.1388, 1e-3);
    CHECK_NEAR(stat_wilson(0, 0), 1, 0);
}

static void a_clip_comes_back_from_its_file_and_another_one_does_not(void) {
    char path[256];
    struct reel r = filled(checked), back;
    struct fail f = {0};
    snprintf(path, sizeof path, "%s/clip", temp_dir());
    CHECK_INT(reel_read(&back, path, 7, &f), ERR_NOT_FOUND);
    CHECK_OK(reel_write(&r, path, 7, &f), &f);
    CHECK_INT(reel_read(&back, path, 8, &f), ERR_NOT_FOUND);
    CHECK_OK(reel_read(&back, path, 7, &f), &f);
    CHECK_INT(back.n_frames, T);
    CHECK_INT(memcmp(back.rgb, r.rgb, (size_t)T * W * H * 3), 0);
    reel_free(&back);
    CHECK_INT(truncate(path, 1000), 0);
    CHECK_INT(reel_read(&back, path, 7, &f), ERR_CORRUPT);
    CHECK_HAS(f.text, "is no clip");
    reel_free(&r);
}

static const struct test tests[] = {
    TEST(psnr_is_that_of_the_books),
    TEST(a_jump_is_seen_at_its_seam_only),
    TEST(flicker_is_trembling_and_not_fading),
    TEST(sharpness_is_edges),
    TEST(frechet_is_the_closed_form_on_a_grid),
    TEST(shares_have_the_interval_of_wilson),
    TEST(a_clip_comes_back_from_its_file_and_another_one_does_not),
};
TEST_MAIN(tests)
