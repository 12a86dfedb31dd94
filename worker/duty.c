#include "worker/duty.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/assert.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "worker/calibrate.h"
#include "worker/tally.h"

enum {
    CLAIM_WAIT_MS = 2000, /* a drain waits for it */
    PULSE_MS = 250,       /* progress is told four times a second at most */
    RETRY_MIN_MS = 50,
    RETRY_MAX_MS = 5000,
    DISK_RETRY_MS = 5000,
    SHIFT_MAX = 7,
    UPLOAD_PERCENT = 99,
    STALL_STEPS = 20
};

static void on_pulse(void *ctx);
static void on_retry(void *ctx);
static void begin_failing(struct duty *d, const struct queue_fail *why);
static void fail_for(struct duty *d, enum err code, const struct fail *cause);

enum err duty_open(struct duty *d, const struct duty_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    *d = (struct duty){.o = *o};
    TRY(conf_lanes(&d->lanes, o->conf, f));
    TRY(loop_timer_open(o->loop, &d->pulse, on_pulse, d, f));
    TRY(loop_timer_open(o->loop, &d->retry, on_retry, d, f));
out:
    return rc;
}

bool duty_is_free(const struct duty *d) {
    return d->state == DUTY_IDLE;
}

/* The loop has no memory for one more task: nothing can be promised from here. */
static void must_work(struct duty *d, loop_fn work, loop_fn after) {
    struct fail f = {0};
    if (loop_work(d->o.loop, work, after, d, &f) != ERR_OK) d->o.quit(d->o.ctx, EXIT_CODE_BUG, &f);
}

static void become_idle(struct duty *d) {
    d->state = DUTY_IDLE;
    d->stop = DUTY_GO_ON;
    loop_timer_stop(d->pulse);
    metrics_set(d->o.metrics, TALLY_BUSY, 0);
    duty_seek(d);
}

/* 50 ms doubling to 5 s while Redis does not answer. */
static void retry_later(struct duty *d, const struct fail *why) {
    int shift = d->n_misses < SHIFT_MAX ? d->n_misses : SHIFT_MAX;
    int64_t ms = (int64_t)RETRY_MIN_MS << shift;
    if (d->n_misses++ % 20 == 0) log_fail(LOG_WARN, "redis.miss", why);
    metrics_add(d->o.metrics, TALLY_REDIS_MISSES, 1);
    if (redis_pool_is_refused(d->o.deliver.pool)) {
        d->o.quit(d->o.ctx, EXIT_CODE_CONFIG, why);
        return;
    }
    loop_timer_set(d->retry, ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS);
}

/* ---- recovery of what a predecessor left ---- */

static struct queue_fail lost_worker(void) {
    return (struct queue_fail){.why = QUEUE_CRASH,
                               .code = "worker_lost",
                               .message = "the worker was lost while running this job"};
}

static enum err recover_one(const struct deliver *d, struct spool_entry *e, struct fail *f) {
    enum queue_verdict verdict;
    struct queue_fail why = lost_worker();
    enum err rc = ERR_OK;
    if (e->is_sealed) {
        rc = deliver_result(d, &verdict, e, f);
        log_line(LOG_INFO, "spool.replayed", "job=%s result=%s", e->id, err_name(rc));
        if (rc == ERR_OK || rc == ERR_UNAVAILABLE) return rc;
        deliver_judge(&why, f, 1);
    }
    rc = deliver_failure(d, e, &why, f);
    return rc == ERR_UNAVAILABLE ? rc : ERR_OK;
}

static enum err check_queue(const struct deliver *d, struct fail *f) {
    struct redis *r = NULL;
    enum err rc = redis_pool_borrow(d->pool, &r, f);
    if (rc == ERR_OK) rc = queue_check(r, f);
    redis_pool_give(d->pool, r);
    return rc;
}

static void work_recover(void *ctx) {
    struct duty *d = ctx;
    struct duty_ending *e = &d->ending;
    struct spool_entry *entries = mem_take(SPOOL_ENTRIES_MAX, sizeof(*entries));
    e->rc = entries ? check_queue(&e->deliver, &e->fail) : FAIL(&e->fail, ERR_NOMEM, "no memory");
    int n = e->rc == ERR_OK ? spool_list(e->deliver.spool, entries, SPOOL_ENTRIES_MAX) : 0;
    for (int i = 0; i < n && e->rc == ERR_OK; i++)
        e->rc = recover_one(&e->deliver, &entries[i], &e->fail);
    mem_free(entries);
}

static void after_recover(void *ctx) {
    struct duty *d = ctx;
    d->is_recovered = d->ending.rc == ERR_OK;
    d->state = DUTY_IDLE;
    if (d->ending.rc == ERR_CONFIG) {
        d->o.quit(d->o.ctx, EXIT_CODE_CONFIG, &d->ending.fail);
    } else if (d->is_recovered) {
        d->n_misses = 0;
        become_idle(d);
    } else {
        retry_later(d, &d->ending.fail);
    }
}

void duty_recover(struct duty *d) {
    ASSERT(d->state == DUTY_IDLE && !d->is_recovered);
    d->state = DUTY_DELIVERING;
    d->ending = (struct duty_ending){.deliver = d->o.deliver};
    must_work(d, work_recover, after_recover);
}

/* ---- claiming ---- */

static void work_claim(void *ctx) {
    struct duty_claiming *c = &((struct duty *)ctx)->claiming;
    struct redis *r = NULL;
    c->rc = redis_pool_borrow(c->pool, &r, &c->fail);
    if (c->rc == ERR_OK) c->rc = queue_claim(r, &c->claim, &c->seek, &c->fail);
    redis_pool_give(c->pool, r);
}

static void begin_running(struct duty *d, const struct queue_claim *claim) {
    struct fail f = {0};
    d->state = DUTY_RUNNING;
    d->stop = DUTY_GO_ON;
    d->try = claim->try;
    d->started_ms = d->sign_ms = now_mono_ms();
    d->gap_ms = 0;
    d->progress = (struct wire_progress){.phase = "loading", .eta_ms = -1};
    d->is_dirty = false;
    d->beating.sent_ms = d->started_ms;
    metrics_set(d->o.metrics, TALLY_BUSY, 1);
    log_line(LOG_INFO, "job.claimed", "job=%s try=%d losses=%d", claim->id, claim->try,
             claim->n_crashes);
    enum err rc = spool_begin(d->o.deliver.spool, &d->entry, claim->id, claim->lease, &f);
    if (rc != ERR_OK) {
        fail_for(d, rc, &f);
        return;
    }
    struct wire_job job = {.spec = str_of(claim->spec)};
    memcpy(job.dir, d->entry.path, sizeof(job.dir));
    kid_job(d->o.kid, &job);
    loop_timer_set(d->pulse, PULSE_MS);
}

/* Claimed, but it shall not run: the record is damaged, or we are leaving. */
static void give_back_at_once(struct duty *d, const struct queue_claim *claim,
                              const struct queue_fail *why) {
    d->entry = (struct spool_entry){0};
    memcpy(d->entry.id, claim->id, sizeof(d->entry.id));
    memcpy(d->entry.lease, claim->lease, sizeof(d->entry.lease));
    d->started_ms = now_mono_ms();
    begin_failing(d, why);
}

static const struct queue_fail damaged = {
    .why = QUEUE_FATAL, .code = "internal_error", .message = "the stored request is damaged"};
static const struct queue_fail leaving = {
    .why = QUEUE_RELEASE, .code = "released", .message = "the worker is leaving"};

static void after_claim(void *ctx) {
    struct duty *d = ctx;
    struct queue_claim claim = d->claiming.claim; /* taken over: the next seek writes there */
    enum err rc = d->claiming.rc;
    d->state = DUTY_IDLE;
    if (rc == ERR_OK || rc == ERR_NOT_FOUND) d->n_misses = 0;
    if (rc == ERR_CORRUPT && claim.id[0])
        give_back_at_once(d, &claim, &damaged);
    else if (rc == ERR_OK && (d->is_draining || !d->o.kid->is_ready))
        give_back_at_once(d, &claim, &leaving);
    else if (rc == ERR_OK)
        begin_running(d, &claim);
    else if (rc == ERR_CANCELLED)
        d->o.quit(d->o.ctx, EXIT_CODE_RETRY, &d->claiming.fail);
    else if (rc == ERR_NOT_FOUND)
        duty_seek(d);
    else
        retry_later(d, &d->claiming.fail);
    queue_claim_free(&claim);
}

static bool has_room(struct duty *d) {
    int64_t room = store_free_bytes(d->o.deliver.store);
    int64_t spool = spool_free_bytes(d->o.deliver.spool);
    if (spool >= 0 && spool < room) room = spool;
    bool is_low = room >= 0 && room < d->o.conf->min_free_bytes;
    if (is_low != d->is_low_on_disk)
        log_line(is_low ? LOG_ERROR : LOG_INFO, "store.room", "free=%lld need=%lld",
                 (long long)room, (long long)d->o.conf->min_free_bytes);
    d->is_low_on_disk = is_low;
    return !is_low;
}

void duty_seek(struct duty *d) {
    if (d->state != DUTY_IDLE || d->is_draining || !d->is_recovered || !d->o.kid->is_ready) return;
    if (!has_room(d)) {
        loop_timer_set(d->retry, DISK_RETRY_MS);
        return;
    }
    struct duty_claiming *c = &d->claiming;
    *c = (struct duty_claiming){.pool = d->o.deliver.pool};
    c->seek = (struct queue_seek){.worker = d->o.worker,
                                  .n_lanes = d->lanes.n,
                                  .lease_ms = d->o.conf->lease_ms,
                                  .wait_ms = CLAIM_WAIT_MS};
    memcpy(c->seek.lanes, d->lanes.names, sizeof(c->seek.lanes));
    d->state = DUTY_CLAIMING;
    must_work(d, work_claim, after_claim);
}

/* ---- beating ---- */

static void work_beat(void *ctx) {
    struct duty_beating *b = &((struct duty *)ctx)->beating;
    struct redis *r = NULL;
    struct queue_beat beat = {.lease_ms = b->lease_ms,
                              .progress = b->progress.percent,
                              .phase = b->progress.phase,
                              .step = b->progress.step,
                              .n_steps = b->progress.n_steps,
                              .eta_ms = b->progress.eta_ms};
    b->rc = redis_pool_borrow(b->pool, &r, NULL);
    if (b->rc == ERR_OK) b->rc = queue_beat(r, &b->verdict, b->id, b->lease, &beat, NULL);
    redis_pool_give(b->pool, r);
}

static void stop_job(struct duty *d, enum duty_stop stop) {
    static const char *const names[] = {"go on", "cancel", "timeout", "stale", "drain"};
    if (d->state != DUTY_RUNNING || d->stop != DUTY_GO_ON) return;
    log_line(LOG_INFO, "job.stop", "job=%s why=%s", d->entry.id, names[stop]);
    d->stop = stop;
    kid_cancel(d->o.kid);
}

/* Redis silent: the job goes on, for its result counts and not its beats. */
static void after_beat(void *ctx) {
    struct duty *d = ctx;
    struct duty_beating *b = &d->beating;
    b->is_out = false;
    if (b->rc != ERR_OK) metrics_add(d->o.metrics, TALLY_REDIS_MISSES, 1);
    if (b->rc != ERR_OK || strcmp(b->lease, d->entry.lease) != 0) return;
    if (b->verdict == QUEUE_CANCEL) stop_job(d, DUTY_CANCEL);
    if (b->verdict == QUEUE_TIMEOUT) stop_job(d, DUTY_TIMEOUT);
    if (b->verdict == QUEUE_STALE) stop_job(d, DUTY_STALE);
}

static void send_beat(struct duty *d, int64_t now) {
    struct duty_beating *b = &d->beating;
    *b = (struct duty_beating){.pool = d->o.deliver.pool,
                               .progress = d->progress,
                               .lease_ms = d->o.conf->lease_ms,
                               .sent_ms = now,
                               .is_out = true};
    memcpy(b->id, d->entry.id, sizeof(b->id));
    memcpy(b->lease, d->entry.lease, sizeof(b->lease));
    d->is_dirty = false;
    must_work(d, work_beat, after_beat);
}

/* A large model on a slow device may need minutes for one step: what it needed so far is the
 * measure. */
static int64_t stall_limit_ms(const struct duty *d) {
    int64_t usual = STALL_STEPS * d->gap_ms;
    return usual > d->o.conf->stall_ms ? usual : d->o.conf->stall_ms;
}

static void on_pulse(void *ctx) {
    struct duty *d = ctx;
    int64_t now = now_mono_ms();
    if (d->state != DUTY_RUNNING && d->state != DUTY_DELIVERING) return;
    loop_timer_set(d->pulse, PULSE_MS);
    if (d->state == DUTY_RUNNING && now - d->sign_ms > stall_limit_ms(d)) {
        log_line(LOG_ERROR, "job.stalled", "job=%s silent_ms=%lld", d->entry.id,
                 (long long)(now - d->sign_ms));
        d->sign_ms = now;
        kid_kill(d->o.kid);
    }
    bool is_due = now - d->beating.sent_ms >= d->o.conf->beat_ms;
    if (!d->beating.is_out && (d->is_dirty || is_due)) send_beat(d, now);
}

/* ---- the end ---- */

static void finished(struct duty *d, int row) {
    double s = (double)(now_mono_ms() - d->started_ms) / 1000;
    metrics_add(d->o.metrics, row, 1);
    if (row == TALLY_DONE) metrics_observe(d->o.metrics, TALLY_JOB_SECONDS, s);
    d->n_misses = 0;
    become_idle(d);
}

static void count_output(struct duty *d) {
    const struct receipt *r = &d->entry.receipt;
    double seconds = r->fps > 0 ? r->num_frames / r->fps : 0, bytes = 0;
    for (int v = 0; v < RECEIPT_VARIANT_COUNT; v++)
        bytes += (double)r->objects[v].n_bytes;
    metrics_add(d->o.metrics, TALLY_VIDEO_SECONDS, seconds);
    metrics_add(d->o.metrics, TALLY_OUTPUT_BYTES, bytes);
    log_line(LOG_INFO, "job.done", "job=%s ms=%lld compute_ms=%lld bytes=%.0f", d->entry.id,
             (long long)(now_mono_ms() - d->started_ms), (long long)r->compute_ms, bytes);
}

static void work_deliver(void *ctx) {
    struct duty *d = ctx;
    struct duty_ending *e = &d->ending;
    e->rc = ERR_OK;
    if (!d->entry.is_sealed) e->rc = spool_seal(e->deliver.spool, &d->entry, &e->receipt, &e->fail);
    if (e->rc == ERR_OK) e->rc = deliver_result(&e->deliver, &e->verdict, &d->entry, &e->fail);
    if (e->rc == ERR_OK && e->verdict == QUEUE_GO_ON)
        e->estimate_error = calibrate_job(e->deliver.pool, d->o.conf->model_dir, &d->entry.receipt);
}

static void after_deliver(void *ctx) {
    struct duty *d = ctx;
    struct duty_ending *e = &d->ending;
    if (e->rc == ERR_UNAVAILABLE) {
        retry_later(d, &e->fail);
    } else if (e->rc != ERR_OK) {
        log_fail(LOG_ERROR, "job.undeliverable", &e->fail);
        fail_for(d, e->rc, &e->fail);
    } else if (e->verdict == QUEUE_GO_ON) {
        count_output(d);
        if (e->estimate_error >= 0)
            metrics_set(d->o.metrics, TALLY_ESTIMATE_ERROR, e->estimate_error);
        finished(d, TALLY_DONE);
    } else {
        finished(d, e->verdict == QUEUE_STALE ? TALLY_STALE : TALLY_CANCELLED);
    }
}

static void work_fail(void *ctx) {
    struct duty *d = ctx;
    struct duty_ending *e = &d->ending;
    e->rc = deliver_failure(&e->deliver, &d->entry, &e->why, &e->fail);
}

static void after_fail(void *ctx) {
    struct duty *d = ctx;
    struct duty_ending *e = &d->ending;
    if (e->rc == ERR_UNAVAILABLE) {
        retry_later(d, &e->fail);
        return;
    }
    if (e->rc != ERR_OK) log_fail(LOG_ERROR, "job.fail", &e->fail);
    bool is_crash = e->why.why == QUEUE_CRASH;
    bool is_failure = e->why.why == QUEUE_FATAL || e->why.why == QUEUE_RETRY;
    finished(d, is_crash ? TALLY_CRASHED : is_failure ? TALLY_FAILED : TALLY_CANCELLED);
}

static void begin_failing(struct duty *d, const struct queue_fail *why) {
    d->state = DUTY_FAILING;
    d->ending.deliver = d->o.deliver;
    d->ending.why = *why;
    must_work(d, work_fail, after_fail);
}

/* The text of the verdict lives in d->ending.cause until the queue knows. */
static void fail_for(struct duty *d, enum err code, const struct fail *cause) {
    struct queue_fail why;
    struct fail own = *cause;
    own.code = code;
    d->ending = (struct duty_ending){.cause = own};
    deliver_judge(&why, &d->ending.cause, d->try);
    begin_failing(d, &why);
}

static void begin_delivering(struct duty *d, const struct receipt *receipt) {
    d->state = DUTY_DELIVERING;
    d->ending = (struct duty_ending){.deliver = d->o.deliver, .receipt = *receipt};
    d->progress.percent = UPLOAD_PERCENT;
    snprintf(d->progress.phase, sizeof(d->progress.phase), "upload");
    d->is_dirty = true;
    must_work(d, work_deliver, after_deliver);
}

static void on_retry(void *ctx) {
    struct duty *d = ctx;
    if (!d->is_recovered && d->state == DUTY_IDLE && !d->is_draining)
        duty_recover(d);
    else if (d->state == DUTY_DELIVERING)
        must_work(d, work_deliver, after_deliver);
    else if (d->state == DUTY_FAILING)
        must_work(d, work_fail, after_fail);
    else
        duty_seek(d);
}

void duty_drain(struct duty *d) {
    d->is_draining = true;
    stop_job(d, DUTY_DRAIN);
}

/* ---- what the child says ---- */

void duty_on_ready(void *ctx) {
    duty_seek(ctx);
}

void duty_on_progress(void *ctx, const struct wire_progress *p) {
    struct duty *d = ctx;
    if (d->state != DUTY_RUNNING) return;
    int64_t now = now_mono_ms();
    d->gap_ms = (d->gap_ms * 7 + (now - d->sign_ms)) / 8; /* a mean that follows slowly */
    d->progress = *p;
    d->sign_ms = now;
    d->is_dirty = true;
}

void duty_on_done(void *ctx, const struct receipt *receipt) {
    struct duty *d = ctx;
    ASSERT(d->state == DUTY_RUNNING);
    begin_delivering(d, receipt);
}

/* What to tell the queue when a job ended because we said so. */
static const struct queue_fail stops[] = {
    [DUTY_CANCEL] = {QUEUE_CANCELLED, "cancelled", "the job was cancelled", 0, NULL},
    [DUTY_TIMEOUT] = {QUEUE_TIMED_OUT, "deadline_exceeded", "the job ran too long", 0, NULL},
    [DUTY_STALE] = {QUEUE_RELEASE, "stale", "another worker has the job", 0, NULL},
    [DUTY_DRAIN] = {QUEUE_RELEASE, "released", "the worker is leaving", 0, NULL},
};

void duty_on_failed(void *ctx, const struct fail *why) {
    struct duty *d = ctx;
    ASSERT(d->state == DUTY_RUNNING);
    log_fail(d->stop == DUTY_GO_ON ? LOG_WARN : LOG_DEBUG, "job.failed", why);
    if (d->stop != DUTY_GO_ON)
        begin_failing(d, &stops[d->stop]);
    else
        fail_for(d, why->code, why);
}

void duty_on_gone(void *ctx, int wait_status) {
    struct duty *d = ctx;
    struct queue_fail q = lost_worker();
    if (d->state != DUTY_RUNNING) return;
    log_line(LOG_ERROR, "job.crashed", "job=%s signal=%d", d->entry.id,
             WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0);
    if (d->stop != DUTY_GO_ON) q = stops[d->stop];
    begin_failing(d, &q);
}
