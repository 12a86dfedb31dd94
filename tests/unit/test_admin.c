/* `misora admin` from the outside: words in, text and exit code out. */
#include <stdlib.h>
#include <unistd.h>

#include "common/base/now.h"
#include "common/config.h"
#include "common/queue.h"
#include "common/queue_key.h"
#include "tests/lib/check.h"
#include "tests/lib/redis_server.h"
#include "tools/admin.h"

enum { WORDS_MAX = 16, TEXT_MAX = 8192 };

static struct redis_server server;
static char text[TEXT_MAX]; /* what the last command wrote, both streams */

/* Sends both streams of this process into `file` and returns where they went before. */
static void redirect(FILE *file, int saved[2]) {
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        saved[i] = dup(STDOUT_FILENO + i);
        dup2(fileno(file), STDOUT_FILENO + i);
    }
}

static void restore(const int saved[2]) {
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], STDOUT_FILENO + i);
        close(saved[i]);
    }
}

/* Runs `misora admin LINE`; words are separated by single blanks. Returns the exit code. */
static int admin(const char *line) {
    char copy[512], *argv[WORDS_MAX + 1] = {"admin"}, *rest = copy;
    int argc = 1, saved[2];
    FILE *file = tmpfile();
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *word; argc < WORDS_MAX && (word = strsep(&rest, " ")) != NULL;)
        if (word[0] != 0) argv[argc++] = word;
    redirect(file, saved);
    int code = admin_main(argc, argv);
    restore(saved);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    return code;
}

static bool begin(void) {
    if (server.pid > 0) return true;
    if (!redis_server_open(&server)) {
        test_skip("redis-server cannot be started");
        return false;
    }
    setenv("MISORA_REDIS_URL", server.url, 1);
    return true;
}

static void wrong_lines_are_refused_with_the_right_code(void) {
    static const struct {
        const char *line;
        int code;
        const char *words;
    } rows[] = {
        {"", EXIT_CODE_USAGE, "usage: misora admin"},
        {"frobnicate", EXIT_CODE_USAGE, "usage: misora admin"},
        {"dead", EXIT_CODE_USAGE, "usage: misora admin"},
        {"dead show", EXIT_CODE_USAGE, "usage: misora admin"},
        {"dead ls x", EXIT_CODE_USAGE, "usage: misora admin"},
        {"keys add bob", EXIT_CODE_USAGE, "usage: misora admin"},
        {"audit --redis-url redis://127.0.0.1:1", EXIT_CODE_UNAVAILABLE, "cannot be reached"},
        {"audit --redis-url http://x", EXIT_CODE_USAGE, "must begin with redis://"},
        {"audit", EXIT_CODE_CONFIG, "no Misora data yet; run: misora admin migrate"},
        {"keys ls --namespace typo", EXIT_CODE_CONFIG, "no Misora data yet"},
        {"keys ls --namespace {a}", EXIT_CODE_USAGE, "namespace must be"},
    };
    if (!begin()) return;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int code = admin(rows[i].line);
        if (code != rows[i].code) fprintf(stderr, "  misora admin %s\n", rows[i].line);
        CHECK_INT(code, rows[i].code);
        CHECK_HAS(text, rows[i].words);
    }
}

static void migrate_makes_an_empty_redis_ready(void) {
    if (!begin()) return;
    CHECK_INT(admin("migrate"), 0);
    CHECK_HAS(text, "schema 0 -> 1");
    CHECK_INT(admin("migrate"), 0);
    CHECK_HAS(text, "schema 1 -> 1");
    CHECK_INT(admin("audit"), 0);
    CHECK_HAS(text, " 0 problems");
    CHECK_INT(admin("dead ls"), 0);
    CHECK_STR(text, "0 dead letters\n");
}

static void a_key_is_shown_once_and_can_be_revoked(void) {
    if (!begin()) return;
    char key[QUEUE_KEY_TEXT_MAX] = "", kid[QUEUE_KEY_ID_MAX], line[128];
    CHECK_INT(admin("migrate"), 0);
    CHECK_INT(admin("keys add --tenant bob --rate 1.5 --burst 7 --max-live 3 --key-env test"), 0);
    CHECK_INT(sscanf(text, "%79s", key), 1);
    CHECK_HAS(key, "mis_test_");
    CHECK(queue_key_is_well_formed(key, kid));
    CHECK_INT(admin("keys ls"), 0);
    CHECK_HAS(text, kid);
    CHECK_HAS(text, "bob");
    CHECK_HAS(text, "valid");
    CHECK(strstr(text, key) == NULL);
    CHECK(strstr(text, key + strlen("mis_test_") + 13) == NULL);
    snprintf(line, sizeof(line), "keys revoke %s", kid);
    CHECK_INT(admin(line), 0);
    CHECK_INT(admin("keys ls"), 0);
    CHECK_HAS(text, "revoked");
    CHECK_INT(admin("keys revoke 0123456789ab"), 1);
    CHECK_HAS(text, "there is no key 0123456789ab");
    CHECK_INT(admin("keys add --tenant a:b"), EXIT_CODE_USAGE);
}

/* Makes video_1 fail in the namespace of the command line. */
static void fail_a_job(struct redis *r) {
    struct fail f = {0};
    struct queue_order o = {.id = "video_1",
                            .tenant = "t1",
                            .lane = "l",
                            .cost_ms = 1,
                            .spec = "{\"prompt\":\"x\"}",
                            .fingerprint = "f",
                            .max_tries = 1};
    struct queue_ticket t;
    struct queue_claim c;
    struct queue_seek seek = {.worker = "w1", .lanes = {"l"}, .n_lanes = 1};
    struct queue_fail why = {.why = QUEUE_FATAL, .code = "encode_failed", .message = "no frames"};
    enum queue_verdict verdict;
    enum job_state state;
    CHECK_OK(queue_submit(r, &t, &o, &f), &f);
    CHECK_INT(admin("dead retry video_1"), 1);
    CHECK_HAS(text, "job video_1 is queued; only a failed job can run again");
    CHECK_INT(admin("dead drop video_1 --yes"), 1);
    CHECK_OK(queue_claim(r, &c, &seek, &f), &f);
    CHECK_OK(queue_fail(r, &verdict, &state, c.id, c.lease, &why, &f), &f);
    queue_claim_free(&c);
}

static void a_dead_letter_is_shown_retried_and_dropped(void) {
    if (!begin()) return;
    struct fail f = {0};
    struct redis_opts opts = {.url = server.url};
    struct redis_pool *pool = NULL;
    struct redis *r = NULL;
    CHECK_INT(admin("migrate"), 0);
    CHECK_OK(redis_pool_open(&pool, &opts, &f), &f);
    CHECK_OK(redis_pool_borrow(pool, &r, &f), &f);
    fail_a_job(r);
    CHECK_INT(admin("dead ls"), 0);
    CHECK_HAS(text, "video_1  t1");
    CHECK_HAS(text, "encode_failed");
    CHECK_INT(admin("dead show video_1"), 0);
    CHECK_HAS(text, "error     encode_failed: no frames");
    CHECK_HAS(text, "request   {\"prompt\":\"x\"}");
    CHECK_HAS(text, "attempt   1 w1 ");
    CHECK_INT(admin("dead show video_9"), 1);
    CHECK_INT(admin("dead drop video_1"), EXIT_CODE_USAGE);
    CHECK_HAS(text, "say --yes");
    CHECK_INT(admin("dead retry video_1"), 0);
    CHECK_INT(admin("dead retry video_1"), 1);
    CHECK_INT(admin("dead retry video_9"), 1);
    CHECK_INT(admin("audit"), 0);
    redis_pool_give(pool, r);
    redis_pool_close(pool);
}

static void the_audit_ends_with_1_when_something_is_wrong(void) {
    if (!begin()) return;
    struct fail f = {0};
    struct redis_opts opts = {.url = server.url};
    struct redis_pool *pool = NULL;
    struct redis *r = NULL;
    struct str args[3] = {str_of("SET"), str_of("{misora}:mystery"), str_of("1")};
    CHECK_INT(admin("migrate"), 0);
    CHECK_OK(redis_pool_open(&pool, &opts, &f), &f);
    CHECK_OK(redis_pool_borrow(pool, &r, &f), &f);
    CHECK_OK(redis_call(r, NULL, 3, args, &f), &f);
    CHECK_INT(admin("audit"), 1);
    CHECK_HAS(text, "I15 mystery is no key of this schema");
    CHECK_HAS(text, "1 problems");
    redis_pool_give(pool, r);
    redis_pool_close(pool);
}

static void a_wrong_password_and_newer_data_are_wrong_configuration(void) {
    if (!begin()) return;
    struct fail f = {0};
    struct redis_opts opts = {.url = server.url};
    struct redis_pool *pool = NULL;
    struct redis *r = NULL;
    struct str newer[4] = {str_of("HSET"), str_of("{misora}:meta"), str_of("schema"), str_of("2")};
    struct str lock[4] = {str_of("CONFIG"), str_of("SET"), str_of("requirepass"), str_of("secret")};
    CHECK_OK(redis_pool_open(&pool, &opts, &f), &f);
    CHECK_OK(redis_pool_borrow(pool, &r, &f), &f);
    CHECK_OK(redis_call(r, NULL, 4, newer, &f), &f);
    CHECK_INT(admin("migrate"), EXIT_CODE_CONFIG);
    CHECK_HAS(text, "use the newer release");
    CHECK_INT(admin("audit"), EXIT_CODE_CONFIG);
    CHECK_OK(redis_call(r, NULL, 4, lock, &f), &f);
    CHECK_INT(admin("audit"), EXIT_CODE_CONFIG);
    CHECK_HAS(text, "Redis wants a password");
    setenv("MISORA_REDIS_PASSWORD", "wrong", 1);
    CHECK_INT(admin("audit"), EXIT_CODE_CONFIG);
    CHECK_HAS(text, "Redis refused the login");
    unsetenv("MISORA_REDIS_PASSWORD");
    redis_pool_give(pool, r);
    redis_pool_close(pool);
}

/* Last: closes the server of this program. */
static void nothing_is_left_over(void) {
    if (server.pid > 0) redis_server_close(&server);
}

static const struct test tests[] = {
    TEST(wrong_lines_are_refused_with_the_right_code),
    TEST(migrate_makes_an_empty_redis_ready),
    TEST(a_key_is_shown_once_and_can_be_revoked),
    TEST(a_dead_letter_is_shown_retried_and_dropped),
    TEST(the_audit_ends_with_1_when_something_is_wrong),
    TEST(a_wrong_password_and_newer_data_are_wrong_configuration),
    TEST(nothing_is_left_over),
};
TEST_MAIN(tests)
