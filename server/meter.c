#include "server/meter.h"

#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/metrics.h"

enum { CLASSES = 5, ROUTES_MAX = 64, LABEL_SIZE = 80, SINGLES_MAX = 16 };

/* Rows: requests of (route, class) for each route and for "none", then the single ones. */
struct meter {
    const struct route_table *routes;
    struct metrics *metrics;
    int n_routes; /* with "none" as the last */
    int first_single;
    char labels[ROUTES_MAX * CLASSES][LABEL_SIZE];
    struct metrics_row rows[ROUTES_MAX * CLASSES + SINGLES_MAX];
};

enum { SINGLE_SECONDS = METER_GAUGE_COUNT, SINGLE_JOBS, SINGLE_COUNT };

/* The gauges first, so that their enum is their place. Rows of one name stand together. */
static const struct metrics_row singles[SINGLE_COUNT] = {
    [METER_PARKED] = {"misora_http_parked", NULL, METRICS_GAUGE,
                      "Long polls and event streams that wait."},
    [METER_ACTIVE] = {"misora_http_active", NULL, METRICS_GAUGE, "Requests in work."},
    [METER_QUEUED_LOW] = {"misora_queue_depth", "priority=\"low\"", METRICS_GAUGE,
                          "Jobs that wait."},
    [METER_QUEUED_NORMAL] = {"misora_queue_depth", "priority=\"normal\"", METRICS_GAUGE,
                             "Jobs that wait."},
    [METER_QUEUED_HIGH] = {"misora_queue_depth", "priority=\"high\"", METRICS_GAUGE,
                           "Jobs that wait."},
    [METER_OLDEST_S] = {"misora_queue_oldest_age_seconds", NULL, METRICS_GAUGE,
                        "How long the first waiting job waits."},
    [METER_RUNNING] = {"misora_jobs_running", NULL, METRICS_GAUGE, "Jobs that workers hold."},
    [METER_WORKERS_BUSY] = {"misora_workers", "state=\"busy\"", METRICS_GAUGE, "Living workers."},
    [METER_WORKERS_IDLE] = {"misora_workers", "state=\"idle\"", METRICS_GAUGE, "Living workers."},
    [METER_REDIS_UP] = {"misora_redis_up", NULL, METRICS_GAUGE,
                        "1 when Redis answered; else the figures of the queue are old."},
    [SINGLE_SECONDS] = {"misora_http_request_duration_seconds", NULL, METRICS_HISTOGRAM,
                        "Time from the request line to the end of the reply."},
    [SINGLE_JOBS] = {"misora_jobs_submitted_total", "operation=\"create\"", METRICS_COUNTER,
                     "Jobs that this server put into the queue."},
};

static const char *route_name(const struct meter *m, int i) {
    return i < m->routes->n_rows ? m->routes->rows[i].name : "none";
}

enum err meter_make(struct meter **out, const struct route_table *routes, struct fail *f) {
    ASSERT(routes->n_rows + 1 <= ROUTES_MAX && (int)SINGLE_COUNT <= (int)SINGLES_MAX);
    struct meter *m = mem_take(1, sizeof(*m));
    if (!m) return FAIL(f, ERR_NOMEM, "no memory for metrics");
    m->routes = routes;
    m->n_routes = routes->n_rows + 1;
    m->first_single = m->n_routes * CLASSES;
    for (int i = 0; i < m->first_single; i++) {
        int r = i / CLASSES, class = i % CLASSES + 1;
        const char *method = r < routes->n_rows ? routes->rows[r].method : "any";
        snprintf(m->labels[i], LABEL_SIZE, "method=\"%s\",route=\"%s\",code=\"%dxx\"", method,
                 route_name(m, r), class);
        m->rows[i] = (struct metrics_row){"misora_http_requests_total", m->labels[i],
                                          METRICS_COUNTER, "Requests by route and status class."};
    }
    for (int i = 0; i < SINGLE_COUNT; i++)
        m->rows[m->first_single + i] = singles[i];
    enum err rc = metrics_make(&m->metrics, m->rows, m->first_single + SINGLE_COUNT, f);
    if (rc != ERR_OK) {
        mem_free(m);
        return rc;
    }
    *out = m;
    return ERR_OK;
}

void meter_free(struct meter *m) {
    if (!m) return;
    metrics_free(m->metrics);
    mem_free(m);
}

void meter_request(struct meter *m, const struct route *route, int status, int64_t took_us) {
    int r = route ? (int)(route - m->routes->rows) : m->n_routes - 1;
    int class = status / 100;
    if (r < 0 || r >= m->n_routes || class < 1 || class > CLASSES) return;
    metrics_add(m->metrics, r * CLASSES + class - 1, 1);
    metrics_observe(m->metrics, m->first_single + SINGLE_SECONDS, (double)took_us / 1e6);
}

void meter_job(struct meter *m) {
    metrics_add(m->metrics, m->first_single + SINGLE_JOBS, 1);
}

void meter_set(struct meter *m, enum meter_gauge gauge, double v) {
    ASSERT(gauge >= 0 && gauge < METER_GAUGE_COUNT);
    metrics_set(m->metrics, m->first_single + (int)gauge, v);
}

enum err meter_write(struct meter *m, struct buf *out, struct fail *f) {
    return metrics_write(m->metrics, out, f);
}
