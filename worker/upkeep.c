#include "worker/upkeep.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/queue.h"
#include "common/receipt.h"

/* An upload outlives the record of any job that could name it (30 days). */
enum { TEMP_OLD_S = 24 * 3600, UPLOAD_OLD_S = 31 * 24 * 3600 };

enum err upkeep_tick(struct redis_pool *pool, int64_t lease_ms, struct fail *f) {
    struct redis *r = NULL;
    struct queue_ticked t = {0};
    enum err rc = redis_pool_borrow(pool, &r, f);
    if (rc != ERR_OK) return rc;
    rc = queue_tick(r, &t, lease_ms, f);
    redis_pool_give(pool, r);
    if (rc == ERR_OK && (t.n_expired || t.n_requeued || t.n_failed))
        log_line(LOG_INFO, "queue.tick", "promoted=%d expired=%d requeued=%d failed=%d",
                 t.n_promoted, t.n_expired, t.n_requeued, t.n_failed);
    return rc;
}

/* A result that does not read names no objects; its record goes all the same. */
static enum err remove_result(struct store *store, const char *json, struct fail *f) {
    struct receipt receipt;
    enum err rc = ERR_OK;
    if (!json[0] || receipt_parse(&receipt, json, strlen(json), NULL) != ERR_OK) return ERR_OK;
    for (int v = 0; v < RECEIPT_VARIANT_COUNT; v++)
        if (receipt.objects[v].key[0]) TRY(store_remove(store, receipt.objects[v].key, f));
out:
    return rc;
}

/* Objects first, then the record: a death between the two repeats the removal, which is harmless.
 */
static enum err collect_row(struct redis *r, struct store *store, const struct queue_waste_row *row,
                            struct fail *f) {
    enum err rc = ERR_OK;
    if (row->kind == QUEUE_WASTE_OBJECT && store_key_is_ok(row->id))
        TRY(store_remove(store, row->id, f));
    if (row->kind != QUEUE_WASTE_OBJECT) TRY(remove_result(store, row->result, f));
    if (row->kind != QUEUE_WASTE_JOB) return queue_gc_done(r, row, f);
    rc = queue_purge(r, row->id, row->tenant, f);
    if (rc == ERR_BUSY || rc == ERR_NOT_FOUND) rc = ERR_OK; /* a webhook is still due; or gone */
out:
    return rc;
}

enum err upkeep_collect(struct redis_pool *pool, struct store *store, int *n_removed,
                        struct fail *f) {
    struct redis *r = NULL;
    struct queue_gc *gc = mem_take(1, sizeof(*gc));
    *n_removed = 0;
    if (!gc) return FAIL(f, ERR_NOMEM, "upkeep: no memory");
    enum err rc = redis_pool_borrow(pool, &r, f);
    if (rc == ERR_OK) rc = queue_gc_list(r, gc, f);
    for (int i = 0; rc == ERR_OK && i < gc->n_rows; i++) {
        rc = collect_row(r, store, &gc->row[i], f);
        *n_removed += rc == ERR_OK;
    }
    queue_gc_free(gc);
    redis_pool_give(pool, r);
    mem_free(gc);
    return rc;
}

void upkeep_sweep(struct store *store) {
    int n_temps = store_sweep(store, TEMP_OLD_S);
    int n_uploads = store_expire_uploads(store, UPLOAD_OLD_S);
    if (n_temps + n_uploads > 0)
        log_line(LOG_INFO, "store.swept", "temps=%d uploads=%d", n_temps, n_uploads);
}
