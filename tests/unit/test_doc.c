/* JSON of strangers is read strictly and JSON of ours reads back the same. */
#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/doc.h"
#include "tests/lib/check.h"

static void odd_json_is_refused_in_words(void) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", "not valid JSON"},           {"   ", "not valid JSON"},
        {"{\"a\":1,}", "not valid JSON"}, {"{'a':1}", "not valid JSON"},
        {"{\"a\":01}", "not valid JSON"}, {"{\"a\":NaN}", "not valid JSON"},
        {"{\"a\":1}x", "not valid JSON"}, {"{\"a\":1", "not valid JSON"},
        {"\xef\xbb\xbf{}", "not valid JSON"}, {"{\"a\":\"\xff\"}", "not valid JSON"},
        {"{\"a\":\"\\ud800\"}", "not valid JSON"}, {"{\"a\":\"\\u0000\"}", "not valid JSON"},
        {"{\"a\":1,\"a\":2}", "duplicate"}, {"{\"a\":1e999}", "not valid JSON"},
        {"{\"a\":9223372036854775808}", "not valid JSON"}, {"// c\n{}", "not valid JSON"},
    };
    for (int i = 0; i < COUNT_OF(cases); i++) {
        struct doc *d;
        struct fail f = {0};
        CHECK_INT(doc_parse(&d, str_of(cases[i].text), 1000, &f), ERR_INPUT);
        CHECK_HAS(f.text, cases[i].want);
    }
}

static void depth_and_size_are_capped(void) {
    char deep[5000];
    struct doc *d;
    struct fail f = {0};
    memset(deep, '[', sizeof(deep));
    CHECK_INT(doc_parse(&d, (struct str){deep, sizeof(deep)}, 10000, &f), ERR_INPUT);
    CHECK_STR(f.text, "the JSON is nested deeper than 32 levels");
    CHECK_INT(doc_parse(&d, (struct str){deep, 101}, 100, &f), ERR_LIMIT);
    CHECK_STR(f.text, "the JSON has 101 bytes, 100 are allowed");
    for (int i = 0; i < LIMIT_JSON_DEPTH; i++)
        deep[i] = '[', deep[LIMIT_JSON_DEPTH + i] = ']';
    CHECK_OK(doc_parse(&d, (struct str){deep, 2 * LIMIT_JSON_DEPTH}, 10000, &f), &f);
    doc_free(d);
}

static void a_value_never_turns_into_another_type(void) {
    struct doc *d;
    struct fail f = {0};
    int64_t i = -1;
    struct str s = {0};
    double x = -1;
    bool b = false;
    CHECK_OK(doc_parse(&d, str_of("{\"n\":5,\"t\":\"5\",\"x\":5.5,\"b\":true,\"z\":null}"), 100, &f), &f);
    const struct value *v = doc_root(d);
    CHECK_OK(doc_get_int(v, "n", 0, 9, &i, &f), &f);
    CHECK_INT(i, 5);
    CHECK_INT(doc_get_int(v, "t", 0, 9, &i, &f), ERR_INPUT);
    CHECK_STR(f.text, "t is a string, need an integer");
    CHECK_INT(doc_get_int(v, "x", 0, 9, &i, &f), ERR_INPUT);
    CHECK_INT(doc_get_int(v, "n", 0, 4, &i, &f), ERR_INPUT);
    CHECK_STR(f.text, "n is 5, need 0 to 4");
    CHECK_INT(doc_get_text(v, "n", &s, &f), ERR_INPUT);
    CHECK_INT(doc_get_text(v, "gone", &s, &f), ERR_INPUT);
    CHECK_STR(f.text, "gone is missing");
    CHECK_OK(doc_may_real(v, "n", 0, 9, &x, &f), &f);
    CHECK_NEAR(x, 5, 0);
    CHECK_OK(doc_may_bool(v, "b", &b, &f), &f);
    CHECK(b);
    CHECK_OK(doc_may_text(v, "z", &s, &f), &f);
    CHECK(s.p == NULL);
    doc_free(d);
}

static void what_is_written_reads_back(void) {
    struct buf b;
    struct doc_out o;
    struct doc *d;
    struct fail f = {0};
    buf_make(&b, 1000);
    doc_out_make(&o, &b);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "t", "a\"b\\c\n\x01\x7f\xe7\xbe\x8e");
    doc_put_real(&o, "x", 0.1);
    doc_put_real(&o, "y", 1e-5);
    doc_put_int(&o, "i", INT64_MIN);
    doc_open_array(&o, "l");
    doc_put_bool(&o, NULL, true);
    doc_put_null(&o, NULL);
    doc_close_array(&o);
    doc_put_json(&o, "j", str_of("{\"k\":[]}"));
    doc_close_object(&o);
    CHECK_OK(doc_done(&o, &f), &f);
    CHECK_OK(doc_parse(&d, str_of(buf_str(&b)), 1000, &f), &f);
    const struct value *v = doc_root(d);
    CHECK(str_eq(doc_text(doc_find(v, "t")), "a\"b\\c\n\x01\x7f\xe7\xbe\x8e"));
    CHECK_NEAR(doc_real(doc_find(v, "x")), 0.1, 0);
    CHECK_NEAR(doc_real(doc_find(v, "y")), 1e-5, 0);
    CHECK(doc_int(doc_find(v, "i")) == INT64_MIN);
    CHECK_INT(doc_size(doc_find(v, "l")), 2);
    CHECK_INT(doc_type(doc_at(doc_find(v, "l"), 1)), DOC_NULL);
    doc_free(d);
    buf_free(&b);
}

static void a_writer_over_its_cap_says_so(void) {
    struct buf b;
    struct doc_out o;
    struct fail f = {0};
    buf_make(&b, 8);
    doc_out_make(&o, &b);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "long", "longer than eight bytes");
    doc_close_object(&o);
    CHECK_INT(doc_done(&o, &f), ERR_LIMIT);
    buf_free(&b);
}

static const struct test tests[] = {
    TEST(odd_json_is_refused_in_words),
    TEST(depth_and_size_are_capped),
    TEST(a_value_never_turns_into_another_type),
    TEST(what_is_written_reads_back),
    TEST(a_writer_over_its_cap_says_so),
};
TEST_MAIN(tests)
