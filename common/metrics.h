/* metrics.h - counters, gauges and histograms of one process, written as Prometheus text.
 *
 * A program describes its metrics in a table; the index in the table is the handle. A row may carry
 * labels as fixed text ({result="ok"}): no ids, no prompts, so the number of series is known when
 * the program is built. Values may be changed from any thread. Knows no HTTP. */
#ifndef COMMON_METRICS_H
#define COMMON_METRICS_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum metrics_kind { METRICS_COUNTER, METRICS_GAUGE, METRICS_HISTOGRAM };

struct metrics_row {
    const char *name;   /* misora_jobs_finished_total; rows of one name stand together */
    const char *labels; /* status="completed", or NULL */
    enum metrics_kind kind;
    const char *help;
};

/* Upper bounds of every histogram, in seconds; short enough for requests, long enough for jobs. */
enum { METRICS_BOUNDS = 16 };

struct metrics; /* opaque */

/* `rows` is borrowed for the life of the registry (static storage). */
MUST_CHECK enum err metrics_make(struct metrics **out, const struct metrics_row *rows, int n_rows,
                                 struct fail *f);
void metrics_free(struct metrics *m); /* NULL is fine */

void metrics_add(struct metrics *m, int row, double v);     /* counter: v >= 0 */
void metrics_set(struct metrics *m, int row, double v);     /* gauge */
void metrics_observe(struct metrics *m, int row, double s); /* histogram, seconds */
double metrics_get(struct metrics *m, int row);             /* value, or the sum of a histogram */

/* Appends the text exposition format 0.0.4. */
MUST_CHECK enum err metrics_write(struct metrics *m, struct buf *out, struct fail *f);

#endif
