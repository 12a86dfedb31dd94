#include "server/hub.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/str.h"
#include "common/queue_event.h"
#include "server/http.h"

enum { BUCKETS = 256, READ_MS = 1000, RETRY_MS = 300 };

struct hub {
    pthread_t thread;
    pthread_mutex_t lock; /* all below */
    struct hub_watcher *buckets[BUCKETS];
    int n_watchers, max_watchers;
    bool is_draining;
    atomic_bool must_stop;
    struct redis_pool *pool;
};

/* Ids are UUIDv7: their last digits are random. */
static unsigned bucket_of(const char *job) {
    unsigned h = 5381;
    for (; *job; job++)
        h = h * 33 + (unsigned char)*job;
    return h % BUCKETS;
}

static void mark(struct hub_watcher *w) {
    w->is_marked = true;
    if (!w->is_asleep) return;
    w->is_asleep = false;
    http_wake(w->req);
}

static bool is_due(struct hub_watcher *w, int64_t now) {
    if (!w->is_asleep) return false;
    w->req->is_gone = http_is_gone(w->req);
    return w->req->is_gone || now >= w->wake_ms;
}

static void mark_all(struct hub *h, bool only_due) {
    int64_t now = now_mono_ms();
    pthread_mutex_lock(&h->lock);
    for (int i = 0; i < BUCKETS; i++)
        for (struct hub_watcher *w = h->buckets[i]; w; w = w->next)
            if (!only_due || is_due(w, now)) mark(w);
    pthread_mutex_unlock(&h->lock);
}

static void mark_events(struct hub *h, const struct queue_events *events) {
    pthread_mutex_lock(&h->lock);
    for (int i = 0; i < events->n_events; i++)
        for (struct hub_watcher *w = h->buckets[bucket_of(events->event[i].job)]; w; w = w->next)
            if (strcmp(w->job, events->event[i].job) == 0) mark(w);
    pthread_mutex_unlock(&h->lock);
}

/* Reads until the connection fails; true when at least one read went well. */
static bool listen_once(struct hub *h, char last[QUEUE_EVENT_ID_MAX], struct queue_events *events,
                        struct fail *f) {
    struct redis *r = NULL;
    bool is_heard = false;
    if (redis_pool_borrow(h->pool, &r, f) != ERR_OK) return false;
    while (!atomic_load(&h->must_stop)) {
        if (queue_event_wait(r, events, last, READ_MS, f) != ERR_OK) break;
        is_heard = true;
        if (events->is_cut)
            mark_all(h, false); /* events were lost: everybody looks for himself */
        else
            mark_events(h, events);
        mark_all(h, true);
    }
    redis_pool_give(h->pool, r);
    return is_heard;
}

static void *run(void *arg) {
    struct hub *h = arg;
    char last[QUEUE_EVENT_ID_MAX] = "";
    struct queue_events *events = mem_take(1, sizeof(*events));
    ASSERT(events);
    bool is_told = false; /* one line an outage, not three a second */
    while (!atomic_load(&h->must_stop)) {
        struct fail f = {0};
        if (listen_once(h, last, events, &f)) is_told = false;
        if (atomic_load(&h->must_stop)) break;
        if (!is_told) log_fail(LOG_WARN, "hub.away", &f);
        is_told = true;
        now_sleep_ms(RETRY_MS);
        mark_all(h, false); /* what happened meanwhile is unknown */
    }
    mem_free(events);
    return NULL;
}

enum err hub_start(struct hub **out, struct redis_pool *pool, int max_watchers, struct fail *f) {
    struct hub *h = mem_take(1, sizeof(*h));
    if (!h) return FAIL(f, ERR_NOMEM, "no memory for the event thread");
    h->pool = pool;
    h->max_watchers = max_watchers;
    pthread_mutex_init(&h->lock, NULL);
    if (pthread_create(&h->thread, NULL, run, h) != 0) {
        mem_free(h);
        return FAIL(f, ERR_NOMEM, "the event thread cannot be started");
    }
    *out = h;
    return ERR_OK;
}

static int count_tenant(const struct hub *h, const char *tenant, enum hub_kind kind) {
    int n = 0;
    for (int i = 0; i < BUCKETS; i++)
        for (const struct hub_watcher *w = h->buckets[i]; w; w = w->next)
            n += w->kind == kind && strcmp(w->tenant, tenant) == 0;
    return n;
}

enum err hub_watch(struct hub *h, struct hub_watcher *w, struct request *req, const char *job,
                   int max_of_tenant) {
    enum err rc = ERR_OK;
    struct hub_watcher **head = &h->buckets[bucket_of(job)];
    ASSERT(!w->is_listed);
    *w = (struct hub_watcher){.req = req, .kind = w->kind};
    (void)str_copy(w->job, sizeof(w->job), str_of(job));
    (void)str_copy(w->tenant, sizeof(w->tenant), str_of(req->tenant));
    pthread_mutex_lock(&h->lock);
    if (h->is_draining || h->n_watchers >= h->max_watchers) {
        rc = ERR_BUSY;
    } else if (count_tenant(h, w->tenant, w->kind) >= max_of_tenant) {
        rc = ERR_LIMIT;
    } else {
        w->next = *head;
        if (w->next) w->next->prev = w;
        *head = w;
        w->is_listed = true;
        h->n_watchers++;
    }
    pthread_mutex_unlock(&h->lock);
    return rc;
}

void hub_unwatch(struct hub *h, struct hub_watcher *w) {
    if (!w->is_listed) return;
    pthread_mutex_lock(&h->lock);
    if (w->prev)
        w->prev->next = w->next;
    else
        h->buckets[bucket_of(w->job)] = w->next;
    if (w->next) w->next->prev = w->prev;
    w->is_listed = false;
    h->n_watchers--;
    pthread_mutex_unlock(&h->lock);
}

bool hub_sleep(struct hub *h, struct hub_watcher *w, int64_t wake_ms) {
    ASSERT(w->is_listed && !w->is_asleep);
    pthread_mutex_lock(&h->lock);
    bool may_sleep = !w->is_marked && !h->is_draining && now_mono_ms() < wake_ms;
    w->is_marked = false;
    if (may_sleep) {
        w->wake_ms = wake_ms;
        w->is_asleep = true;
        http_park(w->req);
    }
    pthread_mutex_unlock(&h->lock);
    return may_sleep;
}

int hub_count(struct hub *h) {
    pthread_mutex_lock(&h->lock);
    int n = h->n_watchers;
    pthread_mutex_unlock(&h->lock);
    return n;
}

void hub_drain(struct hub *h) {
    pthread_mutex_lock(&h->lock);
    h->is_draining = true;
    pthread_mutex_unlock(&h->lock);
    mark_all(h, false);
}

bool hub_is_draining(struct hub *h) {
    pthread_mutex_lock(&h->lock);
    bool is = h->is_draining;
    pthread_mutex_unlock(&h->lock);
    return is;
}

void hub_stop(struct hub *h) {
    if (!h) return;
    atomic_store(&h->must_stop, true);
    pthread_join(h->thread, NULL);
    ASSERT(h->n_watchers == 0);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
}
