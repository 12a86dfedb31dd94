/* One slow call shuts the door, one probe at a time looks behind it, one quick answer opens it. */
#include "server/breaker.h"
#include "tests/lib/check.h"

static void quick_calls_pass_for_ever(void) {
    struct breaker b;
    breaker_make(&b);
    for (int64_t t = 0; t < 5000; t += 100) {
        CHECK(breaker_may_pass(&b, t));
        breaker_note(&b, t, t + 99);
    }
    breaker_free(&b);
}

static void a_stall_costs_one_deadline_and_then_one_probe_at_a_time(void) {
    struct breaker b;
    breaker_make(&b);
    for (int i = 0; i < 8; i++)
        CHECK(breaker_may_pass(&b, 0)); /* eight threads hang at once */
    for (int i = 0; i < 8; i++)
        breaker_note(&b, 0, 2000);
    for (int64_t t = 2000; t < 2000 + BREAKER_SHUT_MS; t += 50)
        CHECK(!breaker_may_pass(&b, t));
    CHECK(breaker_may_pass(&b, 3000)); /* the probe */
    CHECK(!breaker_may_pass(&b, 3001));
    breaker_note(&b, 3000, 5000); /* hangs too */
    CHECK(!breaker_may_pass(&b, 5500));
    CHECK(breaker_may_pass(&b, 6000));
    breaker_note(&b, 6000, 6001); /* answers */
    for (int i = 0; i < 8; i++)
        CHECK(breaker_may_pass(&b, 6002));
    breaker_free(&b);
}

static const struct test tests[] = {
    TEST(quick_calls_pass_for_ever),
    TEST(a_stall_costs_one_deadline_and_then_one_probe_at_a_time),
};
TEST_MAIN(tests)
