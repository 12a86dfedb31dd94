/* Windows of a long clip: nothing is left out, nothing is made twice, none is longer than allowed.
 */
#include "common/base/assert.h"
#include "engine/window.h"
#include "tests/lib/check.h"

static void a_clip_is_covered_exactly_once(void) {
    for (int64_t longest = 2; longest <= 14; longest++)
        for (int64_t overlap = 1; overlap < longest; overlap++)
            for (int64_t L = 1; L <= 200; L++) {
                struct window_plan p = {L, longest, overlap};
                int64_t n = window_count(&p), made = 0, shortest = L, widest = 0;
                for (int64_t i = 0; i < n; i++) {
                    struct window w = window_at(&p, i);
                    CHECK_INT(w.first + w.n_head, made);
                    CHECK(w.n > w.n_head && w.n <= longest);
                    made = w.first + w.n;
                    shortest = w.n < shortest ? w.n : shortest;
                    widest = w.n > widest ? w.n : widest;
                }
                CHECK_INT(made, L);
                CHECK(n == 1 || widest - shortest <= 1);
            }
}

static void windows_are_as_few_as_possible(void) {
    static const struct {
        struct window_plan plan;
        int64_t n;
        struct window last;
    } rows[] = {
        {{13, 13, 4}, 1, {0, 13, 0}},     {{14, 13, 4}, 2, {5, 9, 4}},
        {{22, 13, 4}, 2, {9, 13, 4}},     {{31, 13, 4}, 3, {18, 13, 4}},
        {{181, 13, 4}, 20, {168, 13, 4}}, {{181, 0, 4}, 1, {0, 181, 0}},
        {{3, 2, 1}, 2, {1, 2, 1}},        {{1, 13, 4}, 1, {0, 1, 0}},
    };
    for (int i = 0; i < COUNT_OF(rows); i++) {
        int64_t n = window_count(&rows[i].plan);
        struct window last = window_at(&rows[i].plan, n - 1);
        CHECK_INT(n, rows[i].n);
        CHECK_INT(last.first, rows[i].last.first);
        CHECK_INT(last.n, rows[i].last.n);
        CHECK_INT(last.n_head, rows[i].last.n_head);
    }
}

static const struct test tests[] = {
    TEST(a_clip_is_covered_exactly_once),
    TEST(windows_are_as_few_as_possible),
};
TEST_MAIN(tests)
