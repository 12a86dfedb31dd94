#include "server/estimates.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/estimate.h"
#include "common/queue_note.h"
#include "common/queue_view.h"
#include "server/app.h"
#include "server/operation.h"
#include "server/source.h"

enum { VALID_MS = 60 * 1000 };

/* All that the answer is made of. */
struct quote {
    struct validate_result asked;
    const struct operation *op;
    struct estimate_model model;
    bool is_known; /* some job has taught the model */
    struct estimate_work work;
    struct estimate guess;
    int fps, n_out_frames;
    double queue_ms;
    int n_ahead, n_workers;
};

/* ---- what is asked ---- */

static enum err find_operation(struct quote *q, const struct body *b, struct problem *p) {
    struct str name = str_of("create");
    for (int i = 0; i < b->n_fields; i++)
        if (strcmp(b->fields[i].name, "operation") == 0 && b->fields[i].kind == BODY_TEXT)
            name = b->fields[i].text;
    q->op = operation_named(name);
    if (q->op) return ERR_OK;
    return problem_set(
        p, PROBLEM_INVALID_VALUE, "operation",
        "operation is \"%.*s\"; must be create, edit, extend, connect, loop or image",
        (int)(name.n < 40 ? name.n : 40), name.p);
}

static enum err read_request(struct server *s, struct request *req, struct quote *q,
                             struct problem *p) {
    struct body *b = app_body(req);
    if (find_operation(q, b, p) != ERR_OK) return ERR_INPUT;
    const struct validate_rules rules = {
        .op = q->op,
        .is_estimate = true,
        .models = &s->models,
        .hooks = &s->hooks,
        .is_lenient = request_header_has(req, "prefer", "handling=lenient"),
    };
    if (validate_create(&q->asked, b, &rules, p) != ERR_OK) return ERR_INPUT;
    return source_learn(s, req, &q->asked, p);
}

/* ---- what is known ---- */

static enum err read_model(struct redis *r, struct quote *q, struct fail *f) {
    struct buf json;
    buf_make(&json, QUEUE_NOTE_BYTES_MAX);
    const struct queue_note note = {ESTIMATE_NOTE, ESTIMATE_TENANT, q->asked.job.model};
    enum err rc = queue_note_get(r, &json, &note, f);
    if (rc == ERR_OK) rc = estimate_read(&q->model, (struct str){json.data, json.len}, f);
    buf_free(&json);
    q->is_known = rc == ERR_OK;
    return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT ? ERR_OK : rc;
}

/* The time until our turn: what waits and runs, shared by the workers of the lane. */
static enum err read_queue(struct server *s, struct redis *r, struct quote *q, struct fail *f) {
    struct queue_stat *stat = mem_take(1, sizeof(*stat));
    if (!stat) return FAIL(f, ERR_NOMEM, "no memory for the queue's figures");
    enum err rc = queue_view_stat(r, stat, f);
    for (int i = 0; rc == ERR_OK && i < stat->n_lanes; i++) {
        if (strcmp(stat->lane[i].name, s->opts.lane) != 0) continue;
        q->n_ahead = (int)(stat->lane[i].n_queued + stat->n_running);
        q->n_workers = stat->lane[i].n_workers;
    }
    mem_free(stat);
    int n = q->n_workers > 0 ? q->n_workers : 1, n_before = q->n_ahead - (n - 1);
    if (n_before > 0) q->queue_ms = q->model.job_ms * n_before / n;
    return rc;
}

/* ---- what follows ---- */

static int frames_of(const struct job_asset *a, int fps) {
    return a->fps > 0 ? (int)ceil(a->n_frames * fps / a->fps) : 0;
}

/* Rendered frames: what is new, and what the engine is told of clips. */
static int rendered_frames(const struct job *job, int fps, int step, int *n_out) {
    const struct job_task *t = &job->task;
    int asked = job->num_frames > 0 ? job->num_frames : job->seconds * fps;
    int video = frames_of(&t->video, fps), second = frames_of(&t->second_video, fps);
    int ends = t->direction == JOB_BOTH ? 2 : 1, told = step + 1;
    *n_out = asked;
    switch (job->operation) {
    case JOB_EDIT: *n_out = video > 0 ? video : asked; return *n_out;
    case JOB_EXTEND:
        *n_out = t->is_bare ? asked : video + ends * asked;
        return ends * asked + (ends == 2 ? video : told);
    case JOB_CONNECT: *n_out = t->is_bare ? asked : video + second + asked; return asked + 2 * told;
    case JOB_LOOP: *n_out = video + asked; return asked + (video > 0 ? 2 * told : 0);
    default: return asked;
    }
}

/* The canvas has the shape that is asked and the pixels that the model is used to. */
static void guess_canvas(struct quote *q, const struct job *job) {
    struct estimate_work *w = &q->work;
    double shape =
        job->width > 0 ? (double)job->width / job->height : (double)w->home_width / w->home_height;
    double budget = (double)w->home_width * w->home_height;
    int px = w->multiple_px;
    w->width = (int)(sqrt(budget * shape) / px + 0.5) * px;
    w->height = (int)(sqrt(budget / shape) / px + 0.5) * px;
    if (w->width < px) w->width = px;
    if (w->height < px) w->height = px;
}

static void predict(struct quote *q) {
    const struct job *job = &q->asked.job;
    struct estimate_work *w = &q->work;
    *w = q->model.last;
    if (!q->is_known) /* so that tokens can be told at least */
        *w = (struct estimate_work){.multiple_px = 16,
                                    .frame_step = 4,
                                    .fps = 16,
                                    .home_width = 832,
                                    .home_height = 480,
                                    .home_steps = 50,
                                    .guidance = 5};
    int n_out = 0, n = rendered_frames(job, w->fps, w->frame_step, &n_out);
    double guidance = job->guidance_scale >= 0 ? job->guidance_scale : w->guidance;
    guess_canvas(q, job);
    w->n_frames = 1 + (n - 1 + w->frame_step - 1) / w->frame_step * w->frame_step;
    w->n_steps = job->steps > 0 ? job->steps : w->home_steps;
    w->n_passes = guidance > 1 ? 2 : 1;
    q->fps = job->fps > 0 ? job->fps : w->fps;
    bool is_whole = job->operation == JOB_CREATE;
    if (is_whole && !job->task.is_loop) n_out = w->n_frames;
    q->n_out_frames = (int)((int64_t)(n_out - 1) * q->fps / w->fps) + 1;
    estimate_predict(&q->guess, &q->model, w);
}

/* ---- the reply ---- */

static void put_effective(struct doc_out *o, const struct quote *q) {
    const struct job *job = &q->asked.job;
    char text[40];
    int w = job->width > 0 ? job->width : q->work.home_width;
    int h = job->width > 0 ? job->height : q->work.home_height;
    doc_open_object(o, "effective");
    snprintf(text, sizeof(text), "%dx%d", w, h);
    doc_put_text(o, "size", text);
    snprintf(text, sizeof(text), "%dx%d", q->work.width, q->work.height);
    doc_put_text(o, "canvas", text);
    doc_put_int(o, "num_frames", q->n_out_frames);
    doc_put_int(o, "fps", q->fps);
    int seconds = (int)((double)q->n_out_frames / q->fps + 0.5);
    snprintf(text, sizeof(text), "%d", seconds > 0 ? seconds : 1);
    doc_put_text(o, "seconds", text);
    doc_close_object(o);
}

static void put_seconds(struct doc_out *o, const struct quote *q) {
    const struct estimate *g = &q->guess;
    if (!q->is_known) {
        doc_put_null(o, "seconds");
        return;
    }
    doc_open_object(o, "seconds");
    doc_put_real(o, "queue", q->queue_ms / 1000);
    doc_put_real(o, "compute", g->denoise_ms / 1000);
    doc_put_real(o, "encode", (g->decode_ms + g->other_ms) / 1000);
    doc_put_real(o, "total", (q->queue_ms + g->total_ms) / 1000);
    doc_put_real(o, "p90", (q->queue_ms + g->p90_ms) / 1000);
    doc_close_object(o);
}

static void put_cost(struct doc_out *o, const struct server *s, const struct quote *q) {
    char text[40];
    if (s->opts.price_per_second <= 0 || !q->is_known) {
        doc_put_null(o, "cost");
        return;
    }
    snprintf(text, sizeof(text), "%.6f", s->opts.price_per_second * q->guess.total_ms / 1000);
    doc_open_object(o, "cost");
    doc_put_text(o, "amount", text);
    doc_put_text(o, "currency", s->opts.currency);
    doc_close_object(o);
}

static void put_warnings(struct doc_out *o, const struct quote *q) {
    doc_open_array(o, "warnings");
    for (int i = 0; i < q->asked.n_warnings; i++)
        doc_put_text(o, NULL, q->asked.warnings[i]);
    if (!q->is_known)
        doc_put_text(o, NULL, "no job of this model was measured yet; seconds are not known");
    if (q->n_workers == 0) doc_put_text(o, NULL, "no worker is there now");
    doc_close_array(o);
}

static enum err put_quote(struct buf *out, const struct server *s, const struct quote *q,
                          struct fail *f) {
    struct doc_out o;
    const struct estimate *g = &q->guess;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "object", "video.estimate");
    doc_put_text(&o, "operation", q->op->name);
    put_effective(&o, q);
    doc_open_object(&o, "tokens");
    doc_put_int(&o, "latent", g->n_tokens);
    doc_put_int(&o, "steps", q->work.n_steps);
    doc_put_int(&o, "passes", q->work.n_passes);
    doc_put_int(&o, "total", g->token_steps);
    doc_close_object(&o);
    put_seconds(&o, q);
    if (q->is_known)
        doc_put_int(&o, "memory_bytes", q->model.memory_bytes);
    else
        doc_put_null(&o, "memory_bytes");
    doc_put_bool(&o, "fits", q->work.n_frames <= LIMIT_FRAMES_MAX);
    put_cost(&o, s, q);
    doc_put_int(&o, "jobs_ahead", q->n_ahead);
    doc_put_int(&o, "measured_jobs", q->model.n_jobs);
    doc_put_int(&o, "valid_until", (now_wall_ms() + VALID_MS) / 1000);
    put_warnings(&o, q);
    doc_close_object(&o);
    return doc_done(&o, f);
}

void estimates_create(struct server *s, struct request *req) {
    struct quote q = {.op = NULL};
    struct problem p;
    struct redis *r = NULL;
    struct fail f = {0};
    if (read_request(s, req, &q, &p) != ERR_OK) {
        request_reply_problem(req, &p);
        if (q.op) job_free(&q.asked.job);
        return;
    }
    enum err rc = server_lend(s, req, &r, &f);
    if (rc == ERR_OK) rc = read_model(r, &q, &f);
    if (rc == ERR_OK) rc = read_queue(s, r, &q, &f);
    server_give(s, req, r);
    if (rc == ERR_OK) {
        predict(&q);
        rc = put_quote(&req->reply.body, s, &q, &f);
    }
    job_free(&q.asked.job);
    if (rc == ERR_OK)
        request_reply_json(req, 200);
    else
        server_reply_fail(req, &f);
}
