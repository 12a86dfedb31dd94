/* Rendered frames become the three files of a result. */
#include "worker/clip.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"
#include "worker/media/probe.h"
#include "worker/spool.h"

enum { W = 64, H = 48, N = 9 };

static char dir[256];
static uint8_t frame[W * H * 3];

static struct plan plan_of(int out_width, int out_height, int out_fps, int n_out) {
    if (!dir[0]) snprintf(dir, sizeof(dir), "%s", temp_dir());
    return (struct plan){.canvas = {N, W, H},
                         .model_fps = 16,
                         .out_width = out_width,
                         .out_height = out_height,
                         .out_fps = out_fps,
                         .n_out_frames = n_out};
}

static bool exists(enum receipt_variant v, int64_t *size) {
    char path[400];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", dir, spool_file_name(v));
    if (stat(path, &st) < 0) return false;
    if (size) *size = st.st_size;
    return true;
}

static void write_frames(struct clip *c, const struct plan *plan, int n, struct fail *f) {
    for (int t = 0; t < n; t++) {
        memset(frame, 20 * t, sizeof(frame));
        CHECK_OK(clip_frame(c, frame, plan_copies(plan, t), f), f);
    }
}

static void all_three_files_are_described_truly(void) {
    static const struct {
        int w, h, fps, n;
    } rows[] = {{W, H, 16, 9}, {320, 180, 16, 9}, {W, H, 32, 17}, {W, H, 8, 5}};
    for (int i = 0; i < 4; i++) {
        struct fail f = {0};
        struct receipt r = {0};
        struct clip *c = NULL;
        struct probe probe;
        char path[400];
        int64_t size = 0;
        struct plan p = plan_of(rows[i].w, rows[i].h, rows[i].fps, rows[i].n);
        CHECK_OK(clip_open(&c, dir, &p, -1, &f), &f);
        write_frames(c, &p, N, &f);
        CHECK_OK(clip_close(c, &r, &f), &f);
        CHECK_INT(r.num_frames, rows[i].n);
        CHECK_INT(r.width, rows[i].w);
        for (int v = 0; v < RECEIPT_VARIANT_COUNT; v++) {
            CHECK(exists((enum receipt_variant)v, &size));
            CHECK_INT(r.objects[v].n_bytes, size);
            CHECK_INT(strlen(r.objects[v].sha256), 64);
        }
        snprintf(path, sizeof(path), "%s/video.mp4", dir);
        CHECK_OK(probe_mp4(&probe, path, &f), &f);
        CHECK_INT(probe.n_frames, rows[i].n);
        CHECK_NEAR(probe.fps, rows[i].fps, 1e-9);
    }
    CHECK_INT(mem_alive(), 0);
}

static void too_few_frames_leave_no_files(void) {
    struct fail f = {0};
    struct receipt r = {0};
    struct clip *c = NULL;
    struct plan p = plan_of(W, H, 16, N);
    CHECK_OK(clip_open(&c, dir, &p, -1, &f), &f);
    write_frames(c, &p, N - 1, &f);
    CHECK_INT(clip_close(c, &r, &f), ERR_BUG);
    CHECK_STR(f.text, "clip: 8 of 9 frames came");
    for (int v = 0; v < RECEIPT_VARIANT_COUNT; v++)
        CHECK(!exists((enum receipt_variant)v, NULL));
    CHECK_OK(clip_open(&c, dir, &p, -1, &f), &f);
    write_frames(c, &p, N, &f);
    CHECK_INT(clip_frame(c, frame, 1, &f), ERR_BUG);
    clip_drop(c);
    CHECK(!exists(RECEIPT_VIDEO, NULL));
    CHECK_INT(mem_alive(), 0);
}

static const struct test tests[] = {
    TEST(all_three_files_are_described_truly),
    TEST(too_few_frames_leave_no_files),
};
TEST_MAIN(tests)
