#include "server/create.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/sha256.h"
#include "common/job.h"
#include "common/queue.h"
#include "common/queue_view.h"
#include "server/app.h"
#include "server/characters.h"
#include "server/images.h"
#include "server/operation.h"
#include "server/poll.h"
#include "server/revise.h"
#include "server/source.h"
#include "server/validate.h"
#include "server/videos.h"

enum { TRIES_MAX = 3, USUAL_PIXELS = 1280 * 720 };

/* One create from body to ticket; memory of the job dies with it. */
struct create {
    struct server *s;
    struct request *req;
    struct body *body;
    struct validate_result asked;
    char fingerprint[SHA256_HEX + 1];
    char idem[SHA256_HEX + 1]; /* "" without an Idempotency-Key */
    struct queue_ticket ticket;
    bool has_no_worker; /* nobody looks at the lane now */
    struct problem problem;
};

/* What failed on our side, as a problem for the client and a line in the log. */
static enum err note_failure(struct create *c, const struct fail *f) {
    server_note_fail(c->req, f, &c->problem);
    return ERR_INPUT;
}

/* The draft calls for a quoted string; most clients send it bare. */
static enum err read_idempotency_key(struct create *c) {
    struct str key = request_header(c->req, "idempotency-key");
    char text[REQUEST_PATH_MAX + LIMIT_IDEMPOTENCY_KEY_CHARS + 8];
    if (!key.p) return ERR_OK;
    if (key.n >= 2 && key.p[0] == '"' && key.p[key.n - 1] == '"')
        key = (struct str){key.p + 1, key.n - 2};
    bool is_ok = key.n > 0 && key.n <= LIMIT_IDEMPOTENCY_KEY_CHARS;
    for (size_t i = 0; i < key.n; i++)
        if (key.p[i] < 0x20 || key.p[i] > 0x7e) is_ok = false;
    if (!is_ok)
        return problem_set(&c->problem, PROBLEM_INVALID_VALUE, "Idempotency-Key",
                           "Idempotency-Key must be 1 to %d printable ASCII characters",
                           LIMIT_IDEMPOTENCY_KEY_CHARS);
    int n = snprintf(text, sizeof(text), "POST %.*s %.*s", (int)c->req->path.n, c->req->path.p,
                     (int)key.n, key.p);
    ASSERT(n > 0 && n < (int)sizeof(text));
    sha256_hex(text, (size_t)n, c->idem);
    return ERR_OK;
}

static enum err read_job(struct create *c) {
    struct fail f = {0};
    const struct validate_rules rules = {
        .op = operation_find(c->req->route->name),
        .path_id = c->req->path_id,
        .models = &c->s->models,
        .hooks = &c->s->hooks,
        .is_lenient = request_header_has(c->req, "prefer", "handling=lenient"),
    };
    if (read_idempotency_key(c) != ERR_OK) return ERR_INPUT;
    if (validate_create(&c->asked, c->body, &rules, &c->problem) != ERR_OK) return ERR_INPUT;
    if (validate_headers(&c->asked.job, c->req, &c->problem) != ERR_OK) return ERR_INPUT;
    if (source_resolve(c->s, c->req, c->body, &c->asked, &c->problem) != ERR_OK) return ERR_INPUT;
    if (characters_resolve(c->s, c->req, &c->asked, &c->problem) != ERR_OK) return ERR_INPUT;
    enum err rc = job_fingerprint(&c->asked.job, c->fingerprint, &f);
    if (rc == ERR_LIMIT)
        return problem_set(&c->problem, PROBLEM_PAYLOAD_TOO_LARGE, "prompt", "%s", f.text);
    return rc == ERR_OK ? ERR_OK : note_failure(c, &f);
}

/* A client that did not choose a seed gets one drawn; the fingerprint was taken before, so equal
 * requests stay equal. */
static void draw_seed(struct job *job) {
    if (job->has_seed) return;
    id_random(&job->seed, sizeof(job->seed));
    job->has_seed = true;
}

/* A rough figure for fairness between tenants: what matters is the ratio of two jobs. */
static int64_t estimate_ms(const struct job *job) {
    int64_t n_frames =
        job->num_frames ? job->num_frames : (int64_t)job->seconds * (job->fps ? job->fps : 16);
    int64_t pixels = job->width > 0 ? (int64_t)job->width * job->height : USUAL_PIXELS;
    int64_t cost = n_frames * pixels / 20000;
    return cost < 1 ? 1 : cost;
}

static const char *join_events(struct create *c) {
    struct job *job = &c->asked.job;
    char text[128] = "";
    size_t n = 0;
    if (!job->webhook_url[0] || !job->n_webhook_events) return NULL;
    for (int i = 0; i < job->n_webhook_events; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? "," : "",
                              job->webhook_events[i]);
    return arena_copy(&c->req->mem, text, n);
}

static enum err submit_problem(struct create *c, enum err rc, const struct fail *f) {
    if (rc == ERR_CONFLICT)
        return problem_set(&c->problem, PROBLEM_IDEMPOTENCY_KEY_REUSED, "Idempotency-Key",
                           "this Idempotency-Key was used for another request; use a new one");
    if (rc == ERR_INPUT)
        return problem_set(&c->problem, PROBLEM_PAYLOAD_TOO_LARGE, "", "%s", f->text);
    return note_failure(c, f);
}

/* After the fingerprint, so that equal requests stay equal whatever the rewriter says, and before
 * Redis is asked for anything: an endpoint may take its time. */
static enum err revise(struct create *c) {
    struct job *job = &c->asked.job;
    struct revise r;
    struct fail f = {0};
    enum revise_kind kind = job->operation == JOB_IMAGE ? REVISE_IMAGE : REVISE_VIDEO;
    if (!job->wants_upsampling || !job->prompt[0]) return ERR_OK;
    draw_seed(job);
    if (revise_prompt(&r, c->s, &job->mem,
                      job->revised_prompt[0] ? job->revised_prompt : job->prompt, kind, job->seed,
                      &f) != ERR_OK)
        return note_failure(c, &f);
    job->revised_prompt = r.text;
    for (int i = 0; i < r.n_warnings && c->asked.n_warnings < VALIDATE_WARNINGS_MAX; i++)
        snprintf(c->asked.warnings[c->asked.n_warnings++], VALIDATE_WARNING_SIZE, "%s",
                 r.warning[i]);
    return ERR_OK;
}

static enum err submit(struct create *c, struct redis *r) {
    struct job *job = &c->asked.job;
    struct fail f = {0};
    struct buf spec;
    char id[ID_BYTES_MAX];
    id_make(id, "video_");
    draw_seed(job);
    buf_make(&spec, 2 * JOB_JSON_MAX);
    enum err rc = job_write(job, &spec, &f);
    const struct queue_order order = {
        .id = id,
        .tenant = c->req->tenant,
        .lane = c->s->opts.lane,
        .priority = job_priority_rank(job->priority),
        .cost_ms = estimate_ms(job),
        .spec = buf_str(&spec),
        .fingerprint = c->fingerprint,
        .idem = c->idem[0] ? c->idem : NULL,
        .queue_ttl_ms = job->deadline_seconds * 1000,
        .run_limit_ms = job->deadline_seconds * 1000,
        .max_tries = TRIES_MAX,
        .hook_url = job->webhook_url[0] ? job->webhook_url : NULL,
        .hook_events = join_events(c),
        .keep_ms = job->expires_after_seconds * 1000,
    };
    if (rc == ERR_OK) rc = queue_submit(r, &c->ticket, &order, &f);
    buf_free(&spec);
    return rc == ERR_OK ? ERR_OK : submit_problem(c, rc, &f);
}

/* An SDK that retries sends no key of its own. If a create like this one, of the same key, made a
 * job whose answer did not get out, that job is what the client wants. */
static bool take_undelivered(struct create *c, struct redis *r) {
    int64_t n = 0;
    struct str retry = request_header(c->req, "x-stainless-retry-count");
    if (c->idem[0] || !retry.n || !str_parse_i64(retry, 1, 1000, &n)) return false;
    if (queue_undelivered_take(r, c->ticket.id, c->req->tenant, c->fingerprint, NULL) != ERR_OK)
        return false;
    c->ticket.born = QUEUE_REPLAY;
    return true;
}

/* The line that leads from a request to its job. */
static void remember(struct create *c) {
    struct request *req = c->req;
    log_line(LOG_INFO, "job.accepted", "id=%s job=%s tenant=%s replay=%s", req->id, c->ticket.id,
             req->tenant, c->ticket.born == QUEUE_REPLAY ? "yes" : "no");
    req->born_id = arena_copy(&req->mem, c->ticket.id, strlen(c->ticket.id));
    req->born_fingerprint = arena_copy(&req->mem, c->fingerprint, SHA256_HEX);
}

/* Workers are counted now and then, so a job that one has taken speaks against the count. */
static struct video_extra keep_warnings(struct create *c, enum job_state state) {
    struct video_extra extra = {.n_warnings = 0};
    if (c->has_no_worker && state == JOB_STATE_QUEUED)
        extra.warnings[extra.n_warnings++] = "no worker is there now; the video waits for one";
    for (int i = 0; i < c->asked.n_warnings && extra.n_warnings < COUNT_OF(extra.warnings); i++) {
        const char *text = c->asked.warnings[i];
        const char *kept = arena_copy(&c->req->mem, text, strlen(text));
        if (kept) extra.warnings[extra.n_warnings++] = kept;
    }
    return extra;
}

static void reply_now(struct create *c) {
    struct queue_view view = {0};
    struct redis *r = NULL;
    struct fail f = {0};
    if (server_borrow(c->s, c->req, &r) != ERR_OK) return;
    enum err rc = queue_view_get(r, &view, c->ticket.id, c->req->tenant, &f);
    server_give(c->s, c->req, r);
    if (rc == ERR_OK) {
        struct video_extra extra = keep_warnings(c, view.job.state);
        videos_reply(c->s, c->req, &view.job, &extra);
    } else {
        server_reply_fail(c->req, &f);
    }
    queue_view_free(&view);
}

static void reply(struct create *c, int wait_s, int64_t after) {
    struct request *req = c->req;
    request_reply_header(req, "Location", "/v1/videos/%s", c->ticket.id);
    if (c->ticket.born == QUEUE_REPLAY) request_reply_header(req, "Idempotency-Replayed", "true");
    if (wait_s <= 0) {
        reply_now(c);
        return;
    }
    struct video_extra extra = keep_warnings(c, JOB_STATE_QUEUED);
    poll_start(c->s, req, c->ticket.id, wait_s, after, &extra);
}

/* The queue's part, with its connection given back before anything waits. */
static enum err enqueue(struct create *c) {
    struct redis *r = NULL;
    if (server_borrow(c->s, c->req, &r) != ERR_OK) return ERR_UNAVAILABLE;
    enum err rc = take_undelivered(c, r) ? ERR_OK : submit(c, r);
    if (rc == ERR_OK && c->ticket.born != QUEUE_REPLAY) meter_job(c->s->meter);
    if (rc == ERR_OK) c->has_no_worker = pulse_lane_workers(&c->s->pulse, r, c->s->opts.lane) == 0;
    server_give(c->s, c->req, r);
    return rc;
}

/* One job for each picture, whose seeds follow each other; an Idempotency-Key covers them all. */
static enum err enqueue_images(struct create *c, struct images_ask *ask) {
    struct job *job = &c->asked.job;
    char idem[SHA256_HEX + 16], own[SHA256_HEX + 1];
    enum err rc = ERR_OK;
    memcpy(own, c->idem, sizeof(own));
    draw_seed(job);
    for (ask->n = 0; rc == ERR_OK && ask->n < c->asked.n_images; ask->n++) {
        if (own[0] && ask->n > 0) {
            int n = snprintf(idem, sizeof(idem), "%s %d", own, ask->n);
            sha256_hex(idem, (size_t)n, c->idem);
        }
        rc = enqueue(c);
        memcpy(ask->id[ask->n], c->ticket.id, sizeof(ask->id[0]));
        job->seed++;
    }
    return rc;
}

static void run_images(struct create *c) {
    struct images_ask ask = {.wants_url = c->asked.wants_url,
                             .wants_stream = c->asked.wants_stream};
    enum err rc = enqueue_images(c, &ask);
    if (rc == ERR_INPUT) request_reply_problem(c->req, &c->problem);
    if (rc == ERR_OK) images_wait(c->s, c->req, &ask);
}

void create_run(struct server *s, struct request *req) {
    struct create c = {.s = s, .req = req};
    int64_t after = -1;
    if (poll_find(req)) {
        poll_continue(s, req);
        return;
    }
    if (images_find(req)) {
        images_continue(s, req);
        return;
    }
    c.body = app_body(req);
    int wait_s = poll_seconds(req, &after);
    if (wait_s < 0) return;
    enum err rc = read_job(&c);
    if (rc == ERR_OK) rc = revise(&c);
    if (rc == ERR_OK && c.asked.job.operation == JOB_IMAGE) {
        run_images(&c);
        job_free(&c.asked.job);
        return;
    }
    if (rc == ERR_OK) rc = enqueue(&c);
    if (rc == ERR_OK) remember(&c);
    if (rc == ERR_INPUT) request_reply_problem(req, &c.problem);
    if (rc == ERR_OK) reply(&c, wait_s, after);
    job_free(&c.asked.job);
}
