/* check.h - the test vocabulary.
 *
 * A failed check prints both values and the test goes on, so that one run shows all that is wrong.
 * A binary runs all its tests, or those whose name contains argv[1]; the last line counts them. A
 * test that cannot run here calls test_skip() with the reason. */
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/err.h"

extern int check_failed;

#define CHECK(cond)                                                                \
    do {                                                                           \
        if (!(cond)) {                                                             \
            check_failed++;                                                        \
            fprintf(stderr, "  %s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
        }                                                                          \
    } while (0)
#define CHECK_INT(got, want)                                                                \
    do {                                                                                    \
        int64_t g_ = (int64_t)(got), w_ = (int64_t)(want);                                  \
        if (g_ != w_) {                                                                     \
            check_failed++;                                                                 \
            fprintf(stderr, "  %s:%d: %s is %" PRId64 ", want %" PRId64 "\n", __FILE__,     \
                    __LINE__, #got, g_, w_);                                                \
        }                                                                                   \
    } while (0)
#define CHECK_STR(got, want)                                                                \
    do {                                                                                    \
        const char *g_ = (got), *w_ = (want);                                               \
        if (!g_ || strcmp(g_, w_) != 0) {                                                   \
            check_failed++;                                                                 \
            fprintf(stderr, "  %s:%d: %s is \"%s\", want \"%s\"\n", __FILE__, __LINE__,     \
                    #got, g_ ? g_ : "(null)", w_);                                          \
        }                                                                                   \
    } while (0)
#define CHECK_HAS(got, part)                                                                \
    do {                                                                                    \
        const char *g_ = (got), *w_ = (part);                                               \
        if (!g_ || !strstr(g_, w_)) {                                                       \
            check_failed++;                                                                 \
            fprintf(stderr, "  %s:%d: %s is \"%s\", want it to contain \"%s\"\n", __FILE__, \
                    __LINE__, #got, g_ ? g_ : "(null)", w_);                                \
        }                                                                                   \
    } while (0)
#define CHECK_NEAR(got, want, tol)                                                          \
    do {                                                                                    \
        double g_ = (got), w_ = (want), t_ = (tol);                                         \
        if (!(fabs(g_ - w_) <= t_)) {                                                       \
            check_failed++;                                                                 \
            fprintf(stderr, "  %s:%d: %s is %.9g, want %.9g within %.3g\n", __FILE__,       \
                    __LINE__, #got, g_, w_, t_);                                            \
        }                                                                                   \
    } while (0)
/* The call must succeed; prints code and text otherwise. */
#define CHECK_OK(call, f)                                                                   \
    do {                                                                                    \
        enum err e_ = (call);                                                               \
        if (e_ != ERR_OK) {                                                                 \
            check_failed++;                                                                 \
            fprintf(stderr, "  %s:%d: %s gave %s: %s (%s)\n", __FILE__, __LINE__, #call,    \
                    err_name(e_), (f)->text, (f)->where ? (f)->where : "-");                \
        }                                                                                   \
    } while (0)

struct test {
    const char *name;
    void (*run)(void);
};

/* Marks the running test as skipped; it should return right after. */
void test_skip(const char *reason);
int check_main(const struct test *tests, int n_tests, int argc, char **argv);

#define TEST(fn) {#fn, fn}
#define TEST_MAIN(list)                                                                     \
    int main(int argc, char **argv) {                                                       \
        return check_main(list, (int)(sizeof(list) / sizeof(list[0])), argc, argv);         \
    }

#endif
