/* The queue in trouble: a wrong, full, damaged or killed Redis, operators, and allocations that
 * fail. */
#include "common/queue.h"
#include "tests/unit/queue_fixture.h"

/* ---- trouble ---- */

static void a_start_tells_what_is_wrong_with_redis(void) {
    if (!begin()) return;
    CHECK_OK(queue_check(r, &f), &f);
    plain("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    CHECK_INT(queue_check(r, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "set noeviction");
    plain("CONFIG", "SET", "maxmemory-policy", "noeviction");
    plain("CONFIG", "SET", "appendonly", "no");
    CHECK_INT(queue_check(r, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "set appendonly yes");
    plain("CONFIG", "SET", "appendonly", "yes");
    plain("FUNCTION", "FLUSH", NULL, NULL);
    CHECK_INT(queue_check(r, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "misora admin migrate");
    CHECK_INT(queue_tick(r, NULL, 0, &f), ERR_UNAVAILABLE);
    CHECK_OK(queue_admin_migrate(r, NULL, &f), &f);
    plain("HSET", "{test}:meta", "lib", "other");
    CHECK_INT(queue_check(r, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "of another release");
    plain("HSET", "{test}:meta", "schema", "2");
    CHECK_INT(queue_check(r, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "schema 2, this program knows 1");
    CHECK_INT(queue_tick(r, NULL, 0, &f), ERR_UNAVAILABLE);
    CHECK_INT(queue_admin_migrate(r, NULL, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "use the newer release");
    plain("DEL", "{test}:meta", NULL, NULL);
    CHECK_INT(queue_check(r, &f), ERR_CONFIG);
    CHECK_HAS(f.text, "no Misora data yet");
}

static void a_full_redis_refuses_new_jobs_and_finishes_the_old_ones(void) {
    if (!begin()) return;
    struct queue_order o = order_of("video_2");
    struct queue_ticket t;
    struct queue_claim c;
    enum queue_verdict verdict;
    submit("video_1");
    CHECK_OK(claim_as(&c, "w1"), &f);
    plain("CONFIG", "SET", "maxmemory", "1mb");
    CHECK_INT(queue_submit(r, &t, &o, &f), ERR_UNAVAILABLE);
    CHECK_HAS(f.text, "Redis is out of memory");
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{}", &f), &f);
    CHECK_INT(verdict, QUEUE_GO_ON);
    plain("CONFIG", "SET", "maxmemory", "0");
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    queue_claim_free(&c);
}

static void a_broken_record_is_an_error_and_not_a_crash(void) {
    static const struct {
        const char *verb, *key, *field, *value;
        enum err get;
    } rows[] = {
        {"HSET", "{test}:job:video_1", "st", "garbage", ERR_CORRUPT},
        {"HDEL", "{test}:job:video_1", "st", NULL, ERR_NOT_FOUND},
        {"HSET", "{test}:job:video_1", "prog", "many", ERR_OK},
        {"HSET", "{test}:job:video_1", "created", "-99999999999999999999", ERR_OK},
        {"DEL", "{test}:spec:video_1", NULL, NULL, ERR_OK},
        {"DEL", "{test}:ev:video_1", NULL, NULL, ERR_OK},
        {"SET", "{test}:lq:l", "x", NULL, ERR_UNAVAILABLE},
        {"SET", "{test}:job:video_1", "x", NULL, ERR_UNAVAILABLE},
    };
    if (!begin()) return;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct queue_view v;
        plain("FLUSHALL", NULL, NULL, NULL);
        CHECK_OK(queue_admin_migrate(r, NULL, &f), &f);
        submit("video_1");
        plain(rows[i].verb, rows[i].key, rows[i].field, rows[i].value);
        CHECK_INT(queue_view_get(r, &v, "video_1", "t1", &f), rows[i].get);
        queue_view_free(&v);
    }
}

/* A test before this one switched the append-only file off and on: it is whole again only after its
 * rewrite. */
static void wait_for_append_file(void) {
    struct str args[2] = {str_of("INFO"), str_of("persistence")};
    for (bool is_busy = true; is_busy; now_sleep_ms(20)) {
        struct redis_reply *info = NULL;
        CHECK_OK(redis_call(r, &info, 2, args, &f), &f);
        if (info == NULL) return;
        is_busy = strstr(redis_reply_text(info), "aof_rewrite_in_progress:0") == NULL ||
                  strstr(redis_reply_text(info), "aof_rewrite_scheduled:0") == NULL;
        redis_reply_free(info);
    }
}

static void a_killed_redis_is_unavailable_at_once_and_back_with_all_jobs(void) {
    if (!begin()) return;
    struct queue_claim c;
    enum queue_verdict verdict;
    struct queue_beat beat = {.phase = "denoise", .progress = 50};
    /* With everysec a write may wait for the disk, and a kill would lose it. */
    plain("CONFIG", "SET", "appendfsync", "always");
    wait_for_append_file();
    submit("video_1");
    submit("video_2");
    CHECK_OK(claim_as(&c, "w1"), &f);
    redis_server_kill(&server);
    int64_t began_ms = now_mono_ms();
    CHECK_INT(queue_beat(r, &verdict, c.id, c.lease, &beat, &f), ERR_UNAVAILABLE);
    CHECK(now_mono_ms() - began_ms < 3000);
    began_ms = now_mono_ms();
    CHECK_INT(queue_complete(r, &verdict, c.id, c.lease, "{}", &f), ERR_UNAVAILABLE);
    CHECK(now_mono_ms() - began_ms < 3000);
    CHECK(redis_server_reopen(&server));
    now_sleep_ms(300);
    CHECK_OK(queue_check(r, &f), &f);
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{}", &f), &f);
    CHECK_INT(verdict, QUEUE_GO_ON);
    CHECK_INT(state_of("video_2"), JOB_STATE_QUEUED);
    queue_claim_free(&c);
}

static void count_problem(void *ctx, const char *text) {
    int *n = ctx;
    (*n)++;
    CHECK_HAS(text, "I15");
}

static void operators_see_and_mend(void) {
    if (!begin()) return;
    struct queue_dead *dead = mem_take(1, sizeof(*dead));
    struct queue_attempts attempts;
    struct queue_audit audit;
    struct queue_claim c;
    enum queue_verdict verdict;
    enum job_state state;
    char tenant[QUEUE_NAME_MAX];
    int n_problems = 0;
    struct queue_fail fatal = {
        .why = QUEUE_FATAL, .code = "invalid_media", .message = "not a picture"};
    submit("video_1");
    CHECK_OK(claim_as(&c, "w1"), &f);
    CHECK_INT(queue_admin_retry(r, "video_1", &f), ERR_CONFLICT);
    CHECK_STR(f.text, "job video_1 is running; only a failed job can run again");
    CHECK_OK(queue_fail(r, &verdict, &state, c.id, c.lease, &fatal, &f), &f);
    queue_claim_free(&c);
    CHECK_OK(queue_admin_dead(r, dead, &f), &f);
    CHECK_INT(dead->n_all, 1);
    CHECK_STR(dead->row[0].id, "video_1");
    CHECK_STR(dead->row[0].code, "invalid_media");
    CHECK_STR(dead->row[0].message, "not a picture");
    CHECK_OK(queue_admin_owner(r, tenant, "video_1", &f), &f);
    CHECK_STR(tenant, "t1");
    CHECK_OK(queue_admin_attempts(r, &attempts, "video_1", &f), &f);
    CHECK_INT(attempts.n_rows, 1);
    CHECK_HAS(attempts.row[0], "fatal");
    CHECK_OK(queue_admin_retry(r, "video_1", &f), &f);
    CHECK_INT(state_of("video_1"), JOB_STATE_QUEUED);
    CHECK_INT(queue_admin_retry(r, "video_9", &f), ERR_NOT_FOUND);
    CHECK_OK(queue_admin_audit(r, &audit, count_problem, &n_problems, &f), &f);
    CHECK_INT(n_problems, 0);
    plain("SET", "{test}:spec:video_9", "x", NULL);
    CHECK_OK(queue_admin_audit(r, &audit, count_problem, &n_problems, &f), &f);
    CHECK_INT(n_problems, 1);
    CHECK_INT(audit.n_problems, 1);
    mem_free(dead);
}

/* A bit of everything; whatever it answers, it must not crash or leak. */
static void do_a_bit_of_everything(struct queue_page *page, struct queue_hooks *hooks) {
    struct queue_order o = order_of("video_1");
    struct queue_ticket t;
    struct queue_claim c = {0};
    struct queue_view v;
    struct queue_events *events = NULL;
    enum queue_verdict verdict;
    struct queue_beat beat = {.phase = "denoise"};
    struct queue_page_query q = {.tenant = "t1", .limit = 10};
    (void)!queue_submit(r, &t, &o, &f);
    enum err rc = claim_as(&c, "w1");
    if (rc == ERR_OK) (void)!queue_beat(r, &verdict, c.id, c.lease, &beat, &f);
    if (rc == ERR_OK) (void)!queue_complete(r, &verdict, c.id, c.lease, "{}", &f);
    queue_claim_free(&c);
    (void)!queue_view_get(r, &v, "video_1", "t1", &f);
    queue_view_free(&v);
    (void)!queue_view_list(r, page, &q, &f);
    queue_view_page_free(page);
    (void)!queue_hook_claim(r, hooks, "w1", 16, 1000, &f);
    events = mem_take(1, sizeof(*events));
    if (events != NULL) (void)!queue_event_read(r, events, "video_1", "", &f);
    mem_free(events);
}

static void every_failed_allocation_is_survived(void) {
    if (!begin()) return;
    struct queue_page *page = mem_take(1, sizeof(*page));
    struct queue_hooks *hooks = mem_take(1, sizeof(*hooks));
    int64_t alive = mem_alive();
    for (int n = 1; n <= 150; n++) {
        mem_fail_nth(n);
        do_a_bit_of_everything(page, hooks);
        mem_fail_nth(0);
        CHECK_INT(mem_alive(), alive);
    }
    CHECK_INT(state_of("video_1"), JOB_STATE_SUCCEEDED);
    mem_free(page);
    mem_free(hooks);
}

static const struct test tests[] = {
    TEST(a_start_tells_what_is_wrong_with_redis),
    TEST(a_full_redis_refuses_new_jobs_and_finishes_the_old_ones),
    TEST(a_broken_record_is_an_error_and_not_a_crash),
    TEST(a_killed_redis_is_unavailable_at_once_and_back_with_all_jobs),
    TEST(operators_see_and_mend),
    TEST(every_failed_allocation_is_survived),
    TEST(nothing_is_left_over),
};
TEST_MAIN(tests)
