#include "worker/calibrate.h"

#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/queue_note.h"

void calibrate_model_id(char out[CALIBRATE_ID_MAX], const char *model_dir) {
    int end = (int)strlen(model_dir), start = 0;
    while (end > 1 && model_dir[end - 1] == '/')
        end--;
    for (int i = 0; i < end; i++)
        if (model_dir[i] == '/') start = i + 1;
    snprintf(out, CALIBRATE_ID_MAX, "misora-%.*s", end - start, model_dir + start);
}

/* Two workers may learn at once; the later one wins, which is as good. */
static enum err learn(struct redis *r, const struct queue_note *note,
                      const struct estimate_work *work, double *wrong, struct fail *f) {
    enum err rc = ERR_OK;
    struct estimate_model m = {.n_jobs = 0};
    struct buf json;
    const int64_t keep_ms = (int64_t)ESTIMATE_KEEP_DAYS * 86400 * 1000;
    buf_make(&json, QUEUE_NOTE_BYTES_MAX);
    rc = queue_note_get(r, &json, note, f);
    if (rc == ERR_OK) rc = estimate_read(&m, (struct str){json.data, json.len}, f);
    if (rc != ERR_OK && rc != ERR_NOT_FOUND && rc != ERR_CORRUPT) goto out;
    *wrong = estimate_learn(&m, work);
    buf_clear(&json);
    TRY(estimate_write(&m, &json, f));
    TRY(queue_note_put(r, note, buf_str(&json), keep_ms, f));
out:
    buf_free(&json);
    return rc;
}

double calibrate_job(struct redis_pool *pool, const char *model_dir,
                     const struct receipt *receipt) {
    char id[CALIBRATE_ID_MAX];
    struct redis *r = NULL;
    struct fail f = {0};
    double wrong = -1;
    if (receipt->work.width <= 0) return -1;
    calibrate_model_id(id, model_dir);
    const struct queue_note note = {ESTIMATE_NOTE, ESTIMATE_TENANT, id};
    enum err rc = redis_pool_borrow(pool, &r, &f);
    if (rc == ERR_OK) rc = learn(r, &note, &receipt->work, &wrong, &f);
    redis_pool_give(pool, r);
    if (rc != ERR_OK) log_fail(LOG_WARN, "estimate.not_learnt", &f);
    return wrong;
}
