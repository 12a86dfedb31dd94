#include "worker/deliver.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

/* A file that is gone after a crash may have reached the store before it. */
static enum err put_object(const struct deliver *d, const struct spool_entry *e,
                           enum receipt_variant v, struct fail *f) {
    const struct receipt_object *want = &e->receipt.objects[v];
    struct store_object got;
    struct store_found found;
    char path[SPOOL_PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s/%s", e->path, spool_file_name(v));
    if (access(path, R_OK) != 0) {
        enum err rc = store_find(d->store, &found, want->key, f);
        if (rc != ERR_OK) return rc;
        bool is_whole = found.size_bytes == (uint64_t)want->n_bytes;
        store_found_close(&found);
        return is_whole ? ERR_OK : FAIL(f, ERR_CORRUPT, "%s is not whole", want->key);
    }
    enum err rc = store_put_file(d->store, &got, want->key, path, f);
    if (rc != ERR_OK) return rc;
    if (got.size_bytes != (uint64_t)want->n_bytes || strcmp(got.sha256, want->sha256) != 0)
        return FAIL(f, ERR_CORRUPT, "%s changed between compute and store", spool_file_name(v));
    return ERR_OK;
}

static enum err put_objects(const struct deliver *d, const struct spool_entry *e, struct fail *f) {
    enum err rc = ERR_OK;
    for (int v = 0; v < RECEIPT_VARIANT_COUNT; v++)
        if (e->receipt.objects[v].key[0]) TRY(put_object(d, e, (enum receipt_variant)v, f));
out:
    return rc;
}

static void remove_objects(const struct deliver *d, const struct spool_entry *e) {
    for (int v = 0; v < RECEIPT_VARIANT_COUNT; v++) {
        struct fail f = {0};
        const char *key = e->receipt.objects[v].key;
        if (key[0] && store_remove(d->store, key, &f) != ERR_OK)
            log_fail(LOG_WARN, "store.remove", &f);
    }
}

static enum err tell_complete(const struct deliver *d, enum queue_verdict *out,
                              const struct spool_entry *e, struct fail *f) {
    struct redis *r = NULL;
    struct buf b;
    buf_make(&b, RECEIPT_JSON_MAX);
    enum err rc = receipt_write(&e->receipt, &b, f);
    if (rc == ERR_OK) rc = redis_pool_borrow(d->pool, &r, f);
    if (rc == ERR_OK) {
        rc = queue_complete(r, out, e->id, e->lease, buf_str(&b), f);
        redis_pool_give(d->pool, r);
    }
    buf_free(&b);
    return rc;
}

enum err deliver_result(const struct deliver *d, enum queue_verdict *out,
                        const struct spool_entry *e, struct fail *f) {
    enum err rc = put_objects(d, e, f);
    if (rc == ERR_OK) rc = tell_complete(d, out, e, f);
    if (rc == ERR_UNAVAILABLE) return rc;
    if (rc != ERR_OK || *out != QUEUE_GO_ON) remove_objects(d, e);
    if (rc != ERR_OK) return rc;
    if (*out == QUEUE_GO_ON || *out == QUEUE_STALE) {
        spool_drop(d->spool, e);
        return ERR_OK;
    }
    struct queue_fail why = {.why = *out == QUEUE_TIMEOUT ? QUEUE_TIMED_OUT : QUEUE_CANCELLED,
                             .code = *out == QUEUE_TIMEOUT ? "deadline_exceeded" : "cancelled",
                             .message = *out == QUEUE_TIMEOUT ? "the job ran too long"
                                                              : "the job was cancelled"};
    return deliver_failure(d, e, &why, f);
}

enum err deliver_failure(const struct deliver *d, const struct spool_entry *e,
                         const struct queue_fail *why, struct fail *f) {
    struct redis *r = NULL;
    enum queue_verdict verdict = QUEUE_STALE;
    enum job_state state = JOB_STATE_NONE;
    enum err rc = redis_pool_borrow(d->pool, &r, f);
    if (rc != ERR_OK) return rc;
    rc = queue_fail(r, &verdict, &state, e->id, e->lease, why, f);
    redis_pool_give(d->pool, r);
    if (rc == ERR_UNAVAILABLE) return rc;
    log_line(LOG_INFO, "job.given_back", "job=%s code=%s state=%s", e->id, why->code,
             verdict == QUEUE_STALE ? "stale" : job_state_name(state));
    spool_drop(d->spool, e);
    return rc;
}

/* Errors of our own process, in the words of the API (api-spec/errors.md). */
static const struct {
    enum err code;
    const char *public_code;
    bool is_told; /* the text is written for the client; else it stays in the log */
} words[] = {
    {ERR_MEDIA, "invalid_media", true},  {ERR_INPUT, "invalid_value", true},
    {ERR_LIMIT, "invalid_value", true},  {ERR_UNSUPPORTED, "unsupported_operation", true},
    {ERR_NOMEM, "out_of_memory", false}, {ERR_TIMEOUT, "deadline_exceeded", false},
    {ERR_CANCELLED, "cancelled", false}, {ERR_IO, "encode_failed", false},
    {ERR_DISK, "upload_failed", false},
};

void deliver_judge(struct queue_fail *why, const struct fail *cause, int try) {
    *why = (struct queue_fail){.why = err_retry(cause->code) ? QUEUE_RETRY : QUEUE_FATAL,
                               .code = "internal_error",
                               .message = err_text(ERR_BUG),
                               .delay_ms = queue_backoff_ms(try)};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (words[i].code != cause->code) continue;
        why->code = words[i].public_code;
        why->message = words[i].is_told ? cause->text : err_text(cause->code);
    }
}
