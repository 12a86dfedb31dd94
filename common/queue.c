#include "common/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/lua_text.h"
#include "common/queue_call.h"

enum {
    NONCE_HEX = 32,
    TICK_BATCH = 100,
    LOST_DELAY_MS = 1000, /* pause before a job whose worker was lost runs again */
    IDEM_TTL_MS = 86400000,
    UNDELIVERED_MS = 11 * 60 * 1000,
    KEY_MAX = 320,
    BACKOFF_MIN_MS = 10000,
    BACKOFF_MAX_MS = 600000
};

/* ---- start-up ---- */

/* Value of "name:value" in the text of INFO; {"",0} when absent. */
static struct str info_field(const char *info, const char *name) {
    size_t n = strlen(name);
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        if (*line == '\n') line++;
        if (strncmp(line, name, n) == 0 && line[n] == ':')
            return (struct str){line + n + 1, strcspn(line + n + 1, "\r\n")};
    }
    return (struct str){"", 0};
}

static enum err check_info(const char *info, struct fail *f) {
    struct str version = info_field(info, "redis_version"), major;
    struct str policy = info_field(info, "maxmemory_policy");
    int64_t n = 0;
    struct str rest = version;
    if (!str_split(&rest, '.', &major) || !str_parse_i64(major, 0, 1000, &n) || n < 7)
        return FAIL(f, ERR_CONFIG, "Redis is version %.*s, need 7.0 or newer", (int)version.n,
                    version.p);
    if (!str_eq(policy, "noeviction"))
        return FAIL(f, ERR_CONFIG,
                    "Redis has maxmemory-policy %.*s, which may drop jobs: set noeviction",
                    (int)policy.n, policy.p);
    if (!str_eq(info_field(info, "aof_enabled"), "1"))
        return FAIL(f, ERR_CONFIG,
                    "Redis has no append-only file and would forget jobs: set appendonly yes");
    return ERR_OK;
}

static enum err read_meta(struct redis *r, struct redis_reply **out, struct fail *f) {
    char key[KEY_MAX];
    struct str args[4] = {str_of("HMGET"), {key, 0}, str_of("schema"), str_of("lib")};
    args[1].n = (size_t)snprintf(key, sizeof(key), "%smeta", redis_prefix(r));
    return redis_call(r, out, 4, args, f);
}

static enum err check_library(const struct redis_reply *meta, struct fail *f) {
    char sha[SHA256_HEX + 1];
    const char *schema = queue_call_text(meta, 0);
    if (schema[0] == 0)
        return FAIL(f, ERR_CONFIG, "Redis holds no Misora data yet; run: misora admin migrate");
    if (strcmp(schema, QUEUE_SCHEMA) != 0)
        return FAIL(
            f, ERR_CONFIG,
            "the data in Redis has schema %s, this program knows %s; run: misora admin migrate",
            schema, QUEUE_SCHEMA);
    sha256_hex(lua_text, lua_text_size, sha);
    if (strcmp(queue_call_text(meta, 1), sha) != 0)
        return FAIL(f, ERR_CONFIG,
                    "the job functions in Redis are of another release; run: misora admin migrate");
    return ERR_OK;
}

/* Functions live apart from the data: FUNCTION FLUSH leaves the schema behind. */
static enum err check_functions(struct redis *r, struct fail *f) {
    struct queue_call call;
    struct redis_reply *reply = NULL;
    queue_call_make(&call, "job_stat");
    enum err rc = queue_call_send(&call, r, &reply, f);
    redis_reply_free(reply);
    if (rc == ERR_UNAVAILABLE && strstr(redis_last_error(r), "Function not found") != NULL)
        return FAIL(f, ERR_CONFIG, "the job functions are not in Redis; run: misora admin migrate");
    return rc;
}

enum err queue_check(struct redis *r, struct fail *f) {
    enum err rc = ERR_OK;
    struct redis_reply *info = NULL, *meta = NULL;
    struct str args[4] = {str_of("INFO"), str_of("server"), str_of("memory"),
                          str_of("persistence")};
    TRY(redis_call(r, &info, 4, args, f));
    TRY(check_info(redis_reply_text(info), f));
    TRY(read_meta(r, &meta, f));
    TRY(check_library(meta, f));
    TRY(check_functions(r, f));
out:
    redis_reply_free(info);
    redis_reply_free(meta);
    return rc;
}

/* ---- server ---- */

static enum err check_order(const struct queue_order *o, struct fail *f) {
    if (strlen(o->spec) > QUEUE_SPEC_MAX)
        return FAIL(f, ERR_INPUT, "the request has %zu bytes, at most %d are allowed",
                    strlen(o->spec), QUEUE_SPEC_MAX);
    if (o->hook_url != NULL && strlen(o->hook_url) >= QUEUE_URL_MAX)
        return FAIL(f, ERR_INPUT, "the webhook url is longer than %d bytes", QUEUE_URL_MAX - 1);
    if (strlen(o->id) >= QUEUE_ID_MAX || strlen(o->tenant) >= QUEUE_NAME_MAX ||
        strlen(o->lane) >= QUEUE_NAME_MAX)
        return FAIL(f, ERR_INPUT, "an id, tenant or lane is longer than %d bytes",
                    QUEUE_NAME_MAX - 1);
    if (o->priority < 0 || o->priority > 9)
        return FAIL(f, ERR_INPUT, "the priority is %d, need 0..9", o->priority);
    if (o->max_tries < 1 || o->max_tries > 100)
        return FAIL(f, ERR_INPUT, "the number of tries is %d, need 1..100", o->max_tries);
    return ERR_OK;
}

/* The order of the arguments is that of job_submit in common/lua. */
static void add_order(struct queue_call *call, const struct queue_order *o, const char *spec_sha) {
    queue_call_add(call, o->id);
    queue_call_add(call, o->tenant);
    queue_call_add(call, o->lane);
    queue_call_add_i64(call, o->priority);
    queue_call_add_i64(call, o->cost_ms > 0 ? o->cost_ms : 1);
    queue_call_add(call, o->spec);
    queue_call_add(call, spec_sha);
    queue_call_add(call, o->fingerprint);
    queue_call_add(call, o->idem);
    queue_call_add_i64(call, o->idem_ttl_ms > 0 ? o->idem_ttl_ms : IDEM_TTL_MS);
    queue_call_add_i64(call, o->delay_ms);
    queue_call_add_i64(call, o->queue_ttl_ms);
    queue_call_add_i64(call, o->run_limit_ms);
    queue_call_add_i64(call, o->max_tries);
    queue_call_add(call, o->hook_url);
    queue_call_add(call, o->hook_events != NULL ? o->hook_events : "completed,failed");
    queue_call_add_i64(call, o->keep_ms);
}

static enum err read_ticket(struct queue_ticket *out, const struct queue_call *call,
                            const struct redis_reply *reply, struct fail *f) {
    static const char *const words[] = {
        [QUEUE_NEW] = "new", [QUEUE_DUP] = "dup", [QUEUE_REPLAY] = "replay"};
    if (queue_call_says(reply, "EIDEM"))
        return FAIL(f, ERR_CONFLICT, "this idempotency key was used for another request (%s)",
                    queue_call_text(reply, 1));
    if (queue_call_says(reply, "EID"))
        return FAIL(f, ERR_CONFLICT, "a job with this id exists already");
    int64_t limit = redis_reply_i64(redis_reply_at(reply, 1), 0);
    if (queue_call_says(reply, "EFULL"))
        return FAIL(f, ERR_BUSY, "%" PRId64 " jobs are waiting, which is the limit of this queue",
                    limit);
    if (queue_call_says(reply, "EQUOTA"))
        return FAIL(f, ERR_LIMIT, "you have %" PRId64 " unfinished jobs, which is your limit",
                    limit);
    if (!queue_call_says(reply, "OK") ||
        !str_copy(out->id, sizeof(out->id), str_of(queue_call_text(reply, 1))))
        return queue_call_strange(call, reply, f);
    for (int i = 0; i < 3; i++)
        if (strcmp(queue_call_text(reply, 2), words[i]) == 0) out->born = (enum queue_born)i;
    return ERR_OK;
}

enum err queue_submit(struct redis *r, struct queue_ticket *out, const struct queue_order *order,
                      struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    char spec_sha[SHA256_HEX + 1];
    memset(out, 0, sizeof(*out));
    TRY(check_order(order, f));
    sha256_hex(order->spec, strlen(order->spec), spec_sha);
    queue_call_make(&call, "job_submit");
    add_order(&call, order, spec_sha);
    TRY(queue_call_send(&call, r, &reply, f));
    TRY(read_ticket(out, &call, reply, f));
out:
    redis_reply_free(reply);
    return rc;
}

/* Sends a call whose answer is OK and a state. */
static enum err send_for_state(struct queue_call *call, struct redis *r, enum job_state *out,
                               struct fail *f) {
    enum err rc = ERR_OK;
    struct redis_reply *reply = NULL;
    TRY(queue_call_send(call, r, &reply, f));
    *out = job_state_parse(queue_call_text(reply, 1));
    if (!queue_call_says(reply, "OK") || *out == JOB_STATE_NONE)
        TRY(queue_call_strange(call, reply, f));
out:
    redis_reply_free(reply);
    return rc;
}

enum err queue_cancel(struct redis *r, enum job_state *out, const char *id, const char *tenant,
                      const char *why, struct fail *f) {
    struct queue_call call;
    queue_call_make(&call, "job_cancel");
    queue_call_add(&call, id);
    queue_call_add(&call, tenant);
    queue_call_add(&call, why);
    return send_for_state(&call, r, out, f);
}

enum err queue_delete(struct redis *r, enum job_state *out, const char *id, const char *tenant,
                      struct fail *f) {
    struct queue_call call;
    queue_call_make(&call, "job_delete");
    queue_call_add(&call, id);
    queue_call_add(&call, tenant);
    return send_for_state(&call, r, out, f);
}

enum err queue_rate(struct redis *r, int64_t *wait_ms, int *left, const char *name,
                    const struct queue_rate *rate, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    ASSERT(rate->per_second > 0 && rate->burst > 0);
    queue_call_make(&call, "job_rate");
    queue_call_add(&call, name);
    queue_call_add_f64(&call, rate->per_second);
    queue_call_add_i64(&call, rate->burst);
    TRY(queue_call_send(&call, r, &reply, f));
    *wait_ms = redis_reply_i64(redis_reply_at(reply, 1), 0);
    *left = (int)redis_reply_i64(redis_reply_at(reply, 2), 0);
out:
    redis_reply_free(reply);
    return rc;
}

static struct str undelivered_key(char key[KEY_MAX], const struct redis *r, const char *tenant,
                                  const char *fingerprint) {
    int n = snprintf(key, KEY_MAX, "%sund:%.64s:%.64s", redis_prefix(r), tenant, fingerprint);
    return (struct str){key, (size_t)n};
}

enum err queue_undelivered_add(struct redis *r, const char *tenant, const char *fingerprint,
                               const char *id, struct fail *f) {
    char key[KEY_MAX], ms[24];
    snprintf(ms, sizeof(ms), "%d", UNDELIVERED_MS);
    struct str args[5] = {str_of("SET"), undelivered_key(key, r, tenant, fingerprint), str_of(id),
                          str_of("PX"), str_of(ms)};
    return redis_call(r, NULL, 5, args, f);
}

enum err queue_undelivered_take(struct redis *r, char out[QUEUE_ID_MAX], const char *tenant,
                                const char *fingerprint, struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[2] = {str_of("GETDEL"), undelivered_key(key, r, tenant, fingerprint)};
    TRY(redis_call(r, &reply, 2, args, f));
    if (redis_reply_kind(reply) != REDIS_TEXT ||
        !str_copy(out, QUEUE_ID_MAX, redis_reply_str(reply)))
        rc = ERR_NOT_FOUND; /* the usual answer: no words needed */
out:
    redis_reply_free(reply);
    return rc;
}

/* ---- worker: claim ---- */

static void make_nonce(char out[NONCE_HEX + 1]) {
    unsigned char raw[NONCE_HEX / 2];
    id_random(raw, sizeof(raw));
    for (size_t i = 0; i < sizeof(raw); i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static int64_t field_i64(const struct redis_reply *reply, size_t i) {
    return redis_reply_i64(redis_reply_at(reply, i), 0);
}

static bool copy_field(char *out, size_t cap, const struct redis_reply *reply, size_t i) {
    return str_copy(out, cap, redis_reply_str(redis_reply_at(reply, i)));
}

/* Reply of job_claim: OK id lease spec sh ckpt crash try maxtry runms created keep tenant lane
 * word. */
static enum err read_claim(struct queue_claim *out, const struct queue_call *call,
                           const struct redis_reply *reply, struct fail *f) {
    char sha[SHA256_HEX + 1];
    bool is_whole = copy_field(out->id, sizeof(out->id), reply, 1) &&
                    copy_field(out->lease, sizeof(out->lease), reply, 2) &&
                    copy_field(out->tenant, sizeof(out->tenant), reply, 12) &&
                    copy_field(out->lane, sizeof(out->lane), reply, 13);
    if (!queue_call_says(reply, "OK") || !is_whole || out->lease[0] == 0)
        return queue_call_strange(call, reply, f);
    struct str spec = redis_reply_str(redis_reply_at(reply, 3));
    out->spec = spec.p;
    out->ckpt = queue_call_text(reply, 5);
    out->n_crashes = (int)field_i64(reply, 6);
    out->try = (int)field_i64(reply, 7);
    out->max_tries = (int)field_i64(reply, 8);
    out->run_limit_ms = field_i64(reply, 9);
    out->created_ms = field_i64(reply, 10);
    out->keep_ms = field_i64(reply, 11);
    sha256_hex(spec.p, spec.n, sha);
    if (strcmp(sha, queue_call_text(reply, 4)) == 0) return ERR_OK;
    out->spec = "";
    return FAIL(f, ERR_CORRUPT,
                "the stored request of %s does not have the hash it was stored with", out->id);
}

static enum err claim_once(struct redis *r, struct queue_claim *out, const struct queue_seek *seek,
                           struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    char nonce[NONCE_HEX + 1];
    make_nonce(nonce);
    queue_call_make(&call, "job_claim");
    queue_call_add(&call, seek->worker);
    queue_call_add(&call, nonce);
    queue_call_add_i64(&call, seek->lease_ms > 0 ? seek->lease_ms : QUEUE_LEASE_MS);
    for (int i = 0; i < seek->n_lanes; i++)
        queue_call_add(&call, seek->lanes[i]);
    TRY(queue_call_send(&call, r, &out->own, f));
    if (queue_call_says(out->own, "NONE")) TRY(FAIL(f, ERR_NOT_FOUND, "no job is waiting"));
    if (queue_call_says(out->own, "BANNED"))
        TRY(FAIL(f, ERR_CANCELLED, "worker %s lost three jobs in ten minutes and is banned",
                 seek->worker));
    TRY(read_claim(out, &call, out->own, f));
out:
    if (rc != ERR_OK && rc != ERR_CORRUPT) queue_claim_free(out);
    return rc;
}

/* Sleeps in Redis until work arrives in one of the lanes. The token is only a hint. */
static enum err wait_for_wake(struct redis *r, const struct queue_seek *seek, int wait_ms,
                              struct fail *f) {
    char key[QUEUE_LANES_MAX][KEY_MAX], seconds[24];
    struct str args[QUEUE_LANES_MAX + 2] = {str_of("BLPOP")};
    int n = 1;
    for (int i = 0; i < seek->n_lanes; i++) {
        int len = snprintf(key[i], KEY_MAX, "%swake:%.64s", redis_prefix(r), seek->lanes[i]);
        args[n++] = (struct str){key[i], (size_t)len};
    }
    snprintf(seconds, sizeof(seconds), "%d.%03d", wait_ms / 1000, wait_ms % 1000);
    args[n++] = str_of(seconds);
    return redis_call_wait(r, NULL, wait_ms, n, args, f);
}

enum err queue_claim(struct redis *r, struct queue_claim *out, const struct queue_seek *seek,
                     struct fail *f) {
    int wait_ms = seek->wait_ms < QUEUE_WAKE_MAX_MS ? seek->wait_ms : QUEUE_WAKE_MAX_MS;
    int64_t end_ms = now_mono_ms() + wait_ms;
    ASSERT(seek->n_lanes > 0 && seek->n_lanes <= QUEUE_LANES_MAX);
    memset(out, 0, sizeof(*out));
    for (;;) {
        enum err rc = claim_once(r, out, seek, f);
        int64_t left_ms = end_ms - now_mono_ms();
        if (rc != ERR_NOT_FOUND || left_ms <= 0) return rc;
        rc = wait_for_wake(r, seek, (int)left_ms, f);
        if (rc != ERR_OK) return rc;
    }
}

void queue_claim_free(struct queue_claim *claim) {
    redis_reply_free(claim->own);
    memset(claim, 0, sizeof(*claim));
}

/* ---- worker: beat, complete, fail ---- */

/* Sends a call whose answer is a verdict; the reply is kept for more when `more` is given. */
static enum err send_for_verdict(struct queue_call *call, struct redis *r, enum queue_verdict *out,
                                 struct redis_reply **more, struct fail *f) {
    static const struct {
        const char *word;
        enum queue_verdict verdict;
    } rows[] = {{"OK", QUEUE_GO_ON},
                {"CANCEL", QUEUE_CANCEL},
                {"TIMEOUT", QUEUE_TIMEOUT},
                {"ESTALE", QUEUE_STALE}};
    enum err rc = ERR_OK;
    struct redis_reply *reply = NULL;
    size_t i = 0;
    TRY(queue_call_send(call, r, &reply, f));
    while (i < 4 && !queue_call_says(reply, rows[i].word))
        i++;
    if (i == 4) TRY(queue_call_strange(call, reply, f));
    *out = rows[i].verdict;
    if (more != NULL) {
        *more = reply;
        reply = NULL;
    }
out:
    redis_reply_free(reply);
    return rc;
}

enum err queue_beat(struct redis *r, enum queue_verdict *out, const char *id, const char *lease,
                    const struct queue_beat *beat, struct fail *f) {
    struct queue_call call;
    queue_call_make(&call, "job_beat");
    queue_call_add(&call, id);
    queue_call_add(&call, lease);
    queue_call_add_i64(&call, beat->lease_ms > 0 ? beat->lease_ms : QUEUE_LEASE_MS);
    queue_call_add_i64(&call, beat->progress);
    queue_call_add(&call, beat->phase);
    queue_call_add_i64(&call, beat->step);
    queue_call_add_i64(&call, beat->n_steps);
    queue_call_add_i64(&call, beat->eta_ms);
    queue_call_add(&call, beat->ckpt);
    return send_for_verdict(&call, r, out, NULL, f);
}

enum err queue_complete(struct redis *r, enum queue_verdict *out, const char *id, const char *lease,
                        const char *result, struct fail *f) {
    struct queue_call call;
    if (strlen(result) > QUEUE_RESULT_MAX)
        return FAIL(f, ERR_INPUT, "the result record has %zu bytes, at most %d are allowed",
                    strlen(result), QUEUE_RESULT_MAX);
    queue_call_make(&call, "job_complete");
    queue_call_add(&call, id);
    queue_call_add(&call, lease);
    queue_call_add(&call, result);
    return send_for_verdict(&call, r, out, NULL, f);
}

static const struct {
    const char *word, *code; /* code when the caller gives none */
} whys[QUEUE_WHY_COUNT] = {
    [QUEUE_RETRY] = {"retry", "internal_error"},
    [QUEUE_FATAL] = {"fatal", "internal_error"},
    [QUEUE_CANCELLED] = {"cancelled", "cancelled"},
    [QUEUE_TIMED_OUT] = {"timeout", "deadline_exceeded"},
    [QUEUE_RELEASE] = {"release", ""},
    [QUEUE_CRASH] = {"crash", "worker_lost"},
};

enum err queue_fail(struct redis *r, enum queue_verdict *verdict, enum job_state *out,
                    const char *id, const char *lease, const struct queue_fail *fail,
                    struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    char message[QUEUE_TEXT_MAX];
    ASSERT(fail->why < QUEUE_WHY_COUNT);
    str_copy(message, sizeof(message), str_of(fail->message)); /* a longer one is cut */
    queue_call_make(&call, "job_fail");
    queue_call_add(&call, id);
    queue_call_add(&call, lease);
    queue_call_add(&call, whys[fail->why].word);
    queue_call_add(&call, fail->code != NULL ? fail->code : whys[fail->why].code);
    queue_call_add(&call, message);
    queue_call_add_i64(&call, fail->delay_ms);
    queue_call_add(&call, fail->ckpt);
    TRY(send_for_verdict(&call, r, verdict, &reply, f));
    if (*verdict == QUEUE_GO_ON) *out = job_state_parse(queue_call_text(reply, 1));
out:
    redis_reply_free(reply);
    return rc;
}

int64_t queue_backoff_ms(int try) {
    uint16_t noise;
    int64_t ms = BACKOFF_MIN_MS;
    id_random(&noise, sizeof(noise));
    for (int i = 0; i < try && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    if (ms > BACKOFF_MAX_MS) ms = BACKOFF_MAX_MS;
    return ms / 2 + ms * noise / (2 * 65536);
}

enum err queue_tick(struct redis *r, struct queue_ticked *out, int64_t lease_ms, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    queue_call_make(&call, "job_tick");
    queue_call_add_i64(&call, lease_ms > 0 ? lease_ms : QUEUE_LEASE_MS);
    queue_call_add_i64(&call, LOST_DELAY_MS);
    queue_call_add_i64(&call, TICK_BATCH);
    TRY(queue_call_send(&call, r, &reply, f));
    if (!queue_call_says(reply, "OK")) TRY(queue_call_strange(&call, reply, f));
    if (out != NULL)
        *out = (struct queue_ticked){(int)field_i64(reply, 1), (int)field_i64(reply, 2),
                                     (int)field_i64(reply, 3), (int)field_i64(reply, 4)};
out:
    redis_reply_free(reply);
    return rc;
}

/* ---- garbage ---- */

static const char *const waste_words[QUEUE_WASTE_COUNT] = {
    [QUEUE_WASTE_JOB] = "job", [QUEUE_WASTE_RESULT] = "result", [QUEUE_WASTE_OBJECT] = "object"};

static enum err read_waste(struct queue_waste_row *out, const struct queue_call *call,
                           const struct redis_reply *row, struct fail *f) {
    int kind = 0;
    while (kind < QUEUE_WASTE_COUNT && !queue_call_says(row, waste_words[kind]))
        kind++;
    if (kind == QUEUE_WASTE_COUNT) return queue_call_strange(call, row, f);
    *out = (struct queue_waste_row){(enum queue_waste)kind, queue_call_text(row, 1),
                                    queue_call_text(row, 2), queue_call_text(row, 3)};
    return ERR_OK;
}

enum err queue_gc_list(struct redis *r, struct queue_gc *out, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    memset(out, 0, sizeof(*out));
    queue_call_make(&call, "job_gc");
    queue_call_add_i64(&call, QUEUE_BATCH_MAX);
    TRY(queue_call_send(&call, r, &out->own, f));
    for (size_t i = 1; i < redis_reply_len(out->own) && out->n_rows < QUEUE_BATCH_MAX; i++) {
        TRY(read_waste(&out->row[out->n_rows], &call, redis_reply_at(out->own, i), f));
        out->n_rows++;
    }
out:
    if (rc != ERR_OK) queue_gc_free(out);
    return rc;
}

void queue_gc_free(struct queue_gc *gc) {
    redis_reply_free(gc->own);
    gc->own = NULL;
    gc->n_rows = 0;
}

enum err queue_gc_done(struct redis *r, const struct queue_waste_row *row, struct fail *f) {
    struct queue_call call;
    struct redis_reply *reply = NULL;
    ASSERT(row->kind == QUEUE_WASTE_RESULT || row->kind == QUEUE_WASTE_OBJECT);
    queue_call_make(&call, "job_gcdone");
    queue_call_add(&call, waste_words[row->kind]);
    queue_call_add(&call, row->id);
    enum err rc = queue_call_send(&call, r, &reply, f);
    redis_reply_free(reply);
    return rc;
}

enum err queue_purge(struct redis *r, const char *id, const char *tenant, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    queue_call_make(&call, "job_purge");
    queue_call_add(&call, id);
    queue_call_add(&call, tenant);
    TRY(queue_call_send(&call, r, &reply, f));
    if (queue_call_says(reply, "EBUSY"))
        TRY(FAIL(f, ERR_BUSY, "job %s cannot be purged yet: %s", id, queue_call_text(reply, 1)));
    if (!queue_call_says(reply, "OK")) TRY(queue_call_strange(&call, reply, f));
out:
    redis_reply_free(reply);
    return rc;
}
