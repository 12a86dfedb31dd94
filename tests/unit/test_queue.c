/* The typed calls of the queue against a real redis-server with the real job functions. */
#include "common/queue.h"
#include "tests/unit/queue_fixture.h"

/* ---- the way of a job ---- */

static void a_job_goes_from_order_to_result(void) {
    if (!begin()) return;
    struct queue_claim c;
    struct queue_view v;
    enum queue_verdict verdict;
    struct queue_beat beat = {
        .progress = 42, .phase = "denoise", .step = 7, .n_steps = 20, .eta_ms = 9000};
    submit("video_1");
    CHECK_OK(claim_as(&c, "w1"), &f);
    CHECK_STR(c.id, "video_1");
    CHECK_STR(c.spec, "{\"prompt\":\"a cat\"}");
    CHECK_STR(c.tenant, "t1");
    CHECK_STR(c.lane, "l");
    CHECK_STR(c.ckpt, "");
    CHECK_INT(c.try, 1);
    CHECK_INT(c.max_tries, 3);
    CHECK_INT(strlen(c.lease), 34); /* 1-32 hex */
    CHECK_OK(queue_beat(r, &verdict, c.id, c.lease, &beat, &f), &f);
    CHECK_INT(verdict, QUEUE_GO_ON);
    CHECK_OK(queue_view_get(r, &v, "video_1", "t1", &f), &f);
    CHECK_INT(v.job.state, JOB_STATE_RUNNING);
    CHECK_INT(v.job.progress, 42);
    CHECK_STR(v.job.phase, "denoise");
    CHECK_INT(v.job.step, 7);
    CHECK_INT(v.job.n_steps, 20);
    CHECK_INT(v.job.eta_ms, 9000);
    CHECK_STR(v.job.worker, "w1");
    CHECK_INT(v.job.queue_position, -1);
    queue_view_free(&v);
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{\"key\":\"k\"}", &f), &f);
    CHECK_INT(verdict, QUEUE_GO_ON);
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{\"key\":\"k\"}", &f), &f);
    CHECK_INT(verdict, QUEUE_GO_ON); /* the same call once more */
    CHECK_OK(queue_complete(r, &verdict, c.id, "1-other", "{}", &f), &f);
    CHECK_INT(verdict, QUEUE_STALE);
    queue_claim_free(&c);
    CHECK_OK(queue_view_get(r, &v, "video_1", "t1", &f), &f);
    CHECK_INT(v.job.state, JOB_STATE_SUCCEEDED);
    CHECK_INT(v.job.progress, 100);
    CHECK_STR(v.job.phase, "done");
    CHECK_STR(v.job.result, "{\"key\":\"k\"}");
    CHECK_STR(v.job.error_code, "");
    CHECK_INT(v.job.expires_ms - v.job.done_ms, 86400000);
    CHECK(v.job.created_ms > 0 && v.job.started_ms >= v.job.created_ms &&
          v.job.done_ms >= v.job.started_ms);
    queue_view_free(&v);
    CHECK_INT(claim_as(&c, "w1"), ERR_NOT_FOUND);
}

static void refused_orders_say_why(void) {
    if (!begin()) return;
    struct queue_ticket t;
    struct queue_order o = order_of("video_1"), again;
    static const char other[] = "0000000000000000000000000000000000000000000000000000000000000000";
    o.idem = HASH;
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    CHECK_INT(t.born, QUEUE_DUP);
    again = o;
    again.id = "video_2";
    CHECK_OK(queue_submit(r, &t, &again, &f), &f);
    CHECK_INT(t.born, QUEUE_REPLAY);
    CHECK_STR(t.id, "video_1");
    again.fingerprint = other;
    CHECK_INT(queue_submit(r, &t, &again, &f), ERR_CONFLICT);
    CHECK_HAS(f.text, "idempotency key was used for another request");
    again.id = "video_1";
    CHECK_INT(queue_submit(r, &t, &again, &f), ERR_CONFLICT);
    CHECK_HAS(f.text, "id exists");
    plain("HSET", "{test}:meta", "max_lane", "1");
    o = order_of("video_3");
    CHECK_INT(queue_submit(r, &t, &o, &f), ERR_BUSY);
    CHECK_STR(f.text, "1 jobs are waiting, which is the limit of this queue");
    plain("HSET", "{test}:meta", "max_lane", "9");
    plain("HSET", "{test}:meta", "max_live", "1");
    CHECK_INT(queue_submit(r, &t, &o, &f), ERR_LIMIT);
    CHECK_STR(f.text, "you have 1 unfinished jobs, which is your limit");
    o.tenant = "a b";
    CHECK_INT(queue_submit(r, &t, &o, &f), ERR_INPUT);
    CHECK_HAS(f.text, "tenant");
    o = order_of("video_3");
    o.priority = 10;
    CHECK_INT(queue_submit(r, &t, &o, &f), ERR_INPUT);
    o = order_of("video_3");
    o.max_tries = 0;
    CHECK_INT(queue_submit(r, &t, &o, &f), ERR_INPUT);
}

static void a_damaged_request_is_never_run(void) {
    if (!begin()) return;
    struct queue_claim c;
    enum queue_verdict verdict;
    enum job_state state = JOB_STATE_NONE;
    struct queue_fail fail = {.why = QUEUE_FATAL, .message = "the request is damaged"};
    submit("video_1");
    plain("SET", "{test}:spec:video_1", "{\"prompt\":\"a dog\"}", NULL);
    CHECK_INT(claim_as(&c, "w1"), ERR_CORRUPT);
    CHECK_STR(c.spec, "");
    CHECK_OK(queue_fail(r, &verdict, &state, c.id, c.lease, &fail, &f), &f);
    CHECK_INT(state, JOB_STATE_FAILED);
    queue_claim_free(&c);
}

/* Brings one job into each way of failing. */
static void each_way_to_fail_leads_where_the_table_says(void) {
    static const struct {
        enum queue_why why;
        int max_tries;
        int64_t delay_ms;
        enum job_state state;
        const char *code;
    } rows[] = {
        {QUEUE_RETRY, 2, 0, JOB_STATE_QUEUED, ""},
        {QUEUE_RETRY, 2, 5000, JOB_STATE_SCHEDULED, ""},
        {QUEUE_RETRY, 1, 0, JOB_STATE_FAILED, "internal_error"},
        {QUEUE_FATAL, 2, 0, JOB_STATE_FAILED, "internal_error"},
        {QUEUE_TIMED_OUT, 2, 0, JOB_STATE_FAILED, "deadline_exceeded"},
        {QUEUE_RELEASE, 1, 0, JOB_STATE_QUEUED, ""},
        {QUEUE_CRASH, 1, 0, JOB_STATE_QUEUED, ""},
        {QUEUE_CRASH, 1, 5000, JOB_STATE_SCHEDULED, ""},
    };
    if (!begin()) return;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct queue_claim c;
        struct queue_view v;
        struct queue_ticket t;
        enum queue_verdict verdict;
        enum job_state state = JOB_STATE_NONE;
        struct queue_order o = order_of("video_1");
        struct queue_fail fail = {
            .why = rows[i].why, .message = "words", .delay_ms = rows[i].delay_ms};
        plain("FLUSHALL", NULL, NULL, NULL);
        CHECK_OK(queue_admin_migrate(r, NULL, &f), &f);
        o.max_tries = rows[i].max_tries;
        CHECK_OK(queue_submit(r, &t, &o, &f), &f);
        CHECK_OK(claim_as(&c, "w1"), &f);
        CHECK_OK(queue_fail(r, &verdict, &state, c.id, c.lease, &fail, &f), &f);
        CHECK_INT(verdict, QUEUE_GO_ON);
        CHECK_INT(state, rows[i].state);
        CHECK_OK(queue_fail(r, &verdict, &state, c.id, c.lease, &fail, &f), &f);
        CHECK_INT(verdict, QUEUE_STALE);
        CHECK_OK(queue_view_get(r, &v, "video_1", "t1", &f), &f);
        CHECK_STR(v.job.error_code, rows[i].code);
        if (rows[i].code[0] != 0) CHECK_STR(v.job.error_message, "words");
        queue_view_free(&v);
        queue_claim_free(&c);
    }
}

static void cancel_and_delete_reach_the_worker(void) {
    if (!begin()) return;
    struct queue_claim c;
    struct queue_view v;
    enum queue_verdict verdict;
    enum job_state state;
    struct queue_beat beat = {.phase = "denoise", .eta_ms = -1};
    struct queue_fail fail = {.why = QUEUE_CANCELLED, .message = "cancelled by its owner"};
    submit("video_1");
    submit("video_2");
    CHECK_INT(queue_cancel(r, &state, "video_1", "t2", "x", &f), ERR_NOT_FOUND);
    CHECK_OK(queue_cancel(r, &state, "video_1", "t1", "cancelled by its owner", &f), &f);
    CHECK_INT(state, JOB_STATE_CANCELED);
    CHECK_OK(queue_cancel(r, &state, "video_1", "t1", "x", &f), &f);
    CHECK_INT(state, JOB_STATE_CANCELED);
    CHECK_OK(claim_as(&c, "w1"), &f);
    CHECK_STR(c.id, "video_2");
    CHECK_OK(queue_cancel(r, &state, "video_2", "t1", "x", &f), &f);
    CHECK_INT(state, JOB_STATE_RUNNING);
    CHECK_OK(queue_view_get(r, &v, "video_2", "t1", &f), &f);
    CHECK(v.job.cancel_ms > 0);
    queue_view_free(&v);
    CHECK_OK(queue_beat(r, &verdict, c.id, c.lease, &beat, &f), &f);
    CHECK_INT(verdict, QUEUE_CANCEL);
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{}", &f), &f);
    CHECK_INT(verdict, QUEUE_CANCEL);
    CHECK_OK(queue_delete(r, &state, "video_2", "t1", &f), &f);
    CHECK_INT(queue_view_get(r, &v, "video_2", "t1", &f), ERR_NOT_FOUND);
    CHECK_INT(queue_delete(r, &state, "video_2", "t1", &f), ERR_NOT_FOUND);
    CHECK_OK(queue_fail(r, &verdict, &state, c.id, c.lease, &fail, &f), &f);
    CHECK_INT(state, JOB_STATE_CANCELED);
    queue_claim_free(&c);
}

static void garbage_is_listed_and_purged(void) {
    if (!begin()) return;
    struct queue_gc *gc = mem_take(1, sizeof(*gc));
    struct queue_claim c;
    enum queue_verdict verdict;
    enum job_state state;
    struct queue_beat beat = {.phase = "denoise", .ckpt = "t1/video_1/1.ckpt"};
    submit("video_1");
    CHECK_OK(claim_as(&c, "w1"), &f);
    CHECK_OK(queue_beat(r, &verdict, c.id, c.lease, &beat, &f), &f);
    CHECK_INT(queue_purge(r, "video_1", "t1", &f), ERR_BUSY);
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{\"key\":\"k\"}", &f), &f);
    CHECK_OK(queue_delete(r, &state, "video_1", "t1", &f), &f);
    CHECK_OK(queue_gc_list(r, gc, &f), &f);
    CHECK_INT(gc->n_rows, 2);
    CHECK_INT(gc->row[0].kind, QUEUE_WASTE_JOB);
    CHECK_STR(gc->row[0].id, "video_1");
    CHECK_STR(gc->row[0].tenant, "t1");
    CHECK_STR(gc->row[0].result, "{\"key\":\"k\"}");
    CHECK_INT(gc->row[1].kind, QUEUE_WASTE_OBJECT);
    CHECK_STR(gc->row[1].id, "t1/video_1/1.ckpt");
    CHECK_OK(queue_gc_done(r, &gc->row[1], &f), &f);
    CHECK_OK(queue_purge(r, "video_1", "t1", &f), &f);
    queue_gc_free(gc);
    CHECK_OK(queue_gc_list(r, gc, &f), &f);
    CHECK_INT(gc->n_rows, 0);
    CHECK_INT(queue_purge(r, "video_1", "t1", &f), ERR_NOT_FOUND);
    queue_gc_free(gc);
    mem_free(gc);
    queue_claim_free(&c);
}

static void a_waiting_worker_wakes_when_a_job_arrives(void) {
    if (!begin()) return;
    struct redis *other = NULL;
    struct queue_claim c;
    struct queue_seek seek = {.worker = "w1", .lanes = {"l", "m"}, .n_lanes = 2, .wait_ms = 300};
    int64_t began_ms = now_mono_ms();
    CHECK_INT(queue_claim(r, &c, &seek, &f), ERR_NOT_FOUND);
    int64_t ms = now_mono_ms() - began_ms;
    CHECK(ms >= 290 && ms < 2000);
    CHECK_OK(redis_pool_borrow(pool, &other, &f), &f);
    struct queue_order o = order_of("video_1");
    struct queue_ticket t;
    o.delay_ms = 100;
    CHECK_OK(queue_submit(other, &t, &o, &f), &f);
    now_sleep_ms(120);
    CHECK_OK(queue_tick(other, NULL, 0, &f), &f);
    seek.wait_ms = 5000;
    began_ms = now_mono_ms();
    CHECK_OK(queue_claim(r, &c, &seek, &f), &f);
    CHECK(now_mono_ms() - began_ms < 1000);
    queue_claim_free(&c);
    redis_pool_give(pool, other);
}

static void time_promotes_expires_and_takes_back(void) {
    if (!begin()) return;
    struct queue_claim c;
    struct queue_ticked n;
    struct queue_ticket t;
    struct queue_order o = order_of("video_1");
    plain("HSET", "{test}:meta", "test_clock_ms", "1000000");
    o.delay_ms = 1000;
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    o = order_of("video_2");
    o.queue_ttl_ms = 500;
    o.delay_ms = 9000000;
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    submit("video_3");
    CHECK_OK(claim_as(&c, "w1"), &f);
    CHECK_STR(c.id, "video_3");
    queue_claim_free(&c);
    CHECK_OK(queue_tick(r, &n, 0, &f), &f);
    CHECK_INT(n.n_promoted + n.n_expired + n.n_requeued + n.n_failed, 0);
    plain("HSET", "{test}:meta", "test_clock_ms", "1001000");
    CHECK_OK(queue_tick(r, &n, 0, &f), &f);
    CHECK_INT(n.n_promoted, 1);
    CHECK_INT(n.n_expired, 1);
    for (int64_t ms = 1006000; ms <= 1031000; ms += 5000) {
        char text[24];
        snprintf(text, sizeof(text), "%d", (int)ms);
        plain("HSET", "{test}:meta", "test_clock_ms", text);
        CHECK_OK(queue_tick(r, &n, 0, &f), &f);
    }
    CHECK_INT(n.n_requeued, 1);
    CHECK_INT(state_of("video_1"), JOB_STATE_QUEUED);
    CHECK_INT(state_of("video_2"), JOB_STATE_EXPIRED);
    CHECK_INT(state_of("video_3"), JOB_STATE_SCHEDULED);
}

/* ---- reading ---- */

static void pages_are_stable_and_complete(void) {
    if (!begin()) return;
    struct queue_page *page = mem_take(1, sizeof(*page));
    char after[QUEUE_ID_MAX] = "";
    int n_seen = 0;
    for (int i = 0; i < 25; i++) {
        char id[QUEUE_ID_MAX];
        snprintf(id, sizeof(id), "video_%03d", i);
        submit(id);
    }
    for (int round = 0; round < 10; round++) {
        struct queue_page_query q = {
            .tenant = "t1", .after = after, .limit = 10, .sort = QUEUE_NEWEST_FIRST};
        CHECK_OK(queue_view_list(r, page, &q, &f), &f);
        for (int i = 0; i < page->n_jobs; i++) {
            char want[QUEUE_ID_MAX];
            snprintf(want, sizeof(want), "video_%03d", 24 - n_seen++);
            CHECK_STR(page->job[i].id, want);
        }
        if (round == 0) submit("video_999"); /* newer than the cursor: this walk does not see it */
        snprintf(after, sizeof(after), "%s",
                 page->n_jobs > 0 ? page->job[page->n_jobs - 1].id : "");
        bool has_more = page->has_more;
        queue_view_page_free(page);
        if (!has_more) break;
    }
    CHECK_INT(n_seen, 25);
    struct queue_page_query q = {
        .tenant = "t1", .after = NULL, .limit = 1, .sort = QUEUE_OLDEST_FIRST};
    CHECK_OK(queue_view_list(r, page, &q, &f), &f);
    CHECK_STR(page->job[0].id, "video_000");
    CHECK_INT(page->job[0].queue_position, 0);
    CHECK_INT(page->has_more, true);
    queue_view_page_free(page);
    q.tenant = "nobody";
    CHECK_OK(queue_view_list(r, page, &q, &f), &f);
    CHECK_INT(page->n_jobs, 0);
    queue_view_page_free(page);
    mem_free(page);
}

static void events_are_read_from_where_the_reader_was(void) {
    if (!begin()) return;
    struct queue_events *e = mem_take(1, sizeof(*e));
    struct queue_claim c;
    enum queue_verdict verdict;
    char last[QUEUE_EVENT_ID_MAX] = "", first[QUEUE_EVENT_ID_MAX];
    struct queue_beat beat = {
        .progress = 10, .phase = "denoise", .step = 1, .n_steps = 4, .eta_ms = 700};
    CHECK_OK(queue_event_wait(r, e, last, 50, &f), &f);
    CHECK_STR(last, "0-0");
    submit("video_1");
    CHECK_OK(claim_as(&c, "w1"), &f);
    CHECK_OK(queue_beat(r, &verdict, c.id, c.lease, &beat, &f), &f);
    CHECK_OK(queue_event_wait(r, e, last, 50, &f), &f);
    CHECK_INT(e->n_events, 3);
    CHECK_INT(e->event[0].what, QUEUE_HAPPENING_CREATED);
    CHECK_INT(e->event[1].what, QUEUE_HAPPENING_STARTED);
    CHECK_INT(e->event[2].what, QUEUE_HAPPENING_PROGRESS);
    CHECK_STR(e->event[2].job, "video_1");
    CHECK_STR(e->event[2].tenant, "t1");
    CHECK_STR(e->event[2].phase, "denoise");
    CHECK_INT(e->event[2].progress, 10);
    CHECK_INT(e->event[2].step, 1);
    CHECK_INT(e->event[2].n_steps, 4);
    CHECK_INT(e->event[2].eta_ms, 700);
    snprintf(first, sizeof(first), "%s", e->event[0].id);
    CHECK_OK(queue_event_wait(r, e, last, 50, &f), &f);
    CHECK_INT(e->n_events, 0);
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{}", &f), &f);
    CHECK_OK(queue_event_wait(r, e, last, 50, &f), &f);
    CHECK_INT(e->event[0].what, QUEUE_HAPPENING_ENDED);
    CHECK_INT(e->event[0].state, JOB_STATE_SUCCEEDED);
    CHECK_OK(queue_event_read(r, e, "video_1", first, &f), &f);
    CHECK_INT(e->n_events, 3);
    CHECK_INT(e->is_cut, false);
    CHECK_OK(queue_event_read(r, e, "video_1", "", &f), &f);
    CHECK_INT(e->n_events, 4);
    CHECK_OK(queue_event_read(r, e, "video_1", "1-1", &f), &f);
    CHECK_INT(e->is_cut, true);
    CHECK_INT(queue_event_read(r, e, "video_1", "garbage", &f), ERR_INPUT);
    CHECK_INT(queue_event_read(r, e, "video_1", "-1-1", &f), ERR_INPUT);
    snprintf(last, sizeof(last), "5-5");
    CHECK_OK(queue_event_wait(r, e, last, 50, &f), &f);
    CHECK_INT(e->is_cut, true);
    mem_free(e);
    queue_claim_free(&c);
}

static void figures_count_what_is_there(void) {
    if (!begin()) return;
    struct queue_stat *s = mem_take(1, sizeof(*s));
    struct queue_claim c;
    submit("video_1");
    submit("video_2");
    CHECK_OK(claim_as(&c, "w1"), &f);
    queue_claim_free(&c);
    CHECK_OK(queue_view_stat(r, s, &f), &f);
    CHECK_INT(s->n_running, 1);
    CHECK_INT(s->n_lanes, 1);
    CHECK_STR(s->lane[0].name, "l");
    CHECK_INT(s->lane[0].n_queued, 1);
    CHECK_INT(s->lane[0].n_by_priority[5], 1);
    CHECK_INT(s->lane[0].n_workers, 1);
    CHECK_INT(s->n_workers, 1);
    CHECK_STR(s->worker[0].name, "w1");
    CHECK_INT(s->worker[0].is_busy, true);
    mem_free(s);
}

/* ---- webhooks, rates, keys ---- */

static void webhooks_are_taken_reported_and_signed_with_one_secret(void) {
    if (!begin()) return;
    struct queue_hooks *h = mem_take(1, sizeof(*h));
    struct queue_order o = order_of("video_0123456789abcdef0123456789abcdef");
    struct queue_ticket t;
    struct queue_claim c;
    enum queue_verdict verdict;
    struct queue_hook_done ok = {.sent = QUEUE_SENT_OK, .http_status = 200};
    struct queue_hook_done again = {.sent = QUEUE_SENT_RETRY, .http_status = 500, .message = "no"};
    char secret[QUEUE_HOOK_SECRET_MAX], same[QUEUE_HOOK_SECRET_MAX];
    o.hook_url = "https://example.com/hook?a=b";
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    CHECK_OK(claim_as(&c, "w1"), &f);
    CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{}", &f), &f);
    queue_claim_free(&c);
    CHECK_OK(queue_hook_claim(r, h, "host-1234", 16, 30000, &f), &f);
    CHECK_INT(h->n_hooks, 1);
    CHECK_STR(h->hook[0].event_id, "evt_0123456789abcdef0123456789abcdef_completed");
    CHECK_STR(h->hook[0].type, "completed");
    CHECK_STR(h->hook[0].url, "https://example.com/hook?a=b");
    CHECK_STR(h->hook[0].tenant, "t1");
    CHECK_INT(h->hook[0].try, 1);
    struct queue_hook first = h->hook[0];
    CHECK_OK(queue_hook_done(r, &first, &again, &f), &f);
    CHECK_INT(queue_hook_done(r, &first, &ok, &f), ERR_STALE);
    CHECK_OK(queue_hook_claim(r, h, "host-1234", 16, 30000, &f), &f);
    CHECK_INT(h->n_hooks, 1);
    CHECK_INT(h->hook[0].try, 2);
    CHECK_STR(h->hook[0].event_id, first.event_id);
    CHECK_OK(queue_hook_done(r, &h->hook[0], &ok, &f), &f);
    CHECK_OK(queue_hook_claim(r, h, "host-1234", 16, 30000, &f), &f);
    CHECK_INT(h->n_hooks, 0);
    CHECK_OK(queue_hook_secret(r, secret, "t1", &f), &f);
    CHECK_OK(queue_hook_secret(r, same, "t1", &f), &f);
    CHECK_STR(same, secret);
    CHECK_INT(strlen(secret), 6 + 32);
    CHECK_OK(queue_hook_secret(r, same, "t2", &f), &f);
    CHECK(strcmp(same, secret) != 0);
    mem_free(h);
}

static void delays_grow_and_stay_in_their_bounds(void) {
    static const int64_t hook_s[] = {5,     30,    120,   600,   1800, 7200,
                                     18000, 36000, 36000, 86400, 86400};
    for (int try = 1; try <= 11; try++)
        for (int i = 0; i < 100; i++) {
            int64_t ms = queue_hook_delay_ms(try), base = hook_s[try - 1] * 1000;
            CHECK(ms >= base * 8 / 10 && ms <= base * 12 / 10);
        }
    for (int try = 0; try < 20; try++)
        for (int i = 0; i < 100; i++) {
            int64_t full = try > 5 ? 600000 : (int64_t)10000 << try;
            if (full > 600000) full = 600000;
            int64_t ms = queue_backoff_ms(try);
            CHECK(ms >= full / 2 && ms <= full);
        }
}

static void rates_let_a_burst_pass_and_then_tell_when(void) {
    if (!begin()) return;
    struct queue_rate rate = {.per_second = 0.5, .burst = 2};
    int64_t wait_ms = -1;
    int left = -1;
    plain("HSET", "{test}:meta", "test_clock_ms", "1000000");
    CHECK_OK(queue_rate(r, &wait_ms, &left, "key:1", &rate, &f), &f);
    CHECK_INT(wait_ms, 0);
    CHECK_INT(left, 1);
    CHECK_OK(queue_rate(r, &wait_ms, &left, "key:1", &rate, &f), &f);
    CHECK_INT(wait_ms, 0);
    CHECK_INT(left, 0);
    CHECK_OK(queue_rate(r, &wait_ms, &left, "key:1", &rate, &f), &f);
    CHECK_INT(wait_ms, 2000);
    CHECK_OK(queue_rate(r, &wait_ms, &left, "key:2", &rate, &f), &f);
    CHECK_INT(wait_ms, 0);
}

static void an_undelivered_create_is_found_once(void) {
    if (!begin()) return;
    char id[QUEUE_ID_MAX];
    CHECK_INT(queue_undelivered_take(r, id, "t1", HASH, &f), ERR_NOT_FOUND);
    CHECK_OK(queue_undelivered_add(r, "t1", HASH, "video_1", &f), &f);
    CHECK_INT(queue_undelivered_take(r, id, "t2", HASH, &f), ERR_NOT_FOUND);
    CHECK_OK(queue_undelivered_take(r, id, "t1", HASH, &f), &f);
    CHECK_STR(id, "video_1");
    CHECK_INT(queue_undelivered_take(r, id, "t1", HASH, &f), ERR_NOT_FOUND);
}

static void keys_open_only_with_their_secret(void) {
    if (!begin()) return;
    struct queue_key key = {
        .tenant = "bob", .scopes = "all", .rate_per_second = 1.5, .burst = 7, .max_live = 3};
    struct queue_key found;
    struct queue_keys *keys = mem_take(1, sizeof(*keys));
    char text[QUEUE_KEY_TEXT_MAX], bad[QUEUE_KEY_TEXT_MAX], kid[QUEUE_KEY_ID_MAX];
    CHECK_OK(queue_key_add(r, text, &key, "live", &f), &f);
    CHECK_INT(strlen(text), 4 + 5 + 13 + 40);
    CHECK(queue_key_is_well_formed(text, kid));
    CHECK_STR(kid, key.kid);
    CHECK_OK(queue_key_find(r, &found, text, &f), &f);
    CHECK_STR(found.tenant, "bob");
    CHECK_NEAR(found.rate_per_second, 1.5, 1e-9);
    CHECK_INT(found.burst, 7);
    for (size_t i = 0; text[i] != 0; i++) { /* one wrong character anywhere */
        memcpy(bad, text, sizeof(bad));
        bad[i] = bad[i] == 'a' ? 'b' : 'a';
        CHECK_INT(queue_key_find(r, &found, bad, &f), ERR_NOT_FOUND);
    }
    CHECK_INT(queue_key_find(r, &found, "", &f), ERR_NOT_FOUND);
    CHECK_INT(queue_key_find(r, &found, "sk-proj-123", &f), ERR_NOT_FOUND);
    CHECK_OK(queue_key_list(r, keys, &f), &f);
    CHECK_INT(keys->n_keys, 1);
    CHECK_STR(keys->key[0].kid, key.kid);
    CHECK_OK(queue_key_revoke(r, key.kid, &f), &f);
    CHECK_INT(queue_key_find(r, &found, text, &f), ERR_NOT_FOUND);
    CHECK_INT(queue_key_revoke(r, "000000000000", &f), ERR_NOT_FOUND);
    key.expires_ms = now_wall_ms() - 1;
    CHECK_OK(queue_key_add(r, text, &key, "test", &f), &f);
    CHECK_INT(queue_key_find(r, &found, text, &f), ERR_NOT_FOUND);
    key.expires_ms = now_wall_ms() + 60000;
    CHECK_OK(queue_key_add(r, text, &key, "test", &f), &f);
    CHECK_OK(queue_key_find(r, &found, text, &f), &f);
    CHECK_INT(queue_key_add(r, text, &key, "a_b", &f), ERR_INPUT);
    mem_free(keys);
}

/* ---- the table of moves against the library ---- */

/* Makes video_1 reach a state by the shortest way; `lease` gets its last lease. */
static void bring_to(enum job_state state, char lease[QUEUE_LEASE_MAX]) {
    struct queue_order o = order_of("video_1");
    struct queue_ticket t;
    struct queue_claim c = {0};
    enum queue_verdict verdict;
    enum job_state now;
    struct queue_fail fatal = {.why = QUEUE_FATAL};
    plain("FLUSHALL", NULL, NULL, NULL);
    CHECK_OK(queue_admin_migrate(r, NULL, &f), &f);
    snprintf(lease, QUEUE_LEASE_MAX, "1-none");
    if (state == JOB_STATE_NONE) return;
    if (state == JOB_STATE_SCHEDULED) o.delay_ms = 1000000;
    if (state == JOB_STATE_EXPIRED) o.queue_ttl_ms = 1;
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    if (state == JOB_STATE_CANCELED) CHECK_OK(queue_cancel(r, &now, "video_1", "t1", "x", &f), &f);
    if (state == JOB_STATE_EXPIRED) {
        now_sleep_ms(3);
        CHECK_OK(queue_tick(r, NULL, 0, &f), &f);
    }
    if (state != JOB_STATE_RUNNING && state != JOB_STATE_SUCCEEDED && state != JOB_STATE_FAILED)
        return;
    CHECK_OK(claim_as(&c, "w1"), &f);
    snprintf(lease, QUEUE_LEASE_MAX, "%s", c.lease);
    if (state == JOB_STATE_SUCCEEDED)
        CHECK_OK(queue_complete(r, &verdict, c.id, c.lease, "{}", &f), &f);
    if (state == JOB_STATE_FAILED)
        CHECK_OK(queue_fail(r, &verdict, &now, c.id, c.lease, &fatal, &f), &f);
    queue_claim_free(&c);
}

static void try_move(enum job_move move, const char *lease) {
    static const enum queue_why whys[] = {[JOB_MOVE_FAIL_RETRY] = QUEUE_RETRY,
                                          [JOB_MOVE_FAIL_FATAL] = QUEUE_FATAL,
                                          [JOB_MOVE_FAIL_RELEASE] = QUEUE_RELEASE,
                                          [JOB_MOVE_FAIL_CRASH] = QUEUE_CRASH};
    struct queue_order o = order_of("video_1");
    struct queue_ticket t;
    struct queue_claim c = {0};
    struct queue_beat beat = {.phase = "denoise"};
    struct queue_fail fail = {.why = QUEUE_RETRY};
    enum queue_verdict verdict;
    enum job_state state;
    enum err rc = ERR_OK;
    if (move == JOB_MOVE_SUBMIT) rc = queue_submit(r, &t, &o, &f);
    if (move == JOB_MOVE_CLAIM) rc = claim_as(&c, "w2");
    if (move == JOB_MOVE_BEAT) rc = queue_beat(r, &verdict, "video_1", lease, &beat, &f);
    if (move == JOB_MOVE_COMPLETE) rc = queue_complete(r, &verdict, "video_1", lease, "{}", &f);
    if (move == JOB_MOVE_CANCEL) rc = queue_cancel(r, &state, "video_1", "t1", "x", &f);
    if (move == JOB_MOVE_TICK) rc = queue_tick(r, NULL, 0, &f);
    if (move >= JOB_MOVE_FAIL_RETRY && move <= JOB_MOVE_FAIL_CRASH) {
        fail.why = whys[move];
        rc = queue_fail(r, &verdict, &state, "video_1", lease, &fail, &f);
    }
    (void)rc; /* refused moves are the point; the state is what counts */
    queue_claim_free(&c);
}

static void every_cell_of_the_table_of_moves_is_what_the_library_does(void) {
    if (!begin()) return;
    for (int m = 0; m < JOB_MOVE_COUNT; m++)
        for (int from = 0; from < JOB_STATE_COUNT; from++) {
            char lease[QUEUE_LEASE_MAX];
            bring_to((enum job_state)from, lease);
            CHECK_INT(state_of("video_1"), from);
            try_move((enum job_move)m, lease);
            enum job_state to = state_of("video_1");
            bool has_moved = (int)to != from;
            if (has_moved && !job_state_may((enum job_move)m, (enum job_state)from, to)) {
                fprintf(stderr, "  %s took a job from %s to %s\n",
                        job_state_move_name((enum job_move)m), job_state_name((enum job_state)from),
                        job_state_name(to));
                check_failed++;
            }
            /* With a right lease every allowed move of a worker really moves. */
            bool should_move =
                from == JOB_STATE_RUNNING && m >= JOB_MOVE_COMPLETE && m <= JOB_MOVE_FAIL_CRASH;
            if (should_move) CHECK(has_moved);
            if (job_state_is_ended((enum job_state)from)) CHECK(!has_moved);
        }
}

static const struct test tests[] = {
    TEST(a_job_goes_from_order_to_result),
    TEST(refused_orders_say_why),
    TEST(a_damaged_request_is_never_run),
    TEST(each_way_to_fail_leads_where_the_table_says),
    TEST(cancel_and_delete_reach_the_worker),
    TEST(garbage_is_listed_and_purged),
    TEST(a_waiting_worker_wakes_when_a_job_arrives),
    TEST(time_promotes_expires_and_takes_back),
    TEST(pages_are_stable_and_complete),
    TEST(events_are_read_from_where_the_reader_was),
    TEST(figures_count_what_is_there),
    TEST(webhooks_are_taken_reported_and_signed_with_one_secret),
    TEST(delays_grow_and_stay_in_their_bounds),
    TEST(rates_let_a_burst_pass_and_then_tell_when),
    TEST(an_undelivered_create_is_found_once),
    TEST(keys_open_only_with_their_secret),
    TEST(every_cell_of_the_table_of_moves_is_what_the_library_does),
    TEST(nothing_is_left_over),
};
TEST_MAIN(tests)
