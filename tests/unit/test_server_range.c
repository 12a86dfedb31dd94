/* Range and entity tags: the rows of RFC 9110 that one file needs. */
#include "server/range.h"
#include "tests/lib/check.h"

static const struct {
    const char *header;
    int64_t size;
    enum range_verdict verdict;
    int64_t first, last;
} rows[] = {
    {"", 10, RANGE_WHOLE, 0, 0},
    {"bytes=0-0", 10, RANGE_PART, 0, 0},
    {"bytes=3-", 10, RANGE_PART, 3, 9},
    {"bytes=3-99", 10, RANGE_PART, 3, 9},
    {"bytes=-3", 10, RANGE_PART, 7, 9},
    {"bytes=-99", 10, RANGE_PART, 0, 9},
    {"BYTES = 1-2", 10, RANGE_PART, 1, 2},
    {"bytes=9-9", 10, RANGE_PART, 9, 9},
    {"bytes=10-", 10, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-0", 10, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-1", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=5-2", 10, RANGE_WHOLE, 0, 0},
    {"bytes=1-2,4-5", 10, RANGE_WHOLE, 0, 0},
    {"bytes=1 - 2", 10, RANGE_WHOLE, 0, 0},
    {"bytes=", 10, RANGE_WHOLE, 0, 0},
    {"bytes=-", 10, RANGE_WHOLE, 0, 0},
    {"bytes=x-1", 10, RANGE_WHOLE, 0, 0},
    {"bytes=1-x", 10, RANGE_WHOLE, 0, 0},
    {"bytes=5", 10, RANGE_WHOLE, 0, 0},
    {"lines=0-1", 10, RANGE_WHOLE, 0, 0},
    {"bytes", 10, RANGE_WHOLE, 0, 0},
    {"bytes=0-9223372036854775807", 10, RANGE_PART, 0, 9},
    {"bytes=9223372036854775807-", 10, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-99999999999999999999999", 10, RANGE_WHOLE, 0, 0},
};

static void ranges_are_read_as_the_rfc_says(void) {
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct range r = {0};
        enum range_verdict got = range_parse(&r, str_of(rows[i].header), rows[i].size);
        if (got != rows[i].verdict) fprintf(stderr, "  row \"%s\"\n", rows[i].header);
        CHECK_INT(got, rows[i].verdict);
        if (got != RANGE_PART) continue;
        CHECK_INT(r.first, rows[i].first);
        CHECK_INT(r.last, rows[i].last);
    }
}

static void tags_match_as_the_rfc_says(void) {
    CHECK(range_etag_matches(str_of("\"a\""), "a"));
    CHECK(range_etag_matches(str_of("\"x\", W/\"a\" ,\"y\""), "a"));
    CHECK(range_etag_matches(str_of(" * "), "a"));
    CHECK(!range_etag_matches(str_of("a"), "a"));
    CHECK(!range_etag_matches(str_of("\"A\""), "a"));
    CHECK(!range_etag_matches(str_of(NULL), "a"));
    CHECK(!range_etag_matches(str_of("\""), ""));
    CHECK(range_if_range_holds(str_of("\"a\""), "a"));
    CHECK(!range_if_range_holds(str_of("W/\"a\""), "a"));
    CHECK(!range_if_range_holds(str_of("Sun, 22 Nov 2026 15:00:00 GMT"), "a"));
}

static const struct test tests[] = {
    TEST(ranges_are_read_as_the_rfc_says),
    TEST(tags_match_as_the_rfc_says),
};
TEST_MAIN(tests)
