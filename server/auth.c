#include "server/auth.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/queue.h"
#include "common/queue_key.h"

struct cache_row {
    unsigned char hash[SHA256_BYTES]; /* of the whole key as sent */
    int64_t until_ms;
    struct queue_key key;
};

struct auth {
    pthread_mutex_t lock;
    struct cache_row rows[AUTH_CACHE_ROWS];
};

enum err auth_make(struct auth **out, struct fail *f) {
    struct auth *a = mem_take(1, sizeof(*a));
    if (!a) return FAIL(f, ERR_NOMEM, "no memory for the key cache");
    pthread_mutex_init(&a->lock, NULL);
    *out = a;
    return ERR_OK;
}

void auth_free(struct auth *a) {
    if (!a) return;
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
}

static void hash_text(const char *text, unsigned char out[SHA256_BYTES]) {
    struct sha256 s;
    sha256_start(&s);
    sha256_add(&s, text, strlen(text));
    sha256_end(&s, out);
}

static bool find_cached(struct auth *a, const unsigned char *hash, struct queue_key *out) {
    bool is_found = false;
    struct cache_row *row = &a->rows[hash[0] % AUTH_CACHE_ROWS];
    pthread_mutex_lock(&a->lock);
    if (row->until_ms > now_mono_ms() && sha256_equal(row->hash, hash, SHA256_BYTES)) {
        *out = row->key;
        is_found = true;
    }
    pthread_mutex_unlock(&a->lock);
    if (is_found && out->expires_ms && out->expires_ms < now_wall_ms()) return false;
    return is_found;
}

static void add_cached(struct auth *a, const unsigned char *hash, const struct queue_key *key) {
    struct cache_row *row = &a->rows[hash[0] % AUTH_CACHE_ROWS];
    pthread_mutex_lock(&a->lock);
    memcpy(row->hash, hash, SHA256_BYTES);
    row->key = *key;
    row->until_ms = now_mono_ms() + AUTH_CACHE_MS;
    pthread_mutex_unlock(&a->lock);
}

/* The key behind "Bearer "; false when there is none that could be one. */
static bool read_bearer(const struct request *req, char out[QUEUE_KEY_TEXT_MAX]) {
    struct str value = request_header(req, "authorization"), scheme;
    if (!str_split(&value, ' ', &scheme) || !value.p || !str_eq_nocase(scheme, "bearer"))
        return false;
    value = str_trim(value);
    return value.n > 0 && str_copy(out, QUEUE_KEY_TEXT_MAX, value) &&
           !memchr(value.p, ' ', value.n);
}

/* The caller's address: what the proxy wrote last, or the socket's other end. */
static struct str caller_address(const struct server *s, const struct request *req) {
    struct str list = request_header(req, "x-forwarded-for"), part, last = {0};
    if (!s->opts.behind_proxy) return req->peer;
    while (str_split(&list, ',', &part))
        last = str_trim(part);
    for (size_t i = 0; i < last.n; i++)
        if (!strchr("0123456789abcdefABCDEF:.", last.p[i])) return req->peer;
    return last.n && last.n < 46 ? last : req->peer;
}

/* Counts one wrong key of this address; true when there were too many. */
static bool is_guessing(struct server *s, struct redis *r, const struct request *req,
                        int64_t *wait_ms) {
    char name[80];
    int left = 0;
    struct str from = caller_address(s, req);
    const struct queue_rate rate = {AUTH_FAILURES_PER_MINUTE / 60.0, AUTH_FAILURES_PER_MINUTE};
    snprintf(name, sizeof(name), "authfail:%.*s", (int)from.n, from.p);
    return queue_rate(r, wait_ms, &left, name, &rate, NULL) == ERR_OK && *wait_ms > 0;
}

static int ceil_seconds(int64_t ms) {
    int64_t s = (ms + 999) / 1000;
    return s < 1 ? 1 : s > 60 ? 60 : (int)s;
}

static void refuse_key(struct server *s, struct redis *r, struct request *req, const char *text) {
    int64_t wait_ms = 0;
    struct problem p;
    if (is_guessing(s, r, req, &wait_ms)) {
        (void)problem_set(&p, PROBLEM_RATE_LIMIT_EXCEEDED, "",
                          "too many requests with wrong keys from this address; wait");
        p.retry_after_s = ceil_seconds(wait_ms);
    } else {
        (void)problem_set(&p, PROBLEM_INVALID_API_KEY, "", "%s", text);
    }
    request_reply_problem(req, &p);
}

/* OpenAI's headers and the IETF draft's, both. */
static void add_rate_headers(struct request *req, const struct queue_rate *rate, int left) {
    double reset_s = (rate->burst - left) / rate->per_second;
    int64_t window_s = (int64_t)(rate->burst / rate->per_second + 0.999);
    request_reply_header(req, "x-ratelimit-limit-requests", "%d", rate->burst);
    request_reply_header(req, "x-ratelimit-remaining-requests", "%d", left);
    request_reply_header(req, "x-ratelimit-reset-requests", "%lldms", (long long)(reset_s * 1000));
    request_reply_header(req, "RateLimit-Policy", "\"requests\";q=%d;w=%lld", rate->burst,
                         (long long)(window_s < 1 ? 1 : window_s));
    request_reply_header(req, "RateLimit", "\"requests\";r=%d;t=%lld", left,
                         (long long)(reset_s + 0.999));
}

static void check_rate(struct server *s, struct redis *r, struct request *req,
                       const struct queue_key *key) {
    struct fail f = {0};
    struct problem p;
    char name[80];
    int64_t wait_ms = 0;
    int left = 0;
    const struct queue_rate rate = {key->rate_per_second > 0 ? key->rate_per_second
                                                             : s->opts.rate_per_second,
                                    key->burst > 0 ? key->burst : (int)s->opts.rate_burst};
    snprintf(name, sizeof(name), "key:%s", key->kid);
    if (queue_rate(r, &wait_ms, &left, name, &rate, &f) != ERR_OK) {
        server_reply_fail(req, &f);
        return;
    }
    add_rate_headers(req, &rate, left);
    if (wait_ms == 0) return;
    (void)problem_set(&p, PROBLEM_RATE_LIMIT_EXCEEDED, "",
                      "this key may send %g requests a second; try again in %lld ms",
                      rate.per_second, (long long)wait_ms);
    p.retry_after_s = ceil_seconds(wait_ms);
    request_reply_problem(req, &p);
}

static void check_key(struct server *s, struct redis *r, struct request *req, const char *text) {
    unsigned char hash[SHA256_BYTES];
    struct queue_key key = {0};
    struct fail f = {0};
    hash_text(text, hash);
    bool is_cached = find_cached(s->auth, hash, &key);
    enum err rc = is_cached ? ERR_OK : queue_key_find(r, &key, text, &f);
    if (rc == ERR_NOT_FOUND) {
        refuse_key(s, r, req, "Incorrect API key provided.");
        return;
    }
    if (rc != ERR_OK) {
        server_reply_fail(req, &f);
        return;
    }
    if (!is_cached) add_cached(s->auth, hash, &key);
    (void)str_copy(req->tenant, sizeof(req->tenant), str_of(key.tenant));
    (void)str_copy(req->kid, sizeof(req->kid), str_of(key.kid));
    check_rate(s, r, req, &key);
}

void auth_check(struct server *s, struct request *req) {
    struct redis *r = NULL;
    char text[QUEUE_KEY_TEXT_MAX], kid[QUEUE_KEY_ID_MAX];
    if (s->opts.no_auth) {
        (void)str_copy(req->tenant, sizeof(req->tenant), str_of(QUEUE_TENANT_LOCAL));
        return;
    }
    bool has_key = read_bearer(req, text);
    if (server_borrow(s, req, &r) != ERR_OK) return;
    if (!has_key)
        refuse_key(s, r, req, "Send your API key as Authorization: Bearer KEY.");
    else if (!queue_key_is_well_formed(text, kid))
        refuse_key(s, r, req, "Incorrect API key provided.");
    else
        check_key(s, r, req, text);
    server_give(s, req, r);
}
