#include "worker/outbox.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/webhook.h"

static enum err claim_one(const struct outbox *o, struct queue_hooks *hooks, char *secret,
                          struct fail *f) {
    struct redis *r = NULL;
    enum err rc = redis_pool_borrow(o->pool, &r, f);
    if (rc != ERR_OK) return rc;
    rc = queue_hook_claim(r, hooks, o->worker, 1, WEBHOOK_LEASE_MS, f);
    if (rc == ERR_OK && hooks->n_hooks == 0) rc = ERR_NOT_FOUND;
    if (rc == ERR_OK && o->secret) snprintf(secret, QUEUE_HOOK_SECRET_MAX * 2, "%s", o->secret);
    if (rc == ERR_OK && !o->secret) rc = queue_hook_secret(r, secret, hooks->hook[0].tenant, f);
    redis_pool_give(o->pool, r);
    return rc;
}

/* Not told: the lease of the attempt runs out and the entry is sent once more. */
static enum err tell(const struct outbox *o, const struct queue_hook *hook,
                     const struct queue_hook_done *done, struct fail *f) {
    struct redis *r = NULL;
    enum err rc = redis_pool_borrow(o->pool, &r, f);
    if (rc != ERR_OK) return rc;
    rc = queue_hook_done(r, hook, done, f);
    redis_pool_give(o->pool, r);
    return rc == ERR_STALE ? ERR_OK : rc;
}

enum err outbox_send_one(const struct outbox *o, enum queue_sent *out, struct fail *f) {
    char secret[QUEUE_HOOK_SECRET_MAX * 2];
    struct queue_hook_done done;
    struct fail why = {0};
    struct queue_hooks *hooks = mem_take(1, sizeof(*hooks));
    if (!hooks) return FAIL(f, ERR_NOMEM, "outbox: no memory");
    enum err rc = claim_one(o, hooks, secret, f);
    if (rc == ERR_OK) {
        const struct queue_hook *hook = &hooks->hook[0];
        struct webhook_route route = {.secret = secret, .rules = o->rules};
        char text[300];
        webhook_send(&done, hook, &route, &why);
        *out = done.sent;
        log_line(done.sent == QUEUE_SENT_OK ? LOG_INFO : LOG_WARN, "webhook.sent",
                 "event=%s try=%d status=%d delay_ms=%lld why=%s", hook->event_id, hook->try,
                 done.http_status, (long long)done.delay_ms,
                 log_value(text, sizeof(text), done.message));
        rc = tell(o, hook, &done, f);
    }
    mem_free(hooks);
    return rc;
}
