/* Strangers' images: table I1-I9. Files are made here, byte by byte or by our own encoder, and go
 * through the real misora-decode when it is built. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/now.h"
#include "tests/lib/check.h"
#include "worker/media/decode.h"
#include "worker/media/picture.h"
#include "worker/media/still.h"

enum { W = 64, H = 40, FILE_ROOM = 1 << 20 };

static uint8_t file[FILE_ROOM];
static uint8_t rgb[W * H * 3];

/* A still of our own: left half red, right half blue, as webp. */
static size_t make_webp(void) {
    static uint8_t frame[128 * 80 * 3];
    struct fail f = {0};
    char path[] = "/tmp/test_decode.XXXXXX";
    int fd = mkstemp(path);
    for (int i = 0; i < 128 * 80; i++) {
        frame[i * 3 + 0] = i % 128 < 64 ? 220 : 20;
        frame[i * 3 + 2] = i % 128 < 64 ? 20 : 220;
    }
    struct still s = {.rgb = frame, .width = 128, .height = 80, .out_width = 128, .out_height = 80};
    CHECK_OK(still_write_webp(path, &s, &f), &f);
    ssize_t n = pread(fd, file, FILE_ROOM, 0);
    close(fd);
    unlink(path);
    return n > 0 ? (size_t)n : 0;
}

static bool is_near(const uint8_t *p, int r, int g, int b) {
    return abs(p[0] - r) < 40 && abs(p[1] - g) < 40 && abs(p[2] - b) < 40;
}

static void a_webp_comes_back_as_it_was(void) {
    struct fail f = {0};
    size_t n = make_webp();
    CHECK_OK(picture_decode(rgb, W, H, file, n, &f), &f);
    CHECK(is_near(rgb + (H / 2 * W + 5) * 3, 220, 0, 20));
    CHECK(is_near(rgb + (H / 2 * W + W - 6) * 3, 20, 0, 220));
}

/* A 2x1 grey PNG, and what becomes of it when its head lies. */
static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0,    0,    0,    13,
                              'I',  'H', 'D', 'R', 0,    0,    0,    2,    0,    0,    0,    1,
                              8,    0,   0,   0,   0,    0xd1, 0x5c, 0x33, 0x8e, 0,    0,    0,
                              11,   'I', 'D', 'A', 'T',  0x78, 0x9c, 0x63, 0x60, 0xf8, 0x0f, 0,
                              1,    2,   1,   0,   0x9f, 0x3a, 0x8c, 0x6d, 0,    0,    0,    0,
                              'I',  'E', 'N', 'D', 0xae, 0x42, 0x60, 0x82};

static void files_that_are_no_image_are_refused_by_their_first_bytes(void) {
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
        "GIF89a",
        "BM......",
        "II*\x00",
        "#EXTM3U\nfile:///etc/passwd",
        "ffconcat version 1.0\nfile /etc/passwd",
        "\x00\x00\x00\x18"
        "ftypheic",
        "RIFF\x10\x00\x00\x00"
        "AVI ",
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct fail f = {0};
        memset(file, 0, 4096);
        memcpy(file, rows[i], strlen(rows[i]));
        CHECK_INT(picture_decode(rgb, W, H, file, strlen(rows[i]), &f), ERR_MEDIA);
        CHECK(f.text[0] != '\0');
    }
}

static void heads_that_lie_are_refused_at_once(void) {
    static const uint32_t sides[][2] = {{16000, 16000}, {30000, 30000}, {0x7fffffff, 0x7fffffff},
                                        {0, 0},         {1, 100000},    {0xffffffff, 1},
                                        {0, 7}};
    for (int i = 0; i < (int)(sizeof(sides) / sizeof(sides[0])); i++) {
        struct fail f = {0};
        int64_t t0 = now_mono_ms();
        memset(file, 0, 4096);
        memcpy(file, png, sizeof(png));
        for (int k = 0; k < 4; k++) {
            file[16 + k] = (uint8_t)(sides[i][0] >> (24 - 8 * k));
            file[20 + k] = (uint8_t)(sides[i][1] >> (24 - 8 * k));
        }
        CHECK_INT(picture_decode(rgb, W, H, file, sizeof(png), &f), ERR_MEDIA);
        CHECK(now_mono_ms() - t0 < 500);
    }
}

/* Every prefix and many flips of a good file: refused or decoded, never worse. */
static void cut_and_flipped_files_do_no_harm(void) {
    size_t n = make_webp();
    uint32_t seed = 7;
    int n_refused = 0;
    uint8_t *copy = mem_take(1, n + 64);
    CHECK(copy != NULL);
    if (!copy) return;
    for (size_t cut = 0; cut < n; cut += 1 + n / 60) {
        memset(copy, 0, n + 64);
        memcpy(copy, file, cut);
        n_refused += picture_decode(rgb, W, H, copy, cut, NULL) != ERR_OK;
    }
    CHECK(n_refused > 0);
    for (int i = 0; i < 300; i++) {
        memcpy(copy, file, n);
        for (int k = 0; k < 3; k++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % n] ^= (uint8_t)(1u << (seed & 7));
        }
        enum err rc = picture_decode(rgb, W, H, copy, n, NULL);
        CHECK(rc == ERR_OK || rc == ERR_MEDIA);
    }
    mem_free(copy);
}

/* The program beside the tests' folder: build/MODE/tests/unit/.. -> build/MODE/misora-decode. */
static bool find_program(char *out, int cap) {
    decode_find_program(out, cap);
    char *tests = strstr(out, "/tests/unit/");
    if (tests) snprintf(tests, (size_t)(cap - (tests - out)), "/misora-decode");
    return access(out, X_OK) == 0;
}

static void the_program_answers_pixels_or_a_reason(void) {
    char program[1024], path[] = "/tmp/test_decode.XXXXXX";
    if (!find_program(program, sizeof(program))) {
        test_skip("misora-decode is not built in this mode");
        return;
    }
    struct fail f = {0};
    size_t n = make_webp();
    int fd = mkstemp(path);
    struct decode_request r = {.program = program, .fd = fd, .width = W, .height = H};
    unlink(path);
    CHECK_INT(pwrite(fd, file, n, 0), n);
    CHECK_OK(decode_image(rgb, &r, &f), &f);
    CHECK(is_near(rgb + (H / 2 * W + 5) * 3, 220, 0, 20));
    CHECK_INT(ftruncate(fd, 100), 0);
    CHECK_INT(decode_image(rgb, &r, &f), ERR_MEDIA);
    CHECK_INT(pwrite(fd, "#EXTM3U\n", 8, 0), 8);
    CHECK_INT(decode_image(rgb, &r, &f), ERR_MEDIA);
    CHECK_STR(f.text, "the file is not a jpeg, png or webp image");
    r.program = "/nonexistent/misora-decode";
    CHECK_INT(decode_image(rgb, &r, &f), ERR_BUG);
    r.program = "/bin/true"; /* any program that does not keep the promise */
    CHECK_INT(decode_image(rgb, &r, &f), ERR_MEDIA);
    close(fd);
}

static const struct test tests[] = {
    TEST(a_webp_comes_back_as_it_was),
    TEST(files_that_are_no_image_are_refused_by_their_first_bytes),
    TEST(heads_that_lie_are_refused_at_once),
    TEST(cut_and_flipped_files_do_no_harm),
    TEST(the_program_answers_pixels_or_a_reason),
};
TEST_MAIN(tests)
