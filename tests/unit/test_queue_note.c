/* Small records beside the jobs. */
#include "common/queue_note.h"

#include "tests/unit/queue_fixture.h"

static enum err put(const char *tenant, const char *id, const char *json, int64_t ttl_ms) {
    return queue_note_put(r, &(struct queue_note){"file", tenant, id}, json, ttl_ms, &f);
}

static enum err get(const char *tenant, const char *id, struct buf *out) {
    buf_clear(out);
    return queue_note_get(r, out, &(struct queue_note){"file", tenant, id}, &f);
}

static void a_note_comes_back_to_its_tenant_only(void) {
    struct buf out;
    if (!begin()) return;
    buf_make(&out, QUEUE_NOTE_BYTES_MAX);
    CHECK_OK(put("ann", "file-1", "{\"a\":1}", 60000), &f);
    CHECK_OK(get("ann", "file-1", &out), &f);
    CHECK_STR(buf_str(&out), "{\"a\":1}");
    CHECK_INT(get("bob", "file-1", &out), ERR_NOT_FOUND);
    CHECK_INT(get("ann", "file-2", &out), ERR_NOT_FOUND);
    CHECK_OK(put("ann", "file-1", "{\"a\":2}", 60000), &f);
    CHECK_OK(get("ann", "file-1", &out), &f);
    CHECK_STR(buf_str(&out), "{\"a\":2}");
    CHECK_OK(queue_note_drop(r, &(struct queue_note){"file", "ann", "file-1"}, &f), &f);
    CHECK_INT(queue_note_drop(r, &(struct queue_note){"file", "ann", "file-1"}, &f), ERR_NOT_FOUND);
    CHECK_INT(get("ann", "file-1", &out), ERR_NOT_FOUND);
    buf_free(&out);
}

static void pages_follow_each_other_both_ways(void) {
    static const struct {
        enum queue_sort sort;
        const char *after;
        int n_rows, first;
        bool has_more;
    } rows[] = {{QUEUE_NEWEST_FIRST, NULL, 2, 4, true},
                {QUEUE_NEWEST_FIRST, "file-3", 2, 2, true},
                {QUEUE_NEWEST_FIRST, "file-1", 1, 0, false},
                {QUEUE_OLDEST_FIRST, NULL, 2, 0, true},
                {QUEUE_OLDEST_FIRST, "file-3", 1, 4, false}};
    if (!begin()) return;
    for (int i = 0; i < 5; i++) {
        char id[24], json[16];
        snprintf(id, sizeof(id), "file-%d", i);
        snprintf(json, sizeof(json), "%d", i);
        CHECK_OK(put("ann", id, json, 60000), &f);
    }
    for (int i = 0; i < 5; i++) {
        struct queue_note_page page;
        const struct queue_note_query q = {"file", "ann", rows[i].after, 2, rows[i].sort};
        CHECK_OK(queue_note_list(r, &page, &q, &f), &f);
        CHECK_INT(page.n_rows, rows[i].n_rows);
        CHECK_INT(page.has_more, rows[i].has_more);
        CHECK_INT(atoi(page.json[0]), rows[i].first);
        queue_note_page_free(&page);
    }
}

static void what_is_over_leaves_the_list(void) {
    struct queue_note_page page;
    const struct queue_note_query q = {"file", "ann", NULL, 10, QUEUE_NEWEST_FIRST};
    if (!begin()) return;
    CHECK_OK(put("ann", "file-1", "1", 1), &f);
    CHECK_OK(put("ann", "file-2", "2", 60000), &f);
    for (int i = 0; i < 1000; i++) { /* until the millisecond is over */
        struct buf out;
        buf_make(&out, 100);
        bool is_gone = get("ann", "file-1", &out) == ERR_NOT_FOUND;
        buf_free(&out);
        if (is_gone) break;
    }
    for (int i = 0; i < 2; i++) {
        CHECK_OK(queue_note_list(r, &page, &q, &f), &f);
        CHECK_INT(page.n_rows, 1);
        queue_note_page_free(&page);
    }
}

static void a_record_that_is_too_large_is_refused(void) {
    static char big[QUEUE_NOTE_BYTES_MAX + 2];
    if (!begin()) return;
    memset(big, 'x', sizeof(big) - 1);
    CHECK_INT(put("ann", "file-1", big, 1000), ERR_INPUT);
    end();
}

static const struct test tests[] = {
    TEST(a_note_comes_back_to_its_tenant_only),
    TEST(pages_follow_each_other_both_ways),
    TEST(what_is_over_leaves_the_list),
    TEST(a_record_that_is_too_large_is_refused),
};
TEST_MAIN(tests)
