#include "common/metrics.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"

enum { OK, BAD, DEPTH, WAIT };
static const struct metrics_row rows[] = {
    {"m_jobs_total", "status=\"ok\"", METRICS_COUNTER, "Jobs."},
    {"m_jobs_total", "status=\"bad\"", METRICS_COUNTER, "Jobs."},
    {"m_depth", NULL, METRICS_GAUGE, "Depth."},
    {"m_wait_seconds", NULL, METRICS_HISTOGRAM, "Wait."},
};

static void the_text_is_what_prometheus_reads(void) {
    struct metrics *m = NULL;
    struct buf b;
    struct fail f = {0};
    buf_make(&b, 1 << 16);
    CHECK_OK(metrics_make(&m, rows, 4, &f), &f);
    metrics_add(m, OK, 2);
    metrics_add(m, OK, 1);
    metrics_set(m, DEPTH, 4.5);
    metrics_observe(m, WAIT, 0.2);
    metrics_observe(m, WAIT, 7000);
    CHECK_OK(metrics_write(m, &b, &f), &f);
    CHECK_HAS(buf_str(&b), "# HELP m_jobs_total Jobs.\n# TYPE m_jobs_total counter\n"
                           "m_jobs_total{status=\"ok\"} 3\nm_jobs_total{status=\"bad\"} 0\n");
    CHECK_HAS(buf_str(&b), "# TYPE m_depth gauge\nm_depth 4.5\n");
    CHECK_HAS(buf_str(&b), "m_wait_seconds_bucket{le=\"0.1\"} 0\n");
    CHECK_HAS(buf_str(&b), "m_wait_seconds_bucket{le=\"0.25\"} 1\n");
    CHECK_HAS(buf_str(&b), "m_wait_seconds_bucket{le=\"3600\"} 1\n");
    CHECK_HAS(buf_str(&b), "m_wait_seconds_bucket{le=\"+Inf\"} 2\n");
    CHECK_HAS(buf_str(&b), "m_wait_seconds_sum 7000.1999999999998\nm_wait_seconds_count 2\n");
    CHECK_NEAR(metrics_get(m, OK), 3, 0);
    buf_free(&b);
    metrics_free(m);
    CHECK_INT(mem_alive(), 0);
}

static const struct test tests[] = {TEST(the_text_is_what_prometheus_reads)};
TEST_MAIN(tests)
