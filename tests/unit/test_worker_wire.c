/* The socket between supervisor and child: whole frames in any split, garbage refused. */
#include "worker/wire.h"

#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "tests/lib/check.h"

static void messages_come_back_as_they_were(void) {
    struct fail f = {0}, err = {.code = ERR_MEDIA, .text = "a \"bad\" file"}, err2;
    struct wire_hello h = {.model_dir = "/m",
                           .store_dir = "/s",
                           .decode_program = "/d",
                           .device = "cpu",
                           .n_threads = 2,
                           .loras = "a.safetensors:0.5,b",
                           .loras_late = "c",
                           .s3 = {.endpoint = "https://s3", .secret_key = "x\"y"},
                           .url_rules = {.allow_http = true}},
                      h2;
    struct wire_progress p = {.phase = "denoise",
                              .step = 3,
                              .n_steps = 9,
                              .percent = 42,
                              .eta_ms = -1},
                         p2;
    struct wire_job j = {.dir = "/x", .spec = {"{\"prompt\":\"\\u00e9\\n\"}", 21}}, j2;
    struct buf b, own;
    buf_make(&b, WIRE_BODY_MAX);
    CHECK_OK(wire_write_hello(&b, &h, &f), &f);
    CHECK_OK(wire_read_hello(&h2, (struct str){b.data, b.len}, &f), &f);
    CHECK(memcmp(&h, &h2, sizeof(h)) == 0);
    buf_clear(&b);
    CHECK_OK(wire_write_progress(&b, &p, &f), &f);
    CHECK_OK(wire_read_progress(&p2, (struct str){b.data, b.len}, &f), &f);
    CHECK_STR(p2.phase, p.phase);
    CHECK(p2.step == 3 && p2.n_steps == 9 && p2.percent == 42 && p2.eta_ms == -1);
    buf_clear(&b);
    CHECK_OK(wire_write_err(&b, &err, &f), &f);
    CHECK_OK(wire_read_err(&err2, (struct str){b.data, b.len}, &f), &f);
    CHECK_INT(err2.code, ERR_MEDIA);
    CHECK_STR(err2.text, err.text);
    buf_clear(&b);
    CHECK_OK(wire_write_job(&b, &j, &f), &f);
    CHECK_OK(wire_read_job(&j2, &own, (struct str){b.data, b.len}, &f), &f);
    CHECK_STR(j2.dir, "/x");
    CHECK_INT(j2.spec.n, j.spec.n);
    CHECK(memcmp(j2.spec.p, j.spec.p, j.spec.n) == 0);
    buf_free(&own);
    buf_free(&b);
    CHECK_INT(mem_alive(), 0);
}

static void frames_survive_every_split(void) {
    int s[2];
    char raw[64];
    struct fail f = {0};
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    CHECK_OK(wire_send(s[0], WIRE_CANCEL, (struct str){"", 0}, &f), &f);
    CHECK_OK(wire_send(s[0], WIRE_DONE, (struct str){"{\"a\":1}", 7}, &f), &f);
    ssize_t n = read(s[1], raw, sizeof(raw));
    CHECK_INT(n, 2 * WIRE_HEAD + 7);
    for (ssize_t cut = 0; cut <= n; cut++) {
        struct wire_reader r;
        struct wire_frame frame;
        int n_frames = 0;
        wire_reader_make(&r);
        for (int half = 0; half < 2; half++) {
            size_t from = half ? (size_t)cut : 0, to = half ? (size_t)n : (size_t)cut;
            if (to > from && write(s[0], raw + from, to - from) > 0)
                CHECK_OK(wire_fill(&r, s[1], &f), &f);
            while (wire_next(&r, &frame, &f) == ERR_OK) {
                n_frames++;
                CHECK_INT(frame.type, n_frames == 1 ? WIRE_CANCEL : WIRE_DONE);
                if (n_frames == 2) CHECK(memcmp(frame.body.p, "{\"a\":1}", 7) == 0);
                wire_drop(&r, &frame);
            }
        }
        CHECK_INT(n_frames, 2);
        wire_reader_free(&r);
    }
    close(s[0]);
    struct wire_reader r;
    wire_reader_make(&r);
    CHECK_INT(wire_fill(&r, s[1], &f), ERR_IO);
    wire_reader_free(&r);
    close(s[1]);
}

static void garbage_is_refused(void) {
    static const struct {
        const char *bytes;
        size_t n;
        enum err rc;
    } rows[] = {
        {"MW\x02\0\0\0\0\0", 8, ERR_OK},          {"MW\x02\0\0\0\0", 7, ERR_NOT_FOUND},
        {"XW\x02\0\0\0\0\0", 8, ERR_CORRUPT},     {"MW\x63\0\0\0\0\0", 8, ERR_CORRUPT},
        {"MW\x02\x01\0\0\0\0", 8, ERR_CORRUPT},   {"MW\x02\0\xff\xff\xff\xff", 8, ERR_CORRUPT},
        {"MW\x02\0\x01\0\x08\0", 8, ERR_CORRUPT}, {"MW\x02\0\x05\0\0\0abcd", 12, ERR_NOT_FOUND},
        {"GET / HTTP/1.1\r\n", 16, ERR_CORRUPT},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct wire_reader r;
        struct wire_frame frame;
        wire_reader_make(&r);
        CHECK_INT(buf_add(&r.buf, rows[i].bytes, rows[i].n, NULL), ERR_OK);
        CHECK_INT(wire_next(&r, &frame, NULL), rows[i].rc);
        wire_reader_free(&r);
    }
}

static void bodies_that_do_not_read_are_corrupt(void) {
    static const char *const rows[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"phase\":1}",
        "{\"phase\":\"x\",\"step\":-1}",
        "{\"code\":0,\"text\":\"\"}",
        "{\"phase\":\"x\",\"step\":1,\"n_steps\":1,\"percent\":100,\"eta_ms\":0}",
        "{\"phase\":\"01234567890123456789012345678901234567890\",\"step\":1,\"n_steps\":1,"
        "\"percent\":1,\"eta_ms\":0}",
        "{\"code\":9999,\"text\":\"x\"}",
        "{\"code\":1,\"text\":5}",
        "{\"code\":1",
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct wire_progress p;
        struct fail e;
        CHECK_INT(wire_read_progress(&p, str_of(rows[i]), NULL), ERR_CORRUPT);
        CHECK_INT(wire_read_err(&e, str_of(rows[i]), NULL), ERR_CORRUPT);
    }
}

static void random_bytes_do_no_harm(void) {
    uint32_t seed = 3;
    for (int i = 0; i < 3000; i++) {
        struct wire_reader r;
        struct wire_frame frame;
        char bytes[40] = {'M', 'W'};
        for (int k = 0; k < 40; k++) {
            seed = seed * 1664525u + 1013904223u;
            if (k > 1 || seed >> 28 == 0) bytes[k] = (char)(seed >> (k < 8 ? 29 : 24));
        }
        wire_reader_make(&r);
        CHECK_INT(buf_add(&r.buf, bytes, seed % 41, NULL), ERR_OK);
        while (wire_next(&r, &frame, NULL) == ERR_OK) {
            struct wire_progress p;
            CHECK_INT(wire_read_progress(&p, frame.body, NULL), ERR_CORRUPT);
            wire_drop(&r, &frame);
        }
        wire_reader_free(&r);
    }
    CHECK_INT(mem_alive(), 0);
}

static const struct test tests[] = {
    TEST(messages_come_back_as_they_were),
    TEST(frames_survive_every_split),
    TEST(garbage_is_refused),
    TEST(bodies_that_do_not_read_are_corrupt),
    TEST(random_bytes_do_no_harm),
};
TEST_MAIN(tests)
