/* The Redis door: deadlines, reconnects, the breaker, and peers that talk nonsense. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/redis.h"
#include "tests/lib/check.h"
#include "tests/lib/redis_server.h"

/* ---- a peer that answers each connection with fixed bytes ---- */

struct liar {
    int fd;
    const char *bytes;
    size_t n;
    bool stays; /* keeps the line open after the bytes */
    char folder[64], url[96];
    pthread_t thread;
    int client; /* the connection that stays open */
};

static void *liar_run(void *arg) {
    struct liar *l = arg;
    char request[4096];
    for (;;) {
        int fd = accept(l->fd, NULL, NULL);
        if (fd < 0) return NULL;
        if (read(fd, request, sizeof(request)) > 0)
            for (size_t at = 0; at < l->n;) {
                ssize_t n = send(fd, l->bytes + at, l->n - at, MSG_NOSIGNAL);
                if (n <= 0) break;
                at += (size_t)n;
            }
        if (l->stays && l->client < 0)
            l->client = fd;
        else
            close(fd);
    }
}

static void liar_open(struct liar *l, const char *bytes, size_t n, bool stays) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *l = (struct liar){.bytes = bytes, .n = n, .stays = stays, .client = -1};
    snprintf(l->folder, sizeof(l->folder), "/tmp/misora-liar.XXXXXX");
    CHECK(mkdtemp(l->folder) != NULL);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", l->folder);
    snprintf(l->url, sizeof(l->url), "unix:%s/s", l->folder);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(bind(l->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    CHECK_INT(listen(l->fd, 8), 0);
    pthread_create(&l->thread, NULL, liar_run, l);
}

static void liar_close(struct liar *l) {
    char path[96];
    shutdown(l->fd, SHUT_RDWR);
    close(l->fd);
    pthread_join(l->thread, NULL);
    if (l->client >= 0) close(l->client);
    snprintf(path, sizeof(path), "%s/s", l->folder);
    unlink(path);
    rmdir(l->folder);
}

static struct redis_pool *pool_of(const char *url, int timeout_ms) {
    struct redis_opts opts = {.url = url, .ns = "test", .timeout_ms = timeout_ms, .max_conns = 2};
    struct redis_pool *pool = NULL;
    struct fail f = {0};
    CHECK_OK(redis_pool_open(&pool, &opts, &f), &f);
    return pool;
}

/* One PING at `url`. */
static enum err ping(const char *url, int timeout_ms, struct fail *f) {
    struct str args[1] = {str_of("PING")};
    struct redis *r = NULL;
    struct redis_pool *pool = pool_of(url, timeout_ms);
    enum err rc = redis_pool_borrow(pool, &r, f);
    if (rc == ERR_OK) {
        rc = redis_call(r, NULL, 1, args, f);
        redis_pool_give(pool, r);
    }
    redis_pool_close(pool);
    return rc;
}

static void nonsense_on_the_wire_ends_the_connection_and_nothing_else(void) {
    static const struct {
        const char *name, *bytes;
    } rows[] = {
        {"not RESP", "HTTP/1.1 400 Bad Request\r\n\r\n"},
        {"a length of -2", "$-2\r\n"},
        {"a list of -2", "*-2\r\n"},
        {"a list of 2^31", "*2147483648\r\n"},
        {"a list of 2^31-1", "*2147483647\r\n"},
        {"a list of two million", "*2000000\r\n"},
        {"a length in words", "$abc\r\n"},
        {"a length of 10^30", "$1000000000000000000000000000000\r\n"},
        {"lists nested 8 deep", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"},
        {"lists nested 9 deep", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"},
        {"a reply cut short", "$10\r\nabc"},
        {"a list cut short", "*3\r\n:1\r\n"},
        {"nothing at all", ""},
        {"a long error", "-ERR no\r\n"},
        {"RESP3 null", "_\r\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct liar l;
        struct fail f = {0};
        liar_open(&l, rows[i].bytes, strlen(rows[i].bytes), false);
        int64_t began_ms = now_mono_ms();
        enum err rc = ping(l.url, 500, &f);
        int64_t ms = now_mono_ms() - began_ms;
        /* hiredis takes 7 levels; one level more or less is its business, a crash is ours. */
        if (strstr(rows[i].name, "nested 8") == NULL) CHECK_INT(rc, ERR_UNAVAILABLE);
        if (ms > 2000) fprintf(stderr, "  %s took %d ms\n", rows[i].name, (int)ms);
        CHECK(ms <= 2000);
        liar_close(&l);
    }
}

static void an_error_of_a_megabyte_is_cut(void) {
    size_t n = 1 << 20;
    char *bytes = mem_take(n + 3, 1);
    struct liar l;
    struct fail f = {0};
    memset(bytes, 'x', n);
    memcpy(bytes, "-ERR ", 5);
    memcpy(bytes + n, "\r\n", 2);
    liar_open(&l, bytes, n + 2, false);
    CHECK_INT(ping(l.url, 2000, &f), ERR_UNAVAILABLE);
    CHECK_HAS(f.text, "Redis answered: ERR xxx");
    liar_close(&l);
    mem_free(bytes);
}

static void silence_ends_at_the_deadline(void) {
    static const char *const starts[] = {"", "$10\r\nabc", "*2\r\n:1\r\n"};
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct liar l;
        struct fail f = {0};
        liar_open(&l, starts[i], strlen(starts[i]), true);
        int64_t began_ms = now_mono_ms();
        CHECK_INT(ping(l.url, 300, &f), ERR_UNAVAILABLE);
        int64_t ms = now_mono_ms() - began_ms;
        CHECK(ms >= 290 && ms < 1500);
        CHECK_STR(f.text, "Redis did not answer within 300 ms");
        liar_close(&l);
    }
}

static void error_replies_say_who_must_act(void) {
    static const struct {
        const char *reply, *words;
        bool is_refused;
    } rows[] = {
        {"-LOADING Redis is loading the dataset in memory\r\n", "Redis is loading its data", false},
        {"-MISCONF Errors writing to the AOF file\r\n", "Redis cannot write to its disk", false},
        {"-OOM command not allowed\r\n", "Redis is out of memory", false},
        {"-READONLY You can't write against a read only replica.\r\n", "this Redis is a replica",
         false},
        {"-BUSY Redis is busy running a script.\r\n", "Redis is busy with a long call", false},
        {"-NOAUTH Authentication required.\r\n", "Redis wants a password", true},
        {"-NOPERM this user has no permissions\r\n", "the Redis user lacks a right", true},
        {"-CLUSTERDOWN Hash slot not served\r\n", "the Redis cluster is down", false},
        {"-WRONGTYPE Operation against a key\r\n", "a key in Redis has the wrong type", false},
        {"-ERR Function not found\r\n", "run: misora admin migrate", false},
        {"-ERR unknown command\r\n", "Redis answered: ERR unknown command", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct liar l;
        struct fail f = {0};
        struct redis *r = NULL;
        struct str args[1] = {str_of("PING")};
        liar_open(&l, rows[i].reply, strlen(rows[i].reply), false);
        struct redis_pool *pool = pool_of(l.url, 1000);
        CHECK_OK(redis_pool_borrow(pool, &r, &f), &f);
        CHECK_INT(redis_call(r, NULL, 1, args, &f), ERR_UNAVAILABLE);
        CHECK_HAS(f.text, rows[i].words);
        CHECK_INT(redis_pool_is_refused(pool), rows[i].is_refused);
        redis_pool_give(pool, r);
        redis_pool_close(pool);
        liar_close(&l);
    }
}

static void replies_are_read_by_kind(void) {
    static const char bytes[] =
        "*6\r\n+OK\r\n:-7\r\n$3\r\n12x\r\n$-1\r\n*2\r\n$1\r\na\r\n$2\r\n42\r\n$0\r\n\r\n";
    struct liar l;
    struct fail f = {0};
    struct redis *r = NULL;
    struct redis_reply *reply = NULL;
    struct str args[1] = {str_of("PING")};
    liar_open(&l, bytes, sizeof(bytes) - 1, false);
    struct redis_pool *pool = pool_of(l.url, 1000);
    CHECK_OK(redis_pool_borrow(pool, &r, &f), &f);
    CHECK_OK(redis_call(r, &reply, 1, args, &f), &f);
    CHECK_INT(redis_reply_len(reply), 6);
    CHECK_STR(redis_reply_text(redis_reply_at(reply, 0)), "OK");
    CHECK_INT(redis_reply_i64(redis_reply_at(reply, 1), 0), -7);
    CHECK_INT(redis_reply_i64(redis_reply_at(reply, 2), 99), 99);
    CHECK_INT(redis_reply_kind(redis_reply_at(reply, 3)), REDIS_NIL);
    CHECK_INT(redis_reply_i64(redis_reply_field(redis_reply_at(reply, 4), "a"), 0), 42);
    CHECK_INT(redis_reply_kind(redis_reply_field(redis_reply_at(reply, 4), "b")), REDIS_NIL);
    CHECK_STR(redis_reply_text(redis_reply_at(reply, 5)), "");
    CHECK_INT(redis_reply_kind(redis_reply_at(reply, 6)), REDIS_NIL);
    CHECK_STR(redis_reply_text(redis_reply_at(reply, 1)), "");
    redis_reply_free(reply);
    redis_pool_give(pool, r);
    redis_pool_close(pool);
    liar_close(&l);
}

static void urls_are_read_or_refused_in_words(void) {
    static const struct {
        const char *url, *ns, *words; /* NULL = accepted */
    } rows[] = {
        {"redis://localhost", NULL, NULL},
        {"redis://127.0.0.1:6380/", "a-b_9", NULL},
        {"redis://user:p@ss:word@host:1", NULL, NULL},
        {"unix:/run/redis.sock", NULL, NULL},
        {"unix:///run/redis.sock", NULL, NULL},
        {"http://localhost", NULL, "must begin with redis:// or unix:/"},
        {"", NULL, "must begin with redis:// or unix:/"},
        {"redis://", NULL, "names no host"},
        {"redis://:6379", NULL, "names no host"},
        {"redis://host:0", NULL, "has port \"0\""},
        {"redis://host:65536", NULL, "has port \"65536\""},
        {"redis://host:80a", NULL, "has port \"80a\""},
        {"redis://host", "", "namespace must be"},
        {"redis://host", "a*b", "namespace must be"},
        {"redis://host", "{x}", "namespace must be"},
        {"redis://host", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "namespace must be"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct redis_opts opts = {.url = rows[i].url, .ns = rows[i].ns};
        struct redis_pool *pool = NULL;
        struct fail f = {0};
        enum err rc = redis_pool_open(&pool, &opts, &f);
        CHECK_INT(rc, rows[i].words == NULL ? ERR_OK : ERR_INPUT);
        if (rows[i].words != NULL) CHECK_HAS(f.text, rows[i].words);
        redis_pool_close(pool);
    }
}

static void a_closed_door_is_not_tried_again_at_once(void) {
    struct fail f = {0};
    struct redis *r = NULL;
    struct redis_pool *pool = pool_of("unix:/tmp/misora-no-such-socket", 2000);
    int64_t began_ms = now_mono_ms();
    for (int i = 0; i < 1000; i++)
        CHECK_INT(redis_pool_borrow(pool, &r, &f), ERR_UNAVAILABLE);
    CHECK(now_mono_ms() - began_ms < 2000);
    CHECK_HAS(f.text, "No such file");
    redis_pool_close(pool);
}

static void the_pool_lends_no_more_than_it_has(void) {
    struct redis_server s;
    struct fail f = {0};
    struct redis *a = NULL, *b = NULL, *c = NULL;
    if (!redis_server_open(&s)) {
        test_skip("redis-server cannot be started");
        return;
    }
    struct redis_pool *pool = pool_of(s.url, 200);
    CHECK_OK(redis_pool_borrow(pool, &a, &f), &f);
    CHECK_OK(redis_pool_borrow(pool, &b, &f), &f);
    CHECK_INT(redis_pool_borrow(pool, &c, &f), ERR_UNAVAILABLE);
    CHECK_STR(f.text, "all 2 Redis connections are in use");
    redis_pool_give(pool, a);
    CHECK_OK(redis_pool_borrow(pool, &c, &f), &f);
    CHECK(c == a);
    redis_pool_give(pool, b);
    redis_pool_give(pool, c);
    redis_pool_close(pool);
    redis_server_close(&s);
}

static void a_restart_of_redis_is_healed_by_the_next_call(void) {
    struct redis_server s;
    struct fail f = {0};
    struct redis *r = NULL;
    struct str args[1] = {str_of("PING")};
    if (!redis_server_open(&s)) {
        test_skip("redis-server cannot be started");
        return;
    }
    struct redis_pool *pool = pool_of(s.url, 2000);
    CHECK_OK(redis_pool_borrow(pool, &r, &f), &f);
    CHECK_OK(redis_call(r, NULL, 1, args, &f), &f);
    redis_server_kill(&s);
    int64_t began_ms = now_mono_ms();
    CHECK_INT(redis_call(r, NULL, 1, args, &f), ERR_UNAVAILABLE);
    CHECK(now_mono_ms() - began_ms < 3000);
    CHECK(redis_server_reopen(&s));
    now_sleep_ms(200); /* the breaker is open for 25..50 ms */
    CHECK_OK(redis_call(r, NULL, 1, args, &f), &f);
    redis_server_kill(&s);
    CHECK(redis_server_reopen(&s));
    CHECK_OK(redis_call(r, NULL, 1, args, &f), &f); /* resent on a new connection, nobody notices */
    redis_pool_give(pool, r);
    redis_pool_close(pool);
    redis_server_close(&s);
}

static const struct test tests[] = {
    TEST(nonsense_on_the_wire_ends_the_connection_and_nothing_else),
    TEST(an_error_of_a_megabyte_is_cut),
    TEST(silence_ends_at_the_deadline),
    TEST(error_replies_say_who_must_act),
    TEST(replies_are_read_by_kind),
    TEST(urls_are_read_or_refused_in_words),
    TEST(a_closed_door_is_not_tried_again_at_once),
    TEST(the_pool_lends_no_more_than_it_has),
    TEST(a_restart_of_redis_is_healed_by_the_next_call),
};
TEST_MAIN(tests)
