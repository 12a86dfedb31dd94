/* Webhooks: the published vector, the verdict table, the body. */
#include "worker/webhook.h"

#include "common/base/mem.h"
#include "tests/lib/check.h"

static void the_published_vector_is_signed_alike(void) {
    static const char body[] =
        "{\"id\":\"evt_01JABCDEF0123456789\",\"object\":\"event\",\"created_at\":1764000000,"
        "\"type\":\"video.completed\",\"data\":{\"id\":\"video_01JABCDEF0123456789\"}}";
    char got[WEBHOOK_SIGNATURE_MAX];
    struct fail f = {0};
    CHECK_OK(webhook_sign(got, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
                          "msg_01JABCDEF0123456789", 1764000000, str_of(body), &f),
             &f);
    CHECK_STR(got, "v1,sg73W4Nn0it/p5tmMOfUOryha8KzK90NbGECpNLpwwU=");
}

static void a_bad_secret_is_refused(void) {
    static const char *const rows[] = {
        "",
        "whsec_",
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "whsec_AAECAwQF",
        "whsec_!!ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
        "whsec_"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        char got[WEBHOOK_SIGNATURE_MAX];
        CHECK_INT(webhook_sign(got, rows[i], "a", 1, str_of("x"), NULL), ERR_INPUT);
    }
}

static void each_answer_has_its_verdict(void) {
    static const struct {
        int status;
        int64_t retry_after_s;
        enum queue_sent sent;
        int64_t min_ms, max_ms; /* first retry is 5 s +-20 % */
    } rows[] = {
        {200, -1, QUEUE_SENT_OK, 0, 0},
        {204, -1, QUEUE_SENT_OK, 0, 0},
        {299, 5, QUEUE_SENT_OK, 0, 0},
        {302, -1, QUEUE_SENT_RETRY, 4000, 6000},
        {400, -1, QUEUE_SENT_RETRY, 4000, 6000},
        {410, -1, QUEUE_SENT_DEAD, 0, 0},
        {429, 1, QUEUE_SENT_RETRY, 4000, 6000},
        {429, 86400, QUEUE_SENT_RETRY, 8000, 12000},
        {500, -1, QUEUE_SENT_RETRY, 4000, 6000},
        {0, -1, QUEUE_SENT_RETRY, 4000, 6000},
        {503, INT64_MAX, QUEUE_SENT_RETRY, 8000, 12000},
    };
    for (int i = 0; i < (int)(sizeof(rows) / sizeof(rows[0])); i++) {
        struct queue_hook_done d;
        webhook_judge(&d, 1, rows[i].status, rows[i].retry_after_s);
        CHECK_INT(d.sent, rows[i].sent);
        CHECK_INT(d.http_status, rows[i].status);
        CHECK(d.delay_ms >= rows[i].min_ms && d.delay_ms <= rows[i].max_ms);
    }
}

static void the_body_is_the_same_on_every_attempt(void) {
    struct queue_hook h = {.event_id = "evt_0197_completed",
                           .type = "completed",
                           .job = "video_0197",
                           .created_ms = 1764000000123};
    struct buf a, b;
    struct fail f = {0};
    buf_make(&a, WEBHOOK_BODY_MAX);
    buf_make(&b, WEBHOOK_BODY_MAX);
    h.try = 1;
    CHECK_OK(webhook_body(&a, &h, &f), &f);
    h.try = 9;
    CHECK_OK(webhook_body(&b, &h, &f), &f);
    CHECK_STR(buf_str(&a),
              "{\"id\":\"evt_0197_completed\",\"object\":\"event\","
              "\"created_at\":1764000000,\"type\":\"video.completed\","
              "\"timestamp\":\"2025-11-24T16:00:00.123Z\",\"data\":{\"id\":\"video_0197\"}}");
    CHECK_STR(buf_str(&a), buf_str(&b));
    buf_free(&a);
    buf_free(&b);
    CHECK_INT(mem_alive(), 0);
}

static const struct test tests[] = {
    TEST(the_published_vector_is_signed_alike),
    TEST(a_bad_secret_is_refused),
    TEST(each_answer_has_its_verdict),
    TEST(the_body_is_the_same_on_every_attempt),
};
TEST_MAIN(tests)
