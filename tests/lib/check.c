#include "tests/lib/check.h"

int check_failed;
static const char *skip_reason;

void test_skip(const char *reason) {
    skip_reason = reason;
}

int check_main(const struct test *tests, int n_tests, int argc, char **argv) {
    int n_passed = 0, n_failed = 0, n_skipped = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < n_tests; i++) {
        if (argc > 1 && !strstr(tests[i].name, argv[1])) continue;
        check_failed = 0;
        skip_reason = NULL;
        tests[i].run();
        if (check_failed) {
            printf("FAIL %s\n", tests[i].name);
            n_failed++;
        } else if (skip_reason) {
            printf("skip %s: %s\n", tests[i].name, skip_reason);
            n_skipped++;
        } else {
            printf("ok   %s\n", tests[i].name);
            n_passed++;
        }
    }
    printf("%d passed, %d failed, %d skipped\n", n_passed, n_failed, n_skipped);
    return n_failed != 0;
}
