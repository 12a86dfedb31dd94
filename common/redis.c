#include "common/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/now.h"

enum {
    REDIS_REPLY_BYTES_MAX = 64 * 1024 * 1024, /* unparsed bytes of one reply */
    REDIS_ELEMENTS_MAX = 1 << 20,             /* of one list */
    REDIS_BACKOFF_MIN_MS = 50,
    REDIS_BACKOFF_MAX_MS = 2000,
    REDIS_WHERE_MAX = 256,
    REDIS_WORDS_MAX = 160
};

struct redis_reply {
    enum redis_kind kind;
    bool is_error;
    int64_t number;
    char *text; /* NUL-terminated; NULL unless kind is REDIS_TEXT */
    size_t n;   /* bytes of text, or number of elements */
    struct redis_reply **element;
};

/* Guarded by `lock` unless it says fixed. */
struct redis_pool {
    pthread_mutex_t lock;
    pthread_cond_t given;
    char host[REDIS_WHERE_MAX];                          /* or the path of a unix socket; fixed */
    int port;                                            /* 0 = unix socket; fixed */
    char user[REDIS_WORDS_MAX], secret[REDIS_WHERE_MAX]; /* fixed */
    char prefix[REDIS_WORDS_MAX];                        /* "{ns}:"; fixed */
    int timeout_ms, max_conns;                           /* fixed */
    int n_lent, n_idle;
    struct redis *idle[REDIS_CONNS_MAX]; /* newest last */
    int n_refusals;                      /* failed connects in a row */
    int64_t closed_until_ms;             /* breaker: no connect before, monotonic */
    bool is_refused;
    char words[REDIS_WORDS_MAX]; /* of the last failed connect */
};

struct redis {
    struct redis_pool *pool;
    redisContext *ctx; /* NULL = not connected */
    char words[REDIS_WORDS_MAX];
};

/* ---- replies: built here instead of by hiredis, so that sizes have caps and one owner ---- */

static const struct redis_reply nil_reply;

static struct redis_reply *reply_make(const redisReadTask *task, enum redis_kind kind) {
    struct redis_reply *reply = mem_take(1, sizeof(*reply));
    if (reply == NULL) return NULL;
    reply->kind = kind;
    if (task->parent != NULL) {
        struct redis_reply *parent = task->parent->obj;
        parent->element[task->idx] = reply;
    }
    return reply;
}

static void *on_text(const redisReadTask *task, char *bytes, size_t n) {
    char *copy = mem_take(n + 1, 1);
    if (copy == NULL) return NULL;
    memcpy(copy, bytes, n);
    struct redis_reply *reply = reply_make(task, REDIS_TEXT);
    if (reply == NULL) {
        mem_free(copy);
        return NULL;
    }
    reply->text = copy;
    reply->n = n;
    reply->is_error = task->type == REDIS_REPLY_ERROR;
    return reply;
}

static void *on_list(const redisReadTask *task, int n) {
    if (n < 0 || n > REDIS_ELEMENTS_MAX) return NULL;
    struct redis_reply **element = mem_take((size_t)n, sizeof(struct redis_reply *));
    if (element == NULL) return NULL;
    struct redis_reply *reply = reply_make(task, REDIS_LIST);
    if (reply == NULL) {
        mem_free(element);
        return NULL;
    }
    reply->element = element;
    reply->n = (size_t)n;
    return reply;
}

static void *on_number(const redisReadTask *task, long long value) {
    struct redis_reply *reply = reply_make(task, REDIS_NUMBER);
    if (reply != NULL) reply->number = value;
    return reply;
}

static void *on_nil(const redisReadTask *task) {
    return reply_make(task, REDIS_NIL);
}

/* Depth is bounded by hiredis (7). */
void redis_reply_free(struct redis_reply *reply) {
    if (reply == NULL) return;
    if (reply->kind == REDIS_LIST)
        for (size_t i = 0; i < reply->n; i++)
            redis_reply_free(reply->element[i]);
    mem_free(reply->element);
    mem_free(reply->text);
    mem_free(reply);
}

static void on_free(void *reply) {
    redis_reply_free(reply);
}

static redisReplyObjectFunctions reply_functions = {on_text, on_list, on_number, on_nil, on_free};

enum redis_kind redis_reply_kind(const struct redis_reply *reply) {
    return reply->kind;
}

size_t redis_reply_len(const struct redis_reply *reply) {
    return reply->kind == REDIS_LIST ? reply->n : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i) {
    if (i >= redis_reply_len(reply) || reply->element[i] == NULL) return &nil_reply;
    return reply->element[i];
}

struct str redis_reply_str(const struct redis_reply *reply) {
    if (reply->kind != REDIS_TEXT) return (struct str){"", 0};
    return (struct str){reply->text, reply->n};
}

const char *redis_reply_text(const struct redis_reply *reply) {
    return redis_reply_str(reply).p;
}

int64_t redis_reply_i64(const struct redis_reply *reply, int64_t otherwise) {
    if (reply->kind == REDIS_NUMBER) return reply->number;
    int64_t value;
    if (!str_parse_i64(redis_reply_str(reply), INT64_MIN, INT64_MAX, &value)) return otherwise;
    return value;
}

const struct redis_reply *redis_reply_field(const struct redis_reply *reply, const char *name) {
    size_t n = redis_reply_len(reply);
    for (size_t i = 0; i + 1 < n; i += 2)
        if (str_eq(redis_reply_str(redis_reply_at(reply, i)), name))
            return redis_reply_at(reply, i + 1);
    return &nil_reply;
}

/* ---- options ---- */

static enum err read_address(struct redis_pool *pool, struct str rest, struct fail *f) {
    struct str part;
    int64_t port = 6379;
    for (size_t i = rest.n; i > 0; i--) { /* the last @ ends user and password */
        if (rest.p[i - 1] != '@') continue;
        struct str who = {rest.p, i - 1};
        rest = (struct str){rest.p + i, rest.n - i};
        bool is_split = str_split(&who, ':', &part);
        if (!is_split || !str_copy(pool->user, sizeof(pool->user), part) ||
            !str_copy(pool->secret, sizeof(pool->secret), who))
            return FAIL(f, ERR_INPUT, "the Redis url has a user or password that is too long");
        break;
    }
    if (rest.n > 0 && rest.p[rest.n - 1] == '/') rest.n--;
    bool has_host = str_split(&rest, ':', &part);
    if (!has_host || part.n == 0 || !str_copy(pool->host, sizeof(pool->host), part))
        return FAIL(f, ERR_INPUT,
                    "the Redis url names no host: use redis://host:port or unix:/path");
    if (rest.n > 0 && !str_parse_i64(rest, 1, 65535, &port))
        return FAIL(f, ERR_INPUT, "the Redis url has port \"%.*s\", need 1..65535", (int)rest.n,
                    rest.p);
    pool->port = (int)port;
    return ERR_OK;
}

static enum err read_url(struct redis_pool *pool, const char *url, struct fail *f) {
    struct str s = str_of(url);
    if (str_starts(s, "redis://")) return read_address(pool, (struct str){s.p + 8, s.n - 8}, f);
    if (!str_starts(s, "unix:/"))
        return FAIL(f, ERR_INPUT, "the Redis url must begin with redis:// or unix:/");
    s = (struct str){s.p + 5, s.n - 5};
    while (str_starts(s, "//"))
        s = (struct str){s.p + 1, s.n - 1};
    if (!str_copy(pool->host, sizeof(pool->host), s))
        return FAIL(f, ERR_INPUT, "the path of the Redis socket is too long");
    return ERR_OK;
}

static enum err read_namespace(struct redis_pool *pool, const char *ns, struct fail *f) {
    size_t n = strlen(ns);
    bool is_plain =
        n > 0 && n <= 32 &&
        strspn(ns, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
    if (!is_plain)
        return FAIL(f, ERR_INPUT, "the Redis namespace must be 1..32 letters, digits, _ or -");
    snprintf(pool->prefix, sizeof(pool->prefix), "{%s}:", ns);
    return ERR_OK;
}

enum err redis_pool_open(struct redis_pool **out, const struct redis_opts *opts, struct fail *f) {
    enum err rc = ERR_OK;
    struct redis_pool *pool = mem_take(1, sizeof(*pool));
    *out = NULL;
    if (pool == NULL) return FAIL(f, ERR_NOMEM, "no memory for the Redis pool");
    TRY(read_url(pool, opts->url != NULL ? opts->url : "redis://127.0.0.1:6379", f));
    TRY(read_namespace(pool, opts->ns != NULL ? opts->ns : "misora", f));
    if (opts->password != NULL &&
        !str_copy(pool->secret, sizeof(pool->secret), str_of(opts->password)))
        TRY(FAIL(f, ERR_INPUT, "the Redis password is too long"));
    pool->timeout_ms = opts->timeout_ms > 0 ? opts->timeout_ms : REDIS_CALL_MS;
    pool->max_conns = opts->max_conns > 0 ? opts->max_conns : 32;
    if (pool->max_conns > REDIS_CONNS_MAX)
        TRY(FAIL(f, ERR_INPUT, "%d Redis connections are asked for, at most %d are possible",
                 opts->max_conns, REDIS_CONNS_MAX));
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->given, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&pool->lock, NULL);
    *out = pool;
    pool = NULL;
out:
    mem_free(pool);
    return rc;
}

/* ---- connecting ---- */

static void hang_up(struct redis *r) {
    if (r->ctx != NULL) redisFree(r->ctx);
    r->ctx = NULL;
}

static void note_words(struct redis *r, const char *words) {
    str_copy(r->words, sizeof(r->words), str_of(words));
    r->words[strcspn(r->words, "\r\n")] = 0;
}

static int wait_for(redisContext *ctx, short events, int64_t deadline_ms) {
    struct pollfd p = {.fd = ctx->fd, .events = events};
    int64_t left = deadline_ms - now_mono_ms();
    int n;
    do
        n = poll(&p, 1, left > 0 ? (int)left : 0);
    while (n < 0 && errno == EINTR);
    return n;
}

enum wire { WIRE_OK, WIRE_SLOW, WIRE_LOST };

static enum wire wire_lost(struct redis *r, const char *words) {
    note_words(r, words);
    return WIRE_LOST;
}

/* Not redisBufferWrite: it would raise SIGPIPE on a dead line, and may block longer than we do. */
static enum wire wire_write(struct redis *r, const char *bytes, size_t n, int64_t deadline_ms) {
    for (size_t at = 0; at < n;) {
        if (wait_for(r->ctx, POLLOUT, deadline_ms) <= 0) return WIRE_SLOW;
        ssize_t sent = send(r->ctx->fd, bytes + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return wire_lost(r, strerror(errno));
        if (sent > 0) at += (size_t)sent;
    }
    return WIRE_OK;
}

/* The deadline is for the whole reply, not for each read: a peer that drips bytes is slow. */
static enum wire wire_read(struct redis *r, struct redis_reply **out, int64_t deadline_ms) {
    void *reply = NULL;
    for (;;) {
        if (redisGetReplyFromReader(r->ctx, &reply) != REDIS_OK)
            return wire_lost(r, r->ctx->errstr);
        if (reply != NULL) break;
        if (r->ctx->reader->len > REDIS_REPLY_BYTES_MAX)
            return wire_lost(r, "the reply is too long");
        if (wait_for(r->ctx, POLLIN, deadline_ms) <= 0) return WIRE_SLOW;
        if (redisBufferRead(r->ctx) != REDIS_OK) return wire_lost(r, r->ctx->errstr);
    }
    *out = reply;
    return WIRE_OK;
}

static enum wire exchange(struct redis *r, struct redis_reply **out, int deadline_in_ms, int n_args,
                          const struct str *args) {
    const char *argv[REDIS_ARGS_MAX];
    size_t lens[REDIS_ARGS_MAX];
    char *command = NULL;
    int64_t deadline_ms = now_mono_ms() + deadline_in_ms;
    for (int i = 0; i < n_args; i++) {
        argv[i] = args[i].n > 0 ? args[i].p : "";
        lens[i] = args[i].n;
    }
    int n = redisFormatCommandArgv(&command, n_args, argv, lens);
    if (n < 0) return wire_lost(r, "no memory for the command");
    enum wire w = wire_write(r, command, (size_t)n, deadline_ms);
    if (w == WIRE_OK) w = wire_read(r, out, deadline_ms);
    redisFreeCommand(command);
    return w;
}

static struct timeval timeval_of(int ms) {
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

/* Logs in when there is a password. False: refused (is_refused is set) or the line broke. */
static bool log_in(struct redis *r, bool *is_refused) {
    const struct redis_pool *pool = r->pool;
    struct redis_reply *reply = NULL;
    struct str args[3] = {str_of("AUTH"), str_of(pool->user), str_of(pool->secret)};
    if (pool->secret[0] == 0) return true;
    if (pool->user[0] == 0) args[1] = args[2];
    int n = pool->user[0] == 0 ? 2 : 3;
    bool is_answered = exchange(r, &reply, pool->timeout_ms, n, args) == WIRE_OK;
    bool is_welcome = is_answered && !reply->is_error;
    if (is_answered && reply->is_error) {
        note_words(r, reply->text);
        *is_refused = true;
    }
    redis_reply_free(reply);
    return is_welcome;
}

static bool dial_failed(struct redis *r, const char *words) {
    note_words(r, words);
    return false;
}

static bool dial(struct redis *r, bool *is_refused) {
    const struct redis_pool *pool = r->pool;
    struct timeval limit = timeval_of(pool->timeout_ms);
    r->ctx = pool->port != 0 ? redisConnectWithTimeout(pool->host, pool->port, limit)
                             : redisConnectUnixWithTimeout(pool->host, limit);
    if (r->ctx == NULL) return dial_failed(r, "no memory for a connection");
    if (r->ctx->err != 0) return dial_failed(r, r->ctx->errstr);
    r->ctx->reader->fn = &reply_functions;
    if (redisSetTimeout(r->ctx, limit) != REDIS_OK) return dial_failed(r, r->ctx->errstr);
    return log_in(r, is_refused);
}

/* Remembers how the connect went; a failure closes the door for 50 ms, doubling to 2 s, with
 * jitter. */
static void note_connect(struct redis *r, bool is_connected, bool is_refused) {
    struct redis_pool *pool = r->pool;
    unsigned char noise;
    id_random(&noise, 1);
    pthread_mutex_lock(&pool->lock);
    pool->is_refused = is_refused;
    if (is_connected) {
        pool->n_refusals = 0;
    } else {
        int64_t ms = REDIS_BACKOFF_MIN_MS;
        for (int i = 0; i < pool->n_refusals && ms < REDIS_BACKOFF_MAX_MS; i++)
            ms *= 2;
        if (ms > REDIS_BACKOFF_MAX_MS) ms = REDIS_BACKOFF_MAX_MS;
        pool->n_refusals++;
        pool->closed_until_ms = now_mono_ms() + ms / 2 + ms * noise / 512;
        memcpy(pool->words, r->words, sizeof(pool->words));
    }
    pthread_mutex_unlock(&pool->lock);
}

static bool is_door_closed(struct redis *r) {
    struct redis_pool *pool = r->pool;
    pthread_mutex_lock(&pool->lock);
    bool is_closed = pool->n_refusals > 0 && now_mono_ms() < pool->closed_until_ms;
    if (is_closed) memcpy(r->words, pool->words, sizeof(r->words));
    pthread_mutex_unlock(&pool->lock);
    return is_closed;
}

static enum err connect_now(struct redis *r, struct fail *f) {
    bool is_refused = false;
    if (r->ctx != NULL) return ERR_OK;
    if (is_door_closed(r)) return FAIL(f, ERR_UNAVAILABLE, "Redis is away: %s", r->words);
    bool is_connected = dial(r, &is_refused);
    note_connect(r, is_connected, is_refused);
    if (is_connected) return ERR_OK;
    hang_up(r);
    return FAIL(f, ERR_UNAVAILABLE, "Redis %s: %s",
                is_refused ? "refused the login" : "cannot be reached", r->words);
}

/* ---- the pool ---- */

static void add_ms(struct timespec *t, int ms) {
    t->tv_sec += ms / 1000;
    t->tv_nsec += (long)(ms % 1000) * 1000000;
    if (t->tv_nsec < 1000000000) return;
    t->tv_sec++;
    t->tv_nsec -= 1000000000;
}

/* Waits for a free place. Called with the lock held. */
static bool wait_for_place(struct redis_pool *pool) {
    struct timespec limit;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    add_ms(&limit, pool->timeout_ms);
    while (pool->n_lent >= pool->max_conns)
        if (pthread_cond_timedwait(&pool->given, &pool->lock, &limit) == ETIMEDOUT) return false;
    return true;
}

static enum err take_place(struct redis_pool *pool, struct redis **out, struct fail *f) {
    pthread_mutex_lock(&pool->lock);
    bool is_free = wait_for_place(pool);
    if (is_free) {
        pool->n_lent++;
        if (pool->n_idle > 0) *out = pool->idle[--pool->n_idle];
    }
    pthread_mutex_unlock(&pool->lock);
    if (!is_free)
        return FAIL(f, ERR_UNAVAILABLE, "all %d Redis connections are in use", pool->max_conns);
    return ERR_OK;
}

/* Gives a place back, with the connection that stood in it or without one. */
static void give_place(struct redis_pool *pool, struct redis *r) {
    pthread_mutex_lock(&pool->lock);
    ASSERT(pool->n_lent > 0);
    pool->n_lent--;
    if (r != NULL) pool->idle[pool->n_idle++] = r;
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}

void redis_pool_give(struct redis_pool *pool, struct redis *r) {
    if (r == NULL) return;
    bool is_whole = r->ctx != NULL;
    if (!is_whole) mem_free(r);
    give_place(pool, is_whole ? r : NULL);
}

enum err redis_pool_borrow(struct redis_pool *pool, struct redis **out, struct fail *f) {
    enum err rc = ERR_OK;
    struct redis *r = NULL;
    *out = NULL;
    TRY(take_place(pool, &r, f));
    if (r == NULL) r = mem_take(1, sizeof(*r));
    if (r == NULL) {
        give_place(pool, NULL);
        return FAIL(f, ERR_NOMEM, "no memory for a Redis connection");
    }
    r->pool = pool;
    rc = connect_now(r, f);
    if (rc == ERR_OK)
        *out = r;
    else
        redis_pool_give(pool, r);
out:
    return rc;
}

bool redis_pool_is_refused(struct redis_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    bool is_refused = pool->is_refused;
    pthread_mutex_unlock(&pool->lock);
    return is_refused;
}

void redis_pool_close(struct redis_pool *pool) {
    if (pool == NULL) return;
    ASSERT(pool->n_lent == 0);
    for (int i = 0; i < pool->n_idle; i++) {
        hang_up(pool->idle[i]);
        mem_free(pool->idle[i]);
    }
    pthread_cond_destroy(&pool->given);
    pthread_mutex_destroy(&pool->lock);
    mem_free(pool);
}

/* ---- calls ---- */

const char *redis_prefix(const struct redis *r) {
    return r->pool->prefix;
}
const char *redis_last_error(const struct redis *r) {
    return r->words;
}

/* What an error reply means to whoever has to act. */
static const struct {
    const char *word, *meaning;
    bool is_refusal; /* waiting does not help */
} error_words[] = {
    {"LOADING", "Redis is loading its data", false},
    {"MISCONF", "Redis cannot write to its disk", false},
    {"OOM", "Redis is out of memory", false},
    {"READONLY", "this Redis is a replica", false},
    {"MASTERDOWN", "the Redis master is away", false},
    {"CLUSTERDOWN", "the Redis cluster is down", false},
    {"TRYAGAIN", "Redis is moving its slots", false},
    {"MOVED", "Redis is a cluster and these keys are on another node", false},
    {"NOREPLICAS", "Redis has too few replicas", false},
    {"BUSY", "Redis is busy with a long call", false},
    {"NOAUTH", "Redis wants a password", true},
    {"WRONGPASS", "Redis refused the password", true},
    {"NOPERM", "the Redis user lacks a right", true},
    {"WRONGTYPE", "a key in Redis has the wrong type", false},
    {"ERR Function not found", "the job functions are not in Redis; run: misora admin migrate",
     false},
};

static void note_refusal(struct redis_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->is_refused = true;
    pthread_mutex_unlock(&pool->lock);
}

static enum err fail_reply(struct redis *r, const struct redis_reply *reply, struct fail *f) {
    struct str text = redis_reply_str(reply);
    note_words(r, text.p);
    for (size_t i = 0; i < sizeof(error_words) / sizeof(error_words[0]); i++) {
        if (!str_starts(text, error_words[i].word)) continue;
        if (error_words[i].is_refusal) note_refusal(r->pool);
        return FAIL(f, ERR_UNAVAILABLE, "%s (%s)", error_words[i].meaning, r->words);
    }
    return FAIL(f, ERR_UNAVAILABLE, "Redis answered: %s", r->words);
}

static enum err finish_call(struct redis *r, enum wire w, struct redis_reply *reply, int limit_ms,
                            struct redis_reply **out, struct fail *f) {
    if (w != WIRE_OK) hang_up(r);
    if (w == WIRE_SLOW) {
        note_words(r, "no answer in time");
        return FAIL(f, ERR_UNAVAILABLE, "Redis did not answer within %d ms", limit_ms);
    }
    if (w == WIRE_LOST)
        return FAIL(f, ERR_UNAVAILABLE, "the connection to Redis broke: %s", r->words);
    enum err rc = ERR_OK;
    if (reply->is_error) rc = fail_reply(r, reply, f);
    if (rc == ERR_OK && out != NULL)
        *out = reply;
    else
        redis_reply_free(reply);
    return rc;
}

static enum err call_within(struct redis *r, struct redis_reply **out, int limit_ms, int n_tries,
                            const struct str *args, int n_args, struct fail *f) {
    struct redis_reply *reply = NULL;
    enum wire w = WIRE_LOST;
    enum err rc = ERR_OK;
    ASSERT(n_args > 0 && n_args <= REDIS_ARGS_MAX);
    if (out != NULL) *out = NULL;
    for (int i = 0; i < n_tries && w == WIRE_LOST; i++) {
        TRY(connect_now(r, f));
        w = exchange(r, &reply, limit_ms, n_args, args);
        if (w == WIRE_LOST) hang_up(r);
    }
    rc = finish_call(r, w, reply, limit_ms, out, f);
out:
    return rc;
}

enum err redis_call(struct redis *r, struct redis_reply **out, int n_args, const struct str *args,
                    struct fail *f) {
    return call_within(r, out, r->pool->timeout_ms, 2, args, n_args, f);
}

enum err redis_call_wait(struct redis *r, struct redis_reply **out, int wait_ms, int n_args,
                         const struct str *args, struct fail *f) {
    ASSERT(wait_ms >= 0 && wait_ms <= REDIS_WAIT_MAX_MS);
    return call_within(r, out, r->pool->timeout_ms + wait_ms, 1, args, n_args, f);
}
