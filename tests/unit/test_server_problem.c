/* The words of a refusal are whole UTF-8 whatever a stranger's name was and wherever it was cut. */
#include "server/problem.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/str.h"
#include "server/field.h"
#include "tests/lib/check.h"

static void a_text_is_never_cut_inside_a_character(void) {
    static const char *const signs[] = {"a", "\xc3\xa4", "\xe8\x8a\xb1", "\xf0\x9f\xa6\x8a"};
    char name[700];
    for (int k = 0; k < COUNT_OF(signs); k++)
        for (size_t lead = 0; lead < 5; lead++) {
            struct problem p;
            size_t n = lead, size = strlen(signs[k]);
            memset(name, 'x', lead);
            for (; n + size < sizeof(name); n += size)
                memcpy(name + n, signs[k], size);
            name[n] = 0;
            CHECK_INT(
                problem_set(&p, PROBLEM_UNKNOWN_PARAMETER, name, "no %.40s; no %s", name, name),
                ERR_INPUT);
            CHECK(str_is_utf8(str_of(p.text), NULL) && str_is_utf8(str_of(p.param), NULL));
            CHECK(strlen(p.text) + 4 >= sizeof(p.text) - 4 &&
                  strlen(p.param) + 4 >= sizeof(p.param));
        }
}

static void a_name_for_an_error_is_whole(void) {
    struct body_field f = {.shape = BODY_MEMBER,
                           .member = "a\xe8\x8a\xb1\xe8\x8a\xb1\xe8\x8a\xb1\xe8\x8a"
                                     "\xb1\xe8\x8a\xb1\xe8\x8a\xb1\xe8\x8a\xb1\xe8"
                                     "\x8a\xb1\xe8\x8a\xb1\xe8\x8a\xb1\xe8\x8a\xb1",
                           .name = "output"};
    CHECK(str_is_utf8(str_of(field_name(&f)), NULL));
    CHECK_INT((int)strlen(field_name(&f)), 6 + 2 + 1 + 9 * 3);
}

static const struct test tests[] = {
    TEST(a_text_is_never_cut_inside_a_character),
    TEST(a_name_for_an_error_is_whole),
};
TEST_MAIN(tests)
