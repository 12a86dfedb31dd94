#include "worker/child.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/now.h"
#include "common/config.h"
#include "common/fetch.h"
#include "common/job.h"
#include "common/receipt.h"
#include "common/s3.h"
#include "common/store.h"
#include "engine/engine.h"
#include "engine/lora.h"
#include "worker/push.h"
#include "worker/run.h"
#include "worker/wire.h"

enum { REPORT_EVERY_MS = 250 };

struct child {
    struct wire_reader reader;
    struct store store;
    struct s3 s3;
    struct run run;
    struct wire_hello hello;
    bool is_cancelled, is_orphan; /* of the running job; the supervisor is gone */
    const char *place;            /* name of the running job's folder in the spool, or NULL */
    int64_t reported_ms;
    char reported_phase[WIRE_PHASE_MAX];
};

static enum err send_body(enum wire_type type, const struct buf *body, struct fail *f) {
    return wire_send(CHILD_FD, type, (struct str){buf_str(body), body->len}, f);
}

/* Four times a second at most, but every phase is seen. */
static void on_report(void *ctx, const struct wire_progress *p) {
    struct child *c = ctx;
    int64_t now = now_mono_ms();
    if (now - c->reported_ms < REPORT_EVERY_MS && strcmp(c->reported_phase, p->phase) == 0) return;
    struct buf b;
    buf_make(&b, WIRE_BODY_MAX);
    c->reported_ms = now;
    memcpy(c->reported_phase, p->phase, sizeof(c->reported_phase));
    if (wire_write_progress(&b, p, NULL) == ERR_OK)
        c->is_orphan = send_body(WIRE_PROGRESS, &b, NULL) != ERR_OK || c->is_orphan;
    buf_free(&b);
}

/* Reads what the supervisor said meanwhile; only CANCEL makes sense during a job. */
static bool on_ask(void *ctx) {
    struct child *c = ctx;
    struct wire_frame frame;
    enum err rc;
    while ((rc = wire_fill(&c->reader, CHILD_FD, NULL)) == ERR_OK)
        continue;
    if (rc != ERR_TIMEOUT) c->is_orphan = true;
    while (wire_next(&c->reader, &frame, NULL) == ERR_OK) {
        if (frame.type == WIRE_CANCEL) c->is_cancelled = true;
        wire_drop(&c->reader, &frame);
    }
    return c->is_cancelled || c->is_orphan;
}

/* Waits for the next frame. ERR_IO when the supervisor hung up, ERR_CORRUPT on nonsense. */
static enum err wait_frame(struct child *c, struct wire_frame *out, struct fail *f) {
    for (;;) {
        enum err rc = wire_next(&c->reader, out, f);
        if (rc != ERR_NOT_FOUND) return rc;
        struct pollfd p = {.fd = CHILD_FD, .events = POLLIN};
        if (poll(&p, 1, -1) < 0) continue;
        rc = wire_fill(&c->reader, CHILD_FD, f);
        if (rc != ERR_OK && rc != ERR_TIMEOUT) return rc;
    }
}

/* The place of the job in the spool has its id in it; at start there is none yet. */
static void engine_log(void *ctx, const char *event, const char *text) {
    const struct child *c = ctx;
    char value[512];
    log_line(LOG_INFO, event, "%s%s%stext=%s", c->place ? "job=" : "", c->place ? c->place : "",
             c->place ? " " : "", log_value(value, sizeof(value), text));
}

static enum err open_store(struct child *c, struct fail *f) {
    struct wire_s3 *m = &c->hello.s3;
    struct s3_conf conf = {.endpoint = m->endpoint,
                           .bucket = m->bucket,
                           .prefix = m->prefix,
                           .region = m->region,
                           .access_key = m->access_key,
                           .secret_key = m->secret_key};
    enum err rc = fetch_start(f);
    return rc == ERR_OK ? store_open_backed(&c->store, c->hello.store_dir, &c->s3, &conf, f) : rc;
}

static enum err open_all(struct child *c, struct fail *f) {
    enum err rc = ERR_OK;
    struct wire_frame frame;
    struct lora_list early, late;
    TRY(wait_frame(c, &frame, f));
    if (frame.type != WIRE_HELLO) return FAIL(f, ERR_CORRUPT, "wire: no hello");
    TRY(wire_read_hello(&c->hello, frame.body, f));
    wire_drop(&c->reader, &frame);
    TRY(open_store(c, f));
    struct engine_opts opts = {.device = c->hello.device,
                               .n_threads = c->hello.n_threads,
                               .cache_dir = c->hello.cache_dir,
                               .hooks = {.ctx = c, .log = engine_log}};
    TRY(device_precision_parse(&opts.precision, c->hello.precision, f));
    TRY(lora_list_parse(&early, c->hello.loras, f));
    TRY(lora_list_parse(&late, c->hello.loras_late, f));
    opts.loras = early.source;
    opts.n_loras = early.n;
    opts.loras_late = late.source;
    opts.n_loras_late = late.n;
    TRY(engine_open(&c->run.engine, c->hello.model_dir, &opts, f));
    c->run.store = &c->store;
    c->run.decode_program = c->hello.decode_program;
    c->run.hooks = (struct run_hooks){
        .ctx = c, .report = on_report, .is_cancelled = on_ask, .log = engine_log};
out:
    return rc;
}

static enum err answer(const struct receipt *receipt, enum err result, const struct fail *why,
                       struct fail *f) {
    struct buf b;
    buf_make(&b, WIRE_BODY_MAX);
    enum err rc = result == ERR_OK ? receipt_write(receipt, &b, f) : wire_write_err(&b, why, f);
    if (rc == ERR_OK) rc = send_body(result == ERR_OK ? WIRE_DONE : WIRE_ERR, &b, f);
    buf_free(&b);
    return rc;
}

/* The id that the server gives to our folder: misora-FOLDER. Jobs find their model by their lane;
 * one that strayed here is made all the same, but says so. */
static void note_model(const struct child *c, struct receipt *receipt, const struct job *job) {
    const char *dir = c->hello.model_dir;
    int end = (int)strlen(dir), start = 0;
    while (end > 1 && dir[end - 1] == '/')
        end--;
    for (int i = 0; i < end; i++)
        if (dir[i] == '/') start = i + 1;
    char id[WIRE_PATH_MAX + 8];
    snprintf(id, sizeof(id), "misora-%.*s", end - start, dir + start);
    if (strcmp(id, job->model) == 0 || receipt->n_warnings >= RECEIPT_WARNINGS_MAX) return;
    snprintf(receipt->warnings[receipt->n_warnings++], RECEIPT_WARNING_SIZE,
             "made by %.60s: the worker has no %.60s", id, job->model);
}

/* A copy for its owner; that it cannot be put there is said and no more. */
static void push_copy(const struct child *c, struct receipt *receipt, const struct job *job,
                      const char *dir) {
    char path[2 * WIRE_PATH_MAX];
    struct fail f = {0};
    struct push_target target = {job->upload_url, c->hello.url_rules};
    if (!job->upload_url[0]) return;
    snprintf(path, sizeof(path), "%s/%s", dir, receipt->objects[RECEIPT_VIDEO].key);
    if (push_file(&target, path, &f) == ERR_OK || receipt->n_warnings >= RECEIPT_WARNINGS_MAX)
        return;
    snprintf(receipt->warnings[receipt->n_warnings++], RECEIPT_WARNING_SIZE,
             "the video was not put to upload_url: %.100s", f.text);
}

static enum err do_job(struct child *c, const struct wire_frame *frame, struct fail *f) {
    struct wire_job message;
    struct receipt receipt;
    struct job job = {0};
    struct buf text;
    struct fail why = {0};
    c->is_cancelled = false;
    c->reported_ms = 0;
    enum err rc = wire_read_job(&message, &text, frame->body, &why);
    wire_drop(&c->reader, frame);
    if (rc == ERR_OK) {
        const char *slash = strrchr(message.dir, '/');
        c->place = slash ? slash + 1 : message.dir;
        rc = job_parse(&job, message.spec.p, message.spec.n, &why);
        if (rc == ERR_OK) rc = run_job(&c->run, &receipt, &job, message.dir, &why);
        if (rc == ERR_OK) note_model(c, &receipt, &job);
        if (rc == ERR_OK) push_copy(c, &receipt, &job, message.dir);
        job_free(&job);
        c->place = NULL;
    }
    buf_free(&text);
    if (rc != ERR_OK) why.code = rc;
    if (c->is_orphan) return FAIL(f, ERR_IO, "the supervisor is gone");
    rc = answer(&receipt, rc, &why, f);
    /* A device that is lost stays so in this process: the next one may find it well, or not open.
     */
    return rc == ERR_OK ? engine_check(c->run.engine, f) : rc;
}

/* Cancels that came too late for the job before are thrown away here. */
static enum err serve(struct child *c, struct fail *f) {
    for (;;) {
        struct wire_frame frame;
        enum err rc = wait_frame(c, &frame, f);
        if (rc != ERR_OK) return rc;
        if (frame.type == WIRE_JOB)
            rc = do_job(c, &frame, f);
        else
            wire_drop(&c->reader, &frame);
        if (rc != ERR_OK) return rc;
    }
}

static bool settle(int parent) {
    struct rlimit none = {0, 0};
    close_range(CHILD_FD + 1, ~0U, 0); /* hiredis leaves its sockets open over exec */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    setrlimit(RLIMIT_CORE, &none);
    setpriority(PRIO_PROCESS, 0, CHILD_NICE); /* heartbeats go before steps */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return false;
    return getppid() == parent; /* it may have died before the line above */
}

int child_main(int parent) {
    static struct child c; /* too large for comfort on a stack; one per process */
    struct fail f = {0};
    struct buf none = {0};
    if (!settle(parent)) return EXIT_CODE_RETRY;
    wire_reader_make(&c.reader);
    enum err rc = open_all(&c, &f);
    if (rc != ERR_OK) {
        f.code = rc;
        log_fail(LOG_ERROR, "child.open", &f);
        return answer(NULL, rc, &f, NULL) == ERR_OK ? EXIT_CODE_DATA : EXIT_CODE_RETRY;
    }
    rc = send_body(WIRE_READY, &none, &f);
    if (rc == ERR_OK) rc = serve(&c, &f);
    engine_close(c.run.engine);
    store_close(&c.store);
    wire_reader_free(&c.reader);
    return rc == ERR_IO ? 0 : EXIT_CODE_BUG;
}
