#include "common/metrics.h"

#include <pthread.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

static const double bounds[METRICS_BOUNDS] = {0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1,    2,
                                              5,     10,   30,   60,  120,  300, 1200, 3600};

struct series {
    double value; /* of a histogram: the sum */
    uint64_t n, buckets[METRICS_BOUNDS];
};

struct metrics {
    pthread_mutex_t lock; /* guards all series */
    const struct metrics_row *rows;
    int n_rows;
    struct series *series;
};

enum err metrics_make(struct metrics **out, const struct metrics_row *rows, int n_rows,
                      struct fail *f) {
    struct metrics *m = mem_take(1, sizeof(*m));
    struct series *series = mem_take((size_t)n_rows, sizeof(*series));
    *out = NULL;
    if (!m || !series) {
        mem_free(m);
        mem_free(series);
        return FAIL(f, ERR_NOMEM, "metrics: no memory");
    }
    pthread_mutex_init(&m->lock, NULL);
    m->rows = rows;
    m->n_rows = n_rows;
    m->series = series;
    *out = m;
    return ERR_OK;
}

void metrics_free(struct metrics *m) {
    if (!m) return;
    pthread_mutex_destroy(&m->lock);
    mem_free(m->series);
    mem_free(m);
}

/* Returns the series with the lock held. */
static struct series *take(struct metrics *m, int row) {
    ASSERT(row >= 0 && row < m->n_rows);
    pthread_mutex_lock(&m->lock);
    return &m->series[row];
}

void metrics_add(struct metrics *m, int row, double v) {
    ASSERT(v >= 0 || m->rows[row].kind == METRICS_GAUGE);
    take(m, row)->value += v;
    pthread_mutex_unlock(&m->lock);
}

void metrics_set(struct metrics *m, int row, double v) {
    take(m, row)->value = v;
    pthread_mutex_unlock(&m->lock);
}

void metrics_observe(struct metrics *m, int row, double s) {
    struct series *x = take(m, row);
    ASSERT(m->rows[row].kind == METRICS_HISTOGRAM);
    x->value += s;
    x->n++;
    for (int i = 0; i < METRICS_BOUNDS; i++)
        if (s <= bounds[i]) x->buckets[i]++;
    pthread_mutex_unlock(&m->lock);
}

double metrics_get(struct metrics *m, int row) {
    double v = take(m, row)->value;
    pthread_mutex_unlock(&m->lock);
    return v;
}

static enum err write_head(struct buf *out, const struct metrics_row *row, struct fail *f) {
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    return buf_addf(out, f, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                    kinds[row->kind]);
}

static enum err write_value(struct buf *out, const struct metrics_row *row, double v,
                            struct fail *f) {
    const char *l = row->labels;
    return buf_addf(out, f, "%s%s%s%s %.17g\n", row->name, l ? "{" : "", l ? l : "", l ? "}" : "",
                    v);
}

static enum err write_histogram(struct buf *out, const struct metrics_row *row,
                                const struct series *s, struct fail *f) {
    const char *l = row->labels ? row->labels : "", *sep = row->labels ? "," : "";
    enum err rc = ERR_OK;
    for (int i = 0; i < METRICS_BOUNDS; i++)
        TRY(buf_addf(out, f, "%s_bucket{%s%sle=\"%g\"} %llu\n", row->name, l, sep, bounds[i],
                     (unsigned long long)s->buckets[i]));
    TRY(buf_addf(out, f, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", row->name, l, sep,
                 (unsigned long long)s->n));
    const char *open = row->labels ? "{" : "", *close = row->labels ? "}" : "";
    TRY(buf_addf(out, f, "%s_sum%s%s%s %.17g\n", row->name, open, l, close, s->value));
    TRY(buf_addf(out, f, "%s_count%s%s%s %llu\n", row->name, open, l, close,
                 (unsigned long long)s->n));
out:
    return rc;
}

enum err metrics_write(struct metrics *m, struct buf *out, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 0; i < m->n_rows; i++) {
        const struct metrics_row *row = &m->rows[i];
        struct series s = *take(m, i);
        pthread_mutex_unlock(&m->lock);
        if (i == 0 || strcmp(row->name, row[-1].name) != 0) TRY(write_head(out, row, f));
        if (row->kind == METRICS_HISTOGRAM)
            TRY(write_histogram(out, row, &s, f));
        else
            TRY(write_value(out, row, s.value, f));
    }
out:
    return rc;
}
