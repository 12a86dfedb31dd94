/* queue_fixture.h - a Redis of its own and a few short words, shared by the tests of the queue.
 * Each binary that includes it has its own server; begin() and end() frame every test. */
#ifndef TESTS_UNIT_QUEUE_FIXTURE_H
#define TESTS_UNIT_QUEUE_FIXTURE_H

#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/job_state.h"
#include "common/queue.h"
#include "common/queue_admin.h"
#include "common/queue_event.h"
#include "common/queue_hook.h"
#include "common/queue_key.h"
#include "common/queue_view.h"
#include "tests/lib/check.h"
#include "tests/lib/redis_server.h"
#include <stdlib.h>

/* One server for all tests of this program; each test begins with an empty one. */
static struct redis_server server;
static struct redis_pool *pool;
static struct redis *r;
static struct fail f;

static const char *const HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/* One command in plain words; fails the test when Redis refuses it. */
static inline void plain(const char *a, const char *b, const char *c, const char *d) {
    const char *words[4] = {a, b, c, d};
    struct str args[4];
    int n = 0;
    while (n < 4 && words[n] != NULL) {
        args[n] = str_of(words[n]);
        n++;
    }
    CHECK_OK(redis_call(r, NULL, n, args, &f), &f);
}

/* False, and the test is skipped, when there is no redis-server. */
static inline bool begin(void) {
    f = (struct fail){0};
    if (pool == NULL) {
        if (!redis_server_open(&server)) {
            test_skip("redis-server cannot be started");
            return false;
        }
        struct redis_opts opts = {.url = server.url, .ns = "test"};
        CHECK_OK(redis_pool_open(&pool, &opts, &f), &f);
        CHECK_OK(redis_pool_borrow(pool, &r, &f), &f);
    }
    plain("FLUSHALL", NULL, NULL, NULL);
    CHECK_OK(queue_admin_migrate(r, NULL, &f), &f);
    return true;
}

static inline void end(void) {
    redis_pool_give(pool, r);
    redis_pool_close(pool);
    redis_server_close(&server);
    r = NULL;
    pool = NULL;
}

static inline struct queue_order order_of(const char *id) {
    return (struct queue_order){.id = id,
                                .tenant = "t1",
                                .lane = "l",
                                .priority = 5,
                                .cost_ms = 1000,
                                .spec = "{\"prompt\":\"a cat\"}",
                                .fingerprint = HASH,
                                .max_tries = 3};
}

static inline void submit(const char *id) {
    struct queue_order o = order_of(id);
    struct queue_ticket t;
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    CHECK_INT(t.born, QUEUE_NEW);
    CHECK_STR(t.id, id);
}

static inline enum err claim_as(struct queue_claim *c, const char *worker) {
    struct queue_seek seek = {.worker = worker, .lanes = {"l"}, .n_lanes = 1};
    return queue_claim(r, c, &seek, &f);
}

static inline enum job_state state_of(const char *id) {
    struct queue_view v;
    enum job_state state = JOB_STATE_NONE;
    if (queue_view_get(r, &v, id, "t1", &f) == ERR_OK) state = v.job.state;
    queue_view_free(&v);
    return state;
}

/* Last: closes the server of this program. */
static inline void nothing_is_left_over(void) {
    if (pool != NULL) end();
    CHECK_INT(mem_alive(), 0);
}

#endif
