/* The ground floor: errors, memory, text, numbers, hashes, ids, grid. */
#include "common/base/arena.h"
#include "common/base/assert.h"
#include "common/base/base64.h"
#include "common/base/buf.h"
#include "common/base/grid.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/base/str.h"
#include "tests/lib/check.h"

static void a_failure_keeps_code_place_and_text(void) {
    struct fail f = {0};
    CHECK_INT(FAIL(&f, ERR_INPUT, "size is %d", 7), ERR_INPUT);
    CHECK_STR(f.text, "size is 7");
    CHECK_HAS(f.where, "test_base.c:");
    CHECK_STR(err_name(f.code), "INPUT");
    CHECK_INT(err_http(ERR_BUSY), 429);
    CHECK(err_retry(ERR_UNAVAILABLE) && !err_retry(ERR_INPUT));
}

static void a_long_text_is_cut_between_characters(void) {
    struct fail f = {0};
    char text[400] = "x";
    while (strlen(text) + 3 < sizeof(text))
        strncat(text, "\xe7\xbe\x8e", 4);
    (void)FAIL(&f, ERR_INPUT, "%s", text);
    CHECK(str_is_utf8(str_of(f.text), NULL));
    CHECK(strlen(f.text) > sizeof(f.text) - 5);
}

static void memory_is_counted_and_can_fail_on_demand(void) {
    int64_t before = mem_alive();
    void *p = mem_take(3, 5);
    CHECK_INT(mem_alive(), before + 1);
    CHECK(mem_take(SIZE_MAX / 2, 3) == NULL);
    mem_fail_nth(2);
    void *q = mem_take(1, 1);
    CHECK(q != NULL);
    CHECK(mem_take(1, 1) == NULL);
    mem_fail_nth(0);
    mem_free(p);
    mem_free(q);
    CHECK_INT(mem_alive(), before);
}

static void an_arena_keeps_its_cap_and_comes_back_zeroed(void) {
    struct arena a;
    arena_make(&a, 1000000);
    unsigned char *p = arena_take(&a, 100);
    memset(p, 7, 100);
    CHECK_INT((uintptr_t)p % 64, 0);
    CHECK(arena_take(&a, 2000000) == NULL);
    CHECK(arena_take(&a, 500000) != NULL);
    arena_reset(&a);
    CHECK_INT(a.used_bytes, 0);
    unsigned char *q = arena_take(&a, 100);
    for (int i = 0; i < 100; i++)
        CHECK_INT(q[i], 0);
    arena_free(&a);
}

static void a_buffer_stops_at_its_cap(void) {
    struct buf b;
    struct fail f = {0};
    buf_make(&b, 10);
    CHECK_OK(buf_addf(&b, &f, "%s-%d", "abc", 42), &f);
    CHECK_STR(buf_str(&b), "abc-42");
    CHECK_INT(buf_add(&b, "12345", 5, &f), ERR_LIMIT);
    CHECK_STR(f.text, "11 bytes do not fit, the limit is 10");
    buf_drop(&b, 4);
    CHECK_STR(buf_str(&b), "42");
    buf_free(&b);
}

static void integers_are_read_whole_or_not_at_all(void) {
    static const struct {
        const char *text;
        bool is_good;
        int64_t value;
    } rows[] = {
        {"0", true, 0},       {"-7", true, -7}, {"100", true, 100}, {"101", false, 0},
        {"", false, 0},       {"-", false, 0},  {"07", false, 0},   {" 7", false, 0},
        {"7 ", false, 0},     {"7x", false, 0}, {"1e2", false, 0},  {"+7", false, 0},
        {"9223372036854775808", false, 0},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        int64_t v = 0;
        bool is_good = str_parse_i64(str_of(rows[i].text), -100, 100, &v);
        if (is_good != rows[i].is_good || v != rows[i].value)
            fprintf(stderr, "  row \"%s\"\n", rows[i].text);
        CHECK_INT(is_good, rows[i].is_good);
        CHECK_INT(v, rows[i].value);
    }
    int64_t v;
    CHECK(str_parse_i64(str_of("-9223372036854775808"), INT64_MIN, INT64_MAX, &v));
    CHECK_INT(v, INT64_MIN);
}

static void reals_are_read_without_the_locale(void) {
    static const struct {
        const char *text;
        bool is_good;
        double value;
    } rows[] = {
        {"1.5", true, 1.5},   {"-0.25", true, -0.25}, {"1e3", true, 1000}, {"2.5e-05", true, 2.5e-5},
        {"1,5", false, 0},    {".5", false, 0},       {"1.", false, 0},    {"nan", false, 0},
        {"inf", false, 0},    {"1e999", false, 0},    {"0x10", false, 0},  {"", false, 0},
        {"0.1", true, 0.1},   {"123456789.125", true, 123456789.125},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        double v = 0;
        bool is_good = str_parse_f64(str_of(rows[i].text), -1e9, 1e9, &v);
        if (is_good != rows[i].is_good) fprintf(stderr, "  row \"%s\"\n", rows[i].text);
        CHECK_INT(is_good, rows[i].is_good);
        CHECK_NEAR(v, rows[i].value, fabs(rows[i].value) * 1e-15);
    }
}

static void utf8_follows_rfc_3629(void) {
    static const struct {
        const char *bytes;
        bool is_good;
    } rows[] = {
        {"plain", true},        {"\xe7\xbe\x8e\xe7\xa9\xba", true}, {"\xf0\x9f\x8e\xac", true},
        {"\xff", false},        {"\xc0\xaf", false},                {"\xed\xa0\x80", false},
        {"\xe7\xbe", false},    {"\xf5\x80\x80\x80", false},        {"\xe0\x80\x80", false},
        {"\x80", false},        {"\xf4\x90\x80\x80", false},
    };
    for (int i = 0; i < COUNT_OF(rows); i++)
        CHECK_INT(str_is_utf8(str_of(rows[i].bytes), NULL), rows[i].is_good);
    size_t n = 0;
    CHECK(str_is_utf8(str_of("a\xe7\xbe\x8e"), &n) && n == 2);
    CHECK(!str_is_utf8((struct str){"a\0b", 3}, NULL));
}

static void slices_split_at_each_separator(void) {
    struct str rest = str_of("a,,b"), part;
    int n = 0;
    while (str_split(&rest, ',', &part))
        n++;
    CHECK_INT(n, 3);
    CHECK(str_eq(part, "b"));
    CHECK(str_eq(str_trim(str_of(" \t x y \r\n")), "x y"));
    CHECK(str_eq_nocase(str_of("Content-TYPE"), "content-type"));
}

static void hashes_match_their_standards(void) {
    char hex[SHA256_HEX + 1];
    sha256_hex("abc", 3, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_hex("", 0, hex);
    CHECK_STR(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    unsigned char mac[SHA256_BYTES]; /* RFC 4231, test case 2 */
    sha256_hmac("Jefe", 4, "what do ya want for nothing?", 28, mac);
    sha256_to_hex(mac, hex);
    CHECK_STR(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void a_hash_does_not_depend_on_how_it_is_fed(void) {
    unsigned char data[300], whole[32], parts[32];
    for (int i = 0; i < 300; i++)
        data[i] = (unsigned char)(i * 7);
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, data, sizeof(data));
    sha256_end(&s, whole);
    for (size_t step = 1; step < 130; step += 9) {
        sha256_start(&s);
        for (size_t i = 0; i < sizeof(data); i += step)
            sha256_add(&s, data + i, sizeof(data) - i < step ? sizeof(data) - i : step);
        sha256_end(&s, parts);
        CHECK(sha256_equal(whole, parts, 32));
    }
}

static void base64_is_strict(void) {
    char text[16];
    unsigned char bytes[16];
    size_t n = 0;
    base64_encode("foob", 4, text);
    CHECK_STR(text, "Zm9vYg==");
    CHECK(base64_decode(str_of("Zm9vYg=="), bytes, &n) && n == 4 && !memcmp(bytes, "foob", 4));
    CHECK(base64_decode(str_of(""), bytes, &n) && n == 0);
    static const char *const bad[] = {"Zm9vYg", "Zm9vY===", "Zm9v*g==", "Zm9vYh==", "=m9v", "Zg==Zg=="};
    for (int i = 0; i < COUNT_OF(bad); i++)
        CHECK(!base64_decode(str_of(bad[i]), bytes, &n));
}

static void ids_sort_in_the_order_they_were_made(void) {
    char last[ID_BYTES_MAX] = "", id[ID_BYTES_MAX];
    for (int i = 0; i < 5000; i++) {
        id_make(id, "video_");
        CHECK(strcmp(last, id) < 0);
        memcpy(last, id, sizeof(id));
    }
    CHECK(id_is_valid(str_of(id), "video_"));
    CHECK(!id_is_valid(str_of("video_ABC"), "video_"));
    CHECK_NEAR((double)id_time_ms(str_of(id), "video_"), (double)now_wall_ms(), 5000);
    CHECK_INT(id[6 + 12], '7');
}

static void frames_and_latents_agree(void) {
    struct grid g = {.factor_s = 16, .factor_t = 4, .patch = 1};
    CHECK_INT(grid_latent_frames(&g, 1), 1);
    CHECK_INT(grid_latent_frames(&g, 33), 9);
    CHECK_INT(grid_pixel_frames(&g, 9), 33);
    CHECK_INT(grid_round_frames(&g, 34), 37);
    CHECK(grid_is_legal(&g, &(struct canvas){33, 128, 80}));
    CHECK(!grid_is_legal(&g, &(struct canvas){32, 128, 80}));
    CHECK(!grid_is_legal(&g, &(struct canvas){33, 120, 80}));
    /* models.md and the API's estimate: 81 frames at 832x480 are 32760 tokens. */
    struct grid wan = {.factor_s = 8, .factor_t = 4, .patch = 2};
    CHECK_INT(grid_tokens(&wan, &(struct canvas){81, 832, 480}), 32760);
}

static void a_log_value_cannot_forge_a_line(void) {
    char out[64];
    CHECK_STR(log_value(out, sizeof(out), "plain"), "plain");
    CHECK_STR(log_value(out, sizeof(out), "a b"), "\"a b\"");
    CHECK_STR(log_value(out, sizeof(out), "a\nlevel=\"x\""), "\"a\\x0alevel=\\\"x\\\"\"");
    CHECK_STR(log_value(out, sizeof(out), ""), "\"\"");
}

static const struct test tests[] = {
    TEST(a_failure_keeps_code_place_and_text),
    TEST(a_long_text_is_cut_between_characters),
    TEST(memory_is_counted_and_can_fail_on_demand),
    TEST(an_arena_keeps_its_cap_and_comes_back_zeroed),
    TEST(a_buffer_stops_at_its_cap),
    TEST(integers_are_read_whole_or_not_at_all),
    TEST(reals_are_read_without_the_locale),
    TEST(utf8_follows_rfc_3629),
    TEST(slices_split_at_each_separator),
    TEST(hashes_match_their_standards),
    TEST(a_hash_does_not_depend_on_how_it_is_fed),
    TEST(base64_is_strict),
    TEST(ids_sort_in_the_order_they_were_made),
    TEST(frames_and_latents_agree),
    TEST(a_log_value_cannot_forge_a_line),
};
TEST_MAIN(tests)
