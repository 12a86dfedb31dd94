/* The reader of model configs: what it takes, what it refuses, and in which words. */
#include <stddef.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/json.h"
#include "tests/lib/check.h"

struct conf {
    int n;
    double x;
    bool on;
    char name[JSON_TEXT_MAX];
    struct json_ints list;
    struct json_reals reals;
};

static const struct json_field fields[] = {
    {"n", JSON_FIELD_INT, offsetof(struct conf, n), 1, 10},
    {"x", JSON_FIELD_REAL, offsetof(struct conf, x), 0, 1},
    {"on", JSON_FIELD_FLAG, offsetof(struct conf, on), 0, 0},
    {"name", JSON_FIELD_TEXT, offsetof(struct conf, name), 0, 0},
    {"list", JSON_FIELD_INTS, offsetof(struct conf, list), 0, 9},
    {"reals", JSON_FIELD_REALS, offsetof(struct conf, reals), -1, 1},
};

static enum err read_conf(const char *text, struct conf *c, struct fail *f) {
    struct json j = {0};
    enum err rc = json_parse(&j, text, strlen(text), "config.json", f);
    if (rc == ERR_OK) rc = json_read_fields(&j, 0, c, fields, COUNT_OF(fields), f);
    json_free(&j);
    return rc;
}

static void fields_are_filled_and_others_keep_their_defaults(void) {
    struct conf c = {.n = 3, .x = 0.5};
    struct fail f = {0};
    CHECK_OK(
        read_conf(
            "{\"n\":null,\"on\":true,\"name\":\"a\\u00e9\\ud83d\\ude00\\n\",\"other\":{\"n\":99},"
            "\"list\":[1,true,false,9],\"reals\":[-1,0.25,1e-3]}",
            &c, &f),
        &f);
    CHECK_INT(c.n, 3);
    CHECK_NEAR(c.x, 0.5, 0);
    CHECK(c.on);
    CHECK_STR(c.name, "a\xc3\xa9\xf0\x9f\x98\x80\n");
    CHECK_INT(c.list.n, 4);
    CHECK_INT(c.list.v[1], 1);
    CHECK_INT(c.list.v[3], 9);
    CHECK_INT(c.reals.n, 3);
    CHECK_NEAR(c.reals.v[2], 0.001, 1e-12);
}

static void wrong_values_name_file_and_key(void) {
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"{\"n\":0}", "config.json: \"n\" has a wrong type or is out of range (1..10)"},
        {"{\"n\":11}", "\"n\""},
        {"{\"n\":1.5}", "\"n\""},
        {"{\"n\":\"3\"}", "\"n\""},
        {"{\"n\":true}", "\"n\""},
        {"{\"n\":1e2}", "\"n\""},
        {"{\"n\":99999999999999999999}", "\"n\""},
        {"{\"x\":-0.1}", "\"x\""},
        {"{\"x\":1e999}", "\"x\""},
        {"{\"on\":1}", "\"on\""},
        {"{\"name\":7}", "\"name\""},
        {"{\"name\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
         "\"name\""},
        {"{\"list\":[10]}", "\"list\""},
        {"{\"list\":3}", "\"list\""},
        {"{\"list\":[[1]]}", "\"list\""},
        {"{\"reals\":[2]}", "\"reals\""},
        {"", "a value is missing"},
        {"{", "a key is missing"},
        {"{\"n\":1", "',' or the end is missing"},
        {"{\"n\":1}}", "text after the end"},
        {"{\"n\":1,\"n\":2}", "the key \"n\" is there twice"},
        {"{\"n\":1,\"\\u006e\":2}", "the key \"n\" is there twice"},
        {"{'n':1}", "a key is missing"},
        {"{\"n\":+1}", "unexpected character"},
        {"{\"n\":.5}", "unexpected character"},
        {"{\"n\":1.}", "digits are missing"},
        {"{\"n\":1e}", "digits are missing"},
        {"{\"n\":-}", "unexpected character"},
        {"{\"n\":truE}", "unexpected character"},
        {"{\"n\":\"\\x\"}", "unknown escape"},
        {"{\"n\":\"\\u00zz\"}", "bad \\u escape"},
        {"{\"n\":\"\\u0000\"}", "NUL in a string"},
        {"{\"n\":\"\\udc00\"}", "lone surrogate"},
        {"{\"n\":\"a\tb\"}", "control character in a string"},
        {"{\"n\":\"", "the string does not end"},
        {"{\"n\":\"\\", "the string does not end"},
        {"[1 2]", "',' or the end is missing"},
        {"{\"n\":1 /* no */}", "',' or the end is missing"},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        struct conf c = {0};
        struct fail f = {0};
        enum err rc = read_conf(rows[i].text, &c, &f);
        if (rc != ERR_CORRUPT) fprintf(stderr, "  %s\n", rows[i].text);
        CHECK_INT(rc, ERR_CORRUPT);
        CHECK_HAS(f.text, rows[i].says);
    }
}

static void nesting_ends_at_its_cap(void) {
    char text[2 * JSON_DEPTH_MAX + 8];
    for (int depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        struct json j = {0};
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        enum err rc = json_parse(&j, text, (size_t)(2 * depth), "t", NULL);
        CHECK_INT(rc, depth <= JSON_DEPTH_MAX ? ERR_OK : ERR_CORRUPT);
        json_free(&j);
    }
}

static void every_failed_allocation_leaves_nothing_behind(void) {
    int64_t before = mem_alive();
    for (int64_t nth = 1; nth < 10; nth++) {
        struct conf c = {0};
        mem_fail_nth(nth);
        enum err rc = read_conf("{\"n\":1,\"x\":0.5,\"list\":[1,2,3]}", &c, NULL);
        mem_fail_nth(0);
        CHECK(rc == ERR_OK || rc == ERR_NOMEM);
        CHECK_INT(mem_alive(), before);
    }
}

static const struct test tests[] = {
    TEST(fields_are_filled_and_others_keep_their_defaults),
    TEST(wrong_values_name_file_and_key),
    TEST(nesting_ends_at_its_cap),
    TEST(every_failed_allocation_leaves_nothing_behind),
};
TEST_MAIN(tests)
