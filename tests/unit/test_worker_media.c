/* Frames to mp4, stills and sheets: what is written is what was promised, to the byte. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/crop.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "tests/lib/check.h"
#include "tests/lib/temp.h"
#include "worker/media/encode.h"
#include "worker/media/probe.h"
#include "worker/media/sheet.h"
#include "worker/media/still.h"

enum { W = 128, H = 80, N = 33 };

static char dir[256], path[400];
static uint8_t frame[W * H * 3];

static void fresh(const char *name) {
    if (!dir[0]) snprintf(dir, sizeof(dir), "%s", temp_dir());
    snprintf(path, sizeof(path), "%s/%s", dir, name);
}

/* A gradient that wanders, so that every frame differs. */
static void paint(int t) {
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) {
            uint8_t *p = frame + (y * W + x) * 3;
            p[0] = (uint8_t)(2 * x + 5 * t);
            p[1] = (uint8_t)(3 * y);
            p[2] = (uint8_t)(200 - t * 3);
        }
}

static void write_clip(const struct encode_opts *o, struct fail *f) {
    struct encode *e = NULL;
    CHECK_OK(encode_open(&e, path, o, f), f);
    for (int t = 0; e && t < N; t++) {
        paint(t);
        CHECK_OK(encode_frame(e, frame, W * 3, f), f);
    }
    CHECK_OK(encode_close(e, f), f);
}

static void hash_file(char out[65]) {
    static char data[4 << 20];
    FILE *fp = fopen(path, "rb");
    size_t n = fp ? fread(data, 1, sizeof(data), fp) : 0;
    if (fp) fclose(fp);
    CHECK(n > 0);
    sha256_hex(data, n, out);
}

static void a_clip_is_what_was_asked_for(void) {
    static const struct {
        int out_w, out_h, num, den;
    } rows[] = {{0, 0, 16, 1}, {1280, 720, 16, 1}, {720, 1280, 24, 1}, {160, 90, 30000, 1001}};
    for (int i = 0; i < 4; i++) {
        struct fail f = {0};
        struct probe p;
        struct encode_opts o = {.width = W,
                                .height = H,
                                .out_width = rows[i].out_w,
                                .out_height = rows[i].out_h,
                                .fps_num = rows[i].num,
                                .fps_den = rows[i].den,
                                .preset = "veryfast"};
        fresh("clip.mp4");
        write_clip(&o, &f);
        CHECK_OK(probe_mp4(&p, path, &f), &f);
        CHECK_INT(p.n_frames, N);
        CHECK_INT(p.width, rows[i].out_w ? rows[i].out_w : W);
        CHECK_INT(p.height, rows[i].out_h ? rows[i].out_h : H);
        CHECK_NEAR(p.fps, (double)rows[i].num / rows[i].den, 1e-3);
        CHECK(p.is_h264 && p.is_yuv420p && p.is_moov_first);
    }
}

static void the_same_frames_give_the_same_bytes(void) {
    char a[65], b[65];
    struct fail f = {0};
    struct encode_opts o = {
        .width = W, .height = H, .out_width = 640, .out_height = 360, .fps_num = 16, .fps_den = 1};
    fresh("a.mp4");
    write_clip(&o, &f);
    hash_file(a);
    fresh("b.mp4");
    write_clip(&o, &f);
    hash_file(b);
    CHECK_STR(a, b);
}

/* ffprobe is another reader than ours; ffmpeg's decode gives colours back within coding error. */
static void ffprobe_agrees(void) {
    char cmd[1200], got[256] = "";
    struct fail f = {0};
    struct encode_opts o = {.width = W, .height = H, .fps_num = 16, .fps_den = 1};
    if (access("/usr/bin/ffprobe", X_OK) != 0) {
        test_skip("no ffprobe here");
        return;
    }
    fresh("probe.mp4");
    write_clip(&o, &f);
    snprintf(
        cmd, sizeof(cmd),
        "ffprobe -v error -select_streams v -count_frames -show_entries stream=codec_name,pix_fmt,"
        "color_range,color_space,color_transfer,color_primaries,nb_read_frames,avg_frame_rate "
        "-of csv=p=0 %s > %s.txt",
        path, path);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    snprintf(cmd, sizeof(cmd), "%s.txt", path);
    FILE *fp = fopen(cmd, "rb");
    if (fp) {
        CHECK(fgets(got, sizeof(got), fp) != NULL);
        fclose(fp);
    }
    CHECK_STR(got, "h264,yuv420p,tv,bt709,bt709,bt709,16/1,33\n");
}

static void bad_options_are_refused_in_words(void) {
    static const struct {
        struct encode_opts o;
        const char *part;
    } rows[] = {
        {{.width = 8, .height = 80, .fps_num = 16, .fps_den = 1}, "8 pixels"},
        {{.width = 128,
          .height = 80,
          .out_width = 129,
          .out_height = 80,
          .fps_num = 16,
          .fps_den = 1},
         "not even"},
        {{.width = 128, .height = 80, .fps_num = 0, .fps_den = 1}, "frames per second"},
        {{.width = 128, .height = 80, .fps_num = 16, .fps_den = 1, .preset = "sloth"}, "sloth"},
    };
    for (int i = 0; i < 4; i++) {
        struct fail f = {0};
        struct encode *e = NULL;
        fresh("bad.mp4");
        CHECK_INT(encode_open(&e, path, &rows[i].o, &f), ERR_INPUT);
        CHECK_HAS(f.text, rows[i].part);
        CHECK(e == NULL);
        CHECK(access(path, F_OK) != 0);
    }
}

static void a_dropped_clip_leaves_no_file(void) {
    struct fail f = {0};
    struct encode *e = NULL;
    struct encode_opts o = {.width = W, .height = H, .fps_num = 16, .fps_den = 1};
    fresh("drop.mp4");
    CHECK_OK(encode_open(&e, path, &o, &f), &f);
    CHECK_OK(encode_frame(e, frame, W * 3, &f), &f);
    encode_drop(e);
    CHECK(access(path, F_OK) != 0);
    CHECK(encode_open(&e, "/nonexistent/x.mp4", &o, &f) != ERR_OK);
    CHECK_HAS(f.text, "/nonexistent/x.mp4");
}

static void stills_and_sheets_are_webp(void) {
    struct fail f = {0};
    char head[13] = "";
    struct sheet *s = NULL;
    struct sheet_opts o = {
        .width = W, .height = H, .out_width = 1280, .out_height = 720, .n_frames = N};
    struct still still = {
        .rgb = frame, .width = W, .height = H, .out_width = 320, .out_height = 180};
    fresh("still.webp");
    paint(0);
    CHECK_OK(still_write_webp(path, &still, &f), &f);
    FILE *fp = fopen(path, "rb");
    CHECK(fp && fread(head, 1, 12, fp) == 12);
    if (fp) fclose(fp);
    CHECK(memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0);
    fresh("sheet.webp");
    CHECK_OK(sheet_open(&s, &o, &f), &f);
    for (int t = 0; t < N; t++) {
        paint(t);
        CHECK_OK(sheet_frame(s, frame, W * 3, &f), &f);
    }
    CHECK_INT(sheet_frame(s, frame, W * 3, &f), ERR_BUG);
    CHECK_OK(sheet_close(s, path, &f), &f);
    CHECK_INT(access(path, R_OK), 0);
}

static void the_middle_keeps_the_shape(void) {
    static const struct {
        int w, h, ow, oh, x, y, cw, ch;
    } rows[] = {
        {128, 80, 1280, 720, 0, 4, 128, 72},
        {128, 80, 720, 1280, 41, 0, 45, 80},
        {100, 100, 50, 50, 0, 0, 100, 100},
        {1, 1000, 1000, 1, 0, 499, 1, 1},
    };
    for (int i = 0; i < 4; i++) {
        struct crop c = crop_to_shape(rows[i].w, rows[i].h, rows[i].ow, rows[i].oh);
        CHECK_INT(c.x, rows[i].x);
        CHECK_INT(c.y, rows[i].y);
        CHECK_INT(c.width, rows[i].cw);
        CHECK_INT(c.height, rows[i].ch);
    }
}

static void speed_is_printed_and_nothing_leaks(void) {
    struct fail f = {0};
    struct encode_opts o = {
        .width = W, .height = H, .out_width = 1280, .out_height = 720, .fps_num = 16, .fps_den = 1};
    fresh("speed.mp4");
    int64_t t0 = now_mono_ms();
    write_clip(&o, &f);
    printf("  128x80 to 1280x720 medium: %d frames in %lld ms\n", N,
           (long long)(now_mono_ms() - t0));
    CHECK_INT(mem_alive(), 0);
}

static const struct test tests[] = {
    TEST(a_clip_is_what_was_asked_for),
    TEST(the_same_frames_give_the_same_bytes),
    TEST(ffprobe_agrees),
    TEST(bad_options_are_refused_in_words),
    TEST(a_dropped_clip_leaves_no_file),
    TEST(stills_and_sheets_are_webp),
    TEST(the_middle_keeps_the_shape),
    TEST(speed_is_printed_and_nothing_leaks),
};
TEST_MAIN(tests)
