#include "worker/chores.h"

#include "common/base/id.h"
#include "common/base/log.h"
#include "worker/tally.h"
#include "worker/upkeep.h"

enum { TICK_MS = 1000, JITTER_MS = 100, COLLECT_EVERY = 5, SWEEP_EVERY = 3600, POST_MS = 500 };

/* A second, give or take: workers that started together drift apart. */
static int64_t jittered_ms(void) {
    unsigned char r = 0;
    id_random(&r, 1);
    return TICK_MS - JITTER_MS + 2 * JITTER_MS * r / 255;
}

static void work_tick(void *ctx) {
    struct chores *c = ctx;
    struct fail f = {0};
    int n = 0;
    if (upkeep_tick(c->o.pool, c->o.conf->lease_ms, &f) != ERR_OK)
        return; /* duty tells of misses */
    if (c->n_ticks % SWEEP_EVERY == 1) upkeep_sweep(c->o.store);
    if (c->n_ticks % COLLECT_EVERY != 0) return;
    enum err rc = upkeep_collect(c->o.pool, c->o.store, &n, &f);
    if (rc != ERR_OK && rc != ERR_UNAVAILABLE) log_fail(LOG_WARN, "gc.failed", &f);
    if (n > 0) log_line(LOG_INFO, "gc.removed", "rows=%d", n);
}

static void after_tick(void *ctx) {
    struct chores *c = ctx;
    c->is_ticking = false;
}

static void on_tick(void *ctx) {
    struct chores *c = ctx;
    if (c->is_stopped) return;
    loop_timer_set(c->tick, jittered_ms());
    if (c->is_ticking) return;
    c->n_ticks++;
    c->is_ticking = loop_work(c->o.loop, work_tick, after_tick, c, NULL) == ERR_OK;
}

static void work_post(void *ctx) {
    struct chores_sender *s = ctx;
    s->rc = outbox_send_one(&s->chores->outbox, &s->sent, &s->fail);
}

static void after_post(void *ctx);

/* Sets idle senders to work, at most `n`. */
static void post(struct chores *c, int n) {
    for (int i = 0; i < CHORES_SENDERS_MAX && n > 0 && !c->is_stopped; i++) {
        struct chores_sender *s = &c->senders[i];
        if (s->is_out) continue;
        *s = (struct chores_sender){.chores = c};
        s->is_out = loop_work(c->o.loop, work_post, after_post, s, NULL) == ERR_OK;
        n--;
    }
}

/* Where one was due there may be more: a success calls a second sender. */
static void after_post(void *ctx) {
    struct chores_sender *s = ctx;
    static const int rows[] = {[QUEUE_SENT_OK] = TALLY_HOOK_OK,
                               [QUEUE_SENT_RETRY] = TALLY_HOOK_RETRY,
                               [QUEUE_SENT_DEAD] = TALLY_HOOK_DEAD};
    s->is_out = false;
    if (s->rc == ERR_OK) {
        metrics_add(s->chores->o.metrics, rows[s->sent], 1);
        post(s->chores, 2);
    } else if (s->rc != ERR_NOT_FOUND && s->rc != ERR_UNAVAILABLE) {
        log_fail(LOG_WARN, "webhook.failed", &s->fail);
    }
}

static void on_post(void *ctx) {
    struct chores *c = ctx;
    if (c->is_stopped) return;
    loop_timer_set(c->post, POST_MS);
    post(c, 1);
}

enum err chores_start(struct chores *c, const struct chores_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    *c = (struct chores){.o = *o};
    c->outbox = (struct outbox){.pool = o->pool,
                                .worker = o->worker,
                                .secret = o->conf->webhook_secret && o->conf->webhook_secret[0]
                                              ? o->conf->webhook_secret
                                              : NULL,
                                .rules = {.allow_http = o->conf->webhook_http,
                                          .allow_private = o->conf->webhook_private,
                                          .allow_high_ports = true}};
    TRY(loop_timer_open(o->loop, &c->tick, on_tick, c, f));
    TRY(loop_timer_open(o->loop, &c->post, on_post, c, f));
    loop_timer_set(c->tick, 0);
    if (o->conf->webhooks) loop_timer_set(c->post, 0);
out:
    return rc;
}

void chores_stop(struct chores *c) {
    c->is_stopped = true;
    if (c->tick) loop_timer_stop(c->tick);
    if (c->post) loop_timer_stop(c->post);
}
