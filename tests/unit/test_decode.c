/* Strangers' files: the readers of misora-decode in this process (so that sanitizers see them), and
 * the program itself through common/decode.h. Files are made here, byte by byte or by our own
 * encoder. What only a jail can show is in tests/integration/test_media.py. */
#include "common/decode.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/now.h"
#include "decode/film.h"
#include "decode/picture.h"
#include "decode/tone.h"
#include "tests/lib/check.h"
#include "worker/media/encode.h"
#include "worker/media/still.h"

enum { W = 64, H = 40, FILE_ROOM = 1 << 20, N_FRAMES = 20 };

static uint8_t file[FILE_ROOM], rgb[W * H * 3];

static int fd_of(const void *data, size_t n) {
    int fd = memfd_create("test_decode", MFD_CLOEXEC);
    CHECK_INT(pwrite(fd, data, n, 0), n);
    return fd;
}

static size_t slurp(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : pread(fd, file, FILE_ROOM, 0);
    if (fd >= 0) close(fd);
    unlink(path);
    return n > 0 ? (size_t)n : 0;
}

/* The left half red, the right half blue; grey is added as time goes by. */
static void paint(uint8_t *frame, int width, int height, int grey) {
    for (int i = 0; i < width * height; i++) {
        frame[i * 3 + 0] = (uint8_t)(i % width < width / 2 ? 220 : 20);
        frame[i * 3 + 1] = (uint8_t)grey;
        frame[i * 3 + 2] = (uint8_t)(i % width < width / 2 ? 20 : 220);
    }
}

static size_t make_webp(void) {
    static uint8_t frame[128 * 80 * 3];
    struct fail f = {0};
    char path[] = "/tmp/test_decode.XXXXXX";
    close(mkstemp(path));
    paint(frame, 128, 80, 0);
    struct still s = {.rgb = frame, .width = 128, .height = 80, .out_width = 128, .out_height = 80};
    CHECK_OK(still_write_webp(path, &s, &f), &f);
    return slurp(path);
}

/* Two seconds at 10 fps; frame i has 10 i of green. */
static size_t make_mp4(void) {
    static uint8_t frame[128 * 80 * 3];
    struct fail f = {0};
    struct encode *e = NULL;
    char path[] = "/tmp/test_decode.XXXXXX";
    close(mkstemp(path));
    struct encode_opts o = {.width = 128, .height = 80, .fps_num = 10, .fps_den = 1};
    CHECK_OK(encode_open(&e, path, &o, &f), &f);
    for (int i = 0; e && i < N_FRAMES; i++) {
        paint(frame, 128, 80, 10 * i);
        CHECK_OK(encode_frame(e, frame, 128 * 3, &f), &f);
    }
    CHECK_OK(encode_close(e, &f), &f);
    return slurp(path);
}

static bool is_near(const uint8_t *p, int r, int g, int b) {
    return abs(p[0] - r) < 40 && abs(p[1] - g) < 40 && abs(p[2] - b) < 40;
}

/* Runs the readers of the jail here, without it; the frames go nowhere. */
static enum err read_here(const void *data, size_t n, struct fail *f) {
    struct source s;
    enum source_kind kind;
    struct ask ask = {.width = W, .height = H};
    int fd = fd_of(data, n), nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct tell tell = {.fd = nowhere};
    enum err rc = source_open(&s, fd, f);
    if (rc == ERR_OK) rc = source_find_kind(&s, &kind, f);
    if (rc == ERR_OK)
        rc = kind < SOURCE_MOV ? picture_send(&tell, &s, kind, &ask, f)
                               : film_send(&tell, &s, kind, &ask, f);
    close(nowhere);
    close(fd);
    return rc;
}

/* A 2x1 grey PNG, and what becomes of it when its head lies. */
static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0,    0,    13,
                              'I',  'H', 'D', 'R', 0,    0,    0,    2,    0,    0,    0,    1,
                              8,    0,   0,   0,   0,    0xd1, 0x5c, 0x33, 0x8e, 0,    0,    0,
                              11,   'I', 'D', 'A', 'T',  0x78, 0x9c, 0x63, 0x60, 0xf8, 0x0f, 0,
                              1,    2,   1,   0,   0x9f, 0x3a, 0x8c, 0x6d, 0,    0,    0,    0,
                              'I',  'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};

static void files_of_no_kind_are_refused_by_their_first_bytes(void) {
    static const char *const rows[] = {
        "",
        "x",
        "hello world, this is text",
        "<html><body>",
        "<svg xmlns='x'><!ENTITY a SYSTEM 'file:///'>",
        "%PDF-1.4",
        "%!PS",
        "PK\x03\x04",
        "\x7f"
        "ELF",
        "BM......",
        "II*\x00",
        "#EXTM3U\nfile:///etc/passwd",
        "ffconcat version 1.0\nfile /etc/passwd",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
        "RIFF\x10\x00\x00\x00"
        "AVI ",
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct fail f = {0};
        CHECK_INT(read_here(rows[i], strlen(rows[i]), &f), ERR_MEDIA);
        CHECK_HAS(f.text, i == 0 ? "empty" : "not a jpeg, png or webp image, nor an mp4");
    }
}

static void heads_that_lie_are_refused_at_once(void) {
    static const uint32_t sides[][2] = {{16000, 16000}, {65535, 65535}, {0x7fffffff, 0x7fffffff},
                                        {0, 0},         {1, 100000},    {0xffffffff, 1},
                                        {0, 7},         {30000, 30000}};
    for (int i = 0; i < (int)(sizeof(sides) / sizeof(sides[0])); i++) {
        struct fail f = {0};
        int64_t t0 = now_mono_ms();
        memcpy(file, png, sizeof(png));
        for (int k = 0; k < 4; k++) {
            file[16 + k] = (uint8_t)(sides[i][0] >> (24 - 8 * k));
            file[20 + k] = (uint8_t)(sides[i][1] >> (24 - 8 * k));
        }
        CHECK_INT(read_here(file, sizeof(png), &f), ERR_MEDIA);
        CHECK(now_mono_ms() - t0 < 500);
    }
}

/* Every kind of prefix and many flips of a good file: refused or decoded, never worse. */
static void spoil(size_t n, int n_cuts, int n_flips) {
    uint32_t seed = 7;
    int n_refused = 0;
    uint8_t *copy = mem_take(1, n);
    CHECK(copy != NULL);
    if (!copy) return;
    for (int i = 0; i < n_cuts; i++)
        n_refused += read_here(file, n * (size_t)i / (size_t)n_cuts, NULL) != ERR_OK;
    CHECK(n_refused > n_cuts / 2);
    for (int i = 0; i < n_flips; i++) {
        memcpy(copy, file, n);
        for (int k = 0; k < 3; k++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % n] ^= (uint8_t)(1u << (seed & 7));
        }
        enum err rc = read_here(copy, n, NULL);
        CHECK(rc == ERR_OK || rc == ERR_MEDIA || rc == ERR_NOMEM);
    }
    mem_free(copy);
}

static void cut_and_flipped_pictures_do_no_harm(void) {
    spoil(make_webp(), 60, 200);
}

static void cut_and_flipped_clips_do_no_harm(void) {
    spoil(make_mp4(), 60, 100);
}

/* Light that a plain screen can show stays; what is brighter is bent, and white is the top. */
static void bright_light_is_bent_and_dark_light_stays(void) {
    static struct tone t;
    static const struct {
        enum tone_curve curve;
        double signal;
        int code, within;
    } rows[] = {
        {TONE_GAMMA, 0.0, 0, 0},   {TONE_GAMMA, 0.5, 128, 1}, {TONE_PQ, 0.0, 0, 0},
        {TONE_PQ, 0.4285, 139, 4}, /* 47 nits of 203: (47 / 203) ^ (1 / 2.4) */
        {TONE_PQ, 0.7518, 255, 1}, /* 1000 nits */
        {TONE_PQ, 1.0, 255, 0},    {TONE_HLG, 1.0, 255, 0},   {TONE_HLG, 0.0, 0, 0},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        uint16_t s = (uint16_t)(rows[i].signal * 65535);
        uint16_t deep[3] = {s, s, s};
        uint8_t got[3];
        tone_make(&t, rows[i].curve, true);
        tone_map(&t, got, deep, 1);
        CHECK_NEAR(got[0], rows[i].code, rows[i].within);
        CHECK_NEAR(got[1], rows[i].code, rows[i].within);
    }
    int before = -1;
    tone_make(&t, TONE_PQ, false);
    for (int i = 0; i < 65536; i += 97) {
        uint16_t deep[3] = {(uint16_t)i, (uint16_t)i, (uint16_t)i};
        uint8_t got[3];
        tone_map(&t, got, deep, 1);
        CHECK(got[0] >= before);
        before = got[0];
    }
}

/* The program beside the tests' folder: build/MODE/tests/unit/.. -> build/MODE/misora-decode. */
static const char *find_program(void) {
    static char path[1024];
    decode_find_program(path, sizeof(path));
    char *tests = strstr(path, "/tests/unit/");
    if (tests) snprintf(tests, (size_t)((size_t)(path + sizeof(path) - tests)), "/misora-decode");
    if (access(path, X_OK) == 0) return path;
    test_skip("misora-decode is not built in this mode");
    return NULL;
}

static void a_picture_comes_back_or_a_reason(void) {
    const char *program = find_program();
    if (!program) return;
    struct fail f = {0};
    struct decode_facts facts;
    int fd = fd_of(file, make_webp());
    struct decode_request r = {
        .program = program, .fd = fd, .width = W, .height = H, .facts = &facts};
    CHECK_OK(decode_image(rgb, &r, &f), &f);
    CHECK(is_near(rgb + (H / 2 * W + 5) * 3, 220, 0, 20));
    CHECK(is_near(rgb + (H / 2 * W + W - 6) * 3, 20, 0, 220));
    CHECK(!facts.is_video);
    CHECK_INT(facts.width, 128);
    CHECK_INT(facts.n_warnings, 0);
    r.kind = DECODE_VIDEO;
    CHECK_INT(decode_image(rgb, &r, &f), ERR_MEDIA);
    CHECK_STR(f.text, "the file is an image; need a video");
    r.kind = DECODE_IMAGE;
    CHECK_INT(ftruncate(fd, 100), 0);
    CHECK_INT(decode_image(rgb, &r, &f), ERR_MEDIA);
    CHECK_HAS(f.text, "the image is damaged");
    close(fd);
}

static void a_clip_comes_back_at_the_asked_rate_and_span(void) {
    const char *program = find_program();
    if (!program) return;
    static const struct {
        int fps, from, n_max;
        int n_frames, n_given, first, last; /* frames of the file that come first and last */
    } rows[] = {
        {0, 0, 0, 20, 20, 0, 19},   {10, 0, 5, 20, 5, 0, 4},   {10, -3, 0, 20, 3, 17, 19},
        {10, 15, 9, 20, 5, 15, 19}, {5, 0, 0, 10, 10, 0, 18},  {20, 0, 0, 40, 40, 0, 19},
        {10, -99, 2, 20, 2, 0, 1},  {5, -2, 0, 10, 2, 16, 18},
    };
    int fd = fd_of(file, make_mp4());
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct fail f = {0};
        struct decode_clip clip;
        struct decode_request r = {.program = program,
                                   .fd = fd,
                                   .width = W,
                                   .height = H,
                                   .kind = DECODE_VIDEO,
                                   .fps = rows[i].fps,
                                   .from = rows[i].from,
                                   .n_max = rows[i].n_max};
        CHECK_OK(decode_clip(&clip, &r, 1 << 30, &f), &f);
        CHECK_INT(clip.facts.n_frames, rows[i].n_frames);
        CHECK_INT(clip.n_frames, rows[i].n_given);
        if (clip.n_frames == rows[i].n_given) {
            const uint8_t *last = clip.rgb + (size_t)(clip.n_frames - 1) * W * H * 3;
            CHECK_NEAR(clip.rgb[(H / 2 * W + 5) * 3 + 1], 10 * rows[i].first, 6);
            CHECK_NEAR(last[(H / 2 * W + 5) * 3 + 1], 10 * rows[i].last, 6);
        }
        decode_clip_free(&clip);
    }
    struct decode_request r = {.program = program, .fd = fd, .width = W, .height = H};
    struct decode_clip clip;
    CHECK_INT(decode_clip(&clip, &r, 1000, NULL), ERR_LIMIT);
    close(fd);
}

static bool always(void *ctx) {
    (void)ctx;
    return true;
}

static void a_program_that_breaks_its_promise_is_an_answer_too(void) {
    const char *program = find_program();
    if (!program) return;
    struct fail f = {0};
    struct decode_facts facts;
    int fd = fd_of(file, make_mp4());
    struct decode_request r = {.program = program, .fd = fd, .width = W, .height = H};
    CHECK_OK(decode_probe(&facts, &r, &f), &f);
    CHECK(facts.is_video && !facts.has_audio);
    CHECK_NEAR(facts.fps, 10, 0.01);
    CHECK_NEAR(facts.seconds, 2, 0.01);
    r.is_cancelled = always;
    CHECK_INT(decode_image(rgb, &r, &f), ERR_CANCELLED);
    r.is_cancelled = NULL;
    r.program = "/nonexistent/misora-decode";
    CHECK_INT(decode_image(rgb, &r, &f), ERR_BUG);
    r.program = "/bin/true";
    CHECK_INT(decode_image(rgb, &r, &f), ERR_MEDIA);
    r.program = "/bin/echo"; /* talks, but nonsense */
    CHECK_INT(decode_image(rgb, &r, &f), ERR_MEDIA);
    CHECK_HAS(f.text, "nonsense");
    close(fd);
}

static const struct test tests[] = {
    TEST(files_of_no_kind_are_refused_by_their_first_bytes),
    TEST(heads_that_lie_are_refused_at_once),
    TEST(cut_and_flipped_pictures_do_no_harm),
    TEST(cut_and_flipped_clips_do_no_harm),
    TEST(bright_light_is_bent_and_dark_light_stays),
    TEST(a_picture_comes_back_or_a_reason),
    TEST(a_clip_comes_back_at_the_asked_rate_and_span),
    TEST(a_program_that_breaks_its_promise_is_an_answer_too),
};
TEST_MAIN(tests)
