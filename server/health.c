#include "server/health.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/job.h"
#include "common/queue_view.h"

static void finish(struct request *req, struct doc_out *o, int status) {
    struct fail f = {0};
    doc_close_object(o);
    if (doc_done(o, &f) == ERR_OK)
        request_reply_json(req, status);
    else
        server_reply_fail(req, &f);
}

static void begin(struct request *req, struct doc_out *o) {
    doc_out_make(o, &req->reply.body);
    doc_open_object(o, NULL);
}

void health_live(struct server *s, struct request *req) {
    struct doc_out o;
    (void)s;
    begin(req, &o);
    doc_put_text(&o, "status", "ok");
    finish(req, &o, 200);
}

/* The queue's figures; NULL when they cannot be had. The caller frees with mem_free(). */
static struct queue_stat *read_stat(struct server *s, struct request *req, struct fail *f) {
    struct redis *r = NULL;
    struct queue_stat *stat = mem_take(1, sizeof(*stat));
    if (!stat) {
        (void)FAIL(f, ERR_NOMEM, "no memory for the figures of the queue");
        return NULL;
    }
    enum err rc = server_lend(s, req, &r, f);
    if (rc == ERR_OK) rc = queue_view_stat(r, stat, f);
    server_give(s, req, r);
    if (rc == ERR_OK) return stat;
    mem_free(stat);
    return NULL;
}

/* No worker is not "unready": jobs can wait for one. */
void health_ready(struct server *s, struct request *req) {
    struct doc_out o;
    struct redis *r = NULL;
    int n_workers = PULSE_UNKNOWN, n_of_lane;
    bool is_leaving = atomic_load(&s->is_leaving);
    enum err rc = server_lend(s, req, &r, NULL);
    if (rc == ERR_OK) rc = pulse_take(&s->pulse, r, s->opts.lane, &n_workers, &n_of_lane, NULL);
    server_give(s, req, r);
    bool is_up = rc == ERR_OK, is_ready = is_up && !is_leaving;
    begin(req, &o);
    doc_put_text(&o, "status", is_leaving ? "draining" : is_up ? "ok" : "unavailable");
    if (n_workers != PULSE_UNKNOWN) doc_put_int(&o, "workers", n_workers);
    if (!is_up) doc_put_text(&o, "detail", "Redis does not answer");
    if (!is_ready) request_reply_header(req, "Retry-After", "2");
    finish(req, &o, is_ready ? 200 : 503);
}

static void put_lane(struct doc_out *o, const struct queue_lane_stat *lane) {
    doc_open_object(o, NULL);
    doc_put_text(o, "lane", lane->name);
    doc_put_int(o, "queued", lane->n_queued);
    doc_put_real(o, "oldest_age_seconds", (double)lane->oldest_age_ms / 1000.0);
    doc_open_object(o, "priority");
    doc_put_int(o, "low", lane->n_by_priority[job_priority_rank(JOB_LOW)]);
    doc_put_int(o, "normal", lane->n_by_priority[job_priority_rank(JOB_NORMAL)]);
    doc_put_int(o, "high", lane->n_by_priority[job_priority_rank(JOB_HIGH)]);
    doc_close_object(o);
    doc_put_int(o, "workers", lane->n_workers);
    doc_close_object(o);
}

void health_queue(struct server *s, struct request *req) {
    struct doc_out o;
    struct fail f = {0};
    struct queue_stat *stat = read_stat(s, req, &f);
    if (!stat) {
        server_reply_fail(req, &f);
        return;
    }
    begin(req, &o);
    doc_put_text(&o, "object", "queue");
    doc_put_int(&o, "running", stat->n_running);
    doc_put_int(&o, "scheduled", stat->n_scheduled);
    doc_put_int(&o, "workers", stat->n_workers);
    doc_open_array(&o, "lanes");
    for (int i = 0; i < stat->n_lanes; i++)
        put_lane(&o, &stat->lane[i]);
    doc_close_array(&o);
    mem_free(stat);
    finish(req, &o, 200);
}

void health_measure(struct server *s, struct request *req) {
    struct fail f = {0};
    struct queue_stat *stat = read_stat(s, req, &f);
    meter_set(s->meter, METER_PARKED, hub_count(s->hub));
    meter_set(s->meter, METER_ACTIVE, atomic_load(&s->n_active));
    meter_set(s->meter, METER_REDIS_UP, stat != NULL);
    if (!stat) return;
    int64_t low = 0, normal = 0, high = 0, oldest_ms = 0, n_busy = 0;
    for (int i = 0; i < stat->n_lanes; i++) {
        const struct queue_lane_stat *lane = &stat->lane[i];
        low += lane->n_by_priority[job_priority_rank(JOB_LOW)];
        normal += lane->n_by_priority[job_priority_rank(JOB_NORMAL)];
        high += lane->n_by_priority[job_priority_rank(JOB_HIGH)];
        if (lane->oldest_age_ms > oldest_ms) oldest_ms = lane->oldest_age_ms;
    }
    for (int i = 0; i < stat->n_workers; i++)
        n_busy += stat->worker[i].is_busy;
    meter_set(s->meter, METER_QUEUED_LOW, (double)low);
    meter_set(s->meter, METER_QUEUED_NORMAL, (double)normal);
    meter_set(s->meter, METER_QUEUED_HIGH, (double)high);
    meter_set(s->meter, METER_OLDEST_S, (double)oldest_ms / 1000.0);
    meter_set(s->meter, METER_RUNNING, (double)stat->n_running);
    meter_set(s->meter, METER_WORKERS_BUSY, (double)n_busy);
    meter_set(s->meter, METER_WORKERS_IDLE, (double)(stat->n_workers - n_busy));
    mem_free(stat);
}

void health_models(struct server *s, struct request *req) {
    struct doc_out o;
    begin(req, &o);
    doc_put_text(&o, "object", "list");
    doc_open_array(&o, "data");
    for (int i = 0; i < s->models.n_rows; i++)
        models_put(&o, NULL, &s->models.rows[i]);
    doc_close_array(&o);
    finish(req, &o, 200);
}

void health_model(struct server *s, struct request *req) {
    struct doc_out o;
    struct fail f = {0};
    const struct models_row *row = models_find(&s->models, req->path_id);
    if (!row) {
        request_reply_error(req, PROBLEM_MODEL_NOT_FOUND, "model",
                            "there is no such model; GET /v1/models lists them");
        return;
    }
    doc_out_make(&o, &req->reply.body);
    models_put(&o, NULL, row);
    if (doc_done(&o, &f) == ERR_OK)
        request_reply_json(req, 200);
    else
        server_reply_fail(req, &f);
}
