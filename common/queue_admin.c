#include "common/queue_admin.h"

#include <stdio.h>
#include <string.h>

#include "common/base/sha256.h"
#include "common/lua_text.h"
#include "common/queue_call.h"

enum {
    MIGRATE_BATCH = 500,
    ROUNDS_MAX = 10000000, /* batches of one walk: a broken cursor must not run for ever */
    KEY_MAX = 320
};

static struct str key_of(char key[KEY_MAX], const struct redis *r, const char *name,
                         const char *id) {
    int n = snprintf(key, KEY_MAX, "%s%s%.64s", redis_prefix(r), name, id);
    return (struct str){key, (size_t)n};
}

/* ---- migrate ---- */

/* An older program must not replace the functions of newer data. */
static enum err check_age(struct redis *r, char from[16], struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    int64_t theirs = 0, ours = 0;
    struct redis_reply *reply = NULL;
    struct str args[3] = {str_of("HGET"), key_of(key, r, "meta", ""), str_of("schema")};
    TRY(redis_call(r, &reply, 3, args, f));
    struct str schema = redis_reply_str(reply);
    str_copy(from, 16, schema.n > 0 ? schema : str_of("0"));
    if (!str_parse_i64(str_of(from), 0, 1 << 20, &theirs) ||
        !str_parse_i64(str_of(QUEUE_SCHEMA), 0, 1 << 20, &ours))
        TRY(FAIL(f, ERR_CONFIG, "the data in Redis has the unreadable schema \"%s\"", from));
    if (theirs > ours)
        TRY(FAIL(f, ERR_CONFIG,
                 "the data in Redis has schema %s, this program knows %s; use the newer release",
                 from, QUEUE_SCHEMA));
out:
    redis_reply_free(reply);
    return rc;
}

static enum err load_library(struct redis *r, struct fail *f) {
    struct str args[4] = {
        str_of("FUNCTION"), str_of("LOAD"), str_of("REPLACE"), {lua_text, lua_text_size}};
    return redis_call(r, NULL, 4, args, f);
}

static enum err walk(struct redis *r, struct queue_migration *out, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        queue_call_make(&call, "job_migrate");
        queue_call_add_i64(&call, MIGRATE_BATCH);
        redis_reply_free(reply);
        TRY(queue_call_send(&call, r, &reply, f));
        if (queue_call_says(reply, "DONE")) goto out;
        out->n_seen += redis_reply_i64(redis_reply_at(reply, 3), 0);
        out->n_changed += redis_reply_i64(redis_reply_at(reply, 4), 0);
    }
    rc = FAIL(f, ERR_CORRUPT, "the migration does not end");
out:
    redis_reply_free(reply);
    return rc;
}

/* Written last: a program that finds this hash finds the data migrated. */
static enum err note_library(struct redis *r, struct fail *f) {
    char key[KEY_MAX], sha[SHA256_HEX + 1];
    sha256_hex(lua_text, lua_text_size, sha);
    struct str args[4] = {str_of("HSET"), key_of(key, r, "meta", ""), str_of("lib"), str_of(sha)};
    return redis_call(r, NULL, 4, args, f);
}

enum err queue_admin_migrate(struct redis *r, struct queue_migration *out, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_migration m = {{0}, 0, 0};
    TRY(check_age(r, m.from, f));
    TRY(load_library(r, f));
    TRY(walk(r, &m, f));
    TRY(note_library(r, f));
    if (out != NULL) *out = m;
out:
    return rc;
}

/* ---- audit ---- */

struct auditor {
    struct redis *r;
    struct queue_audit *out;
    queue_admin_problem_fn tell;
    void *ctx;
};

/* One key; large sets take several calls, each of which is atomic and short. */
static enum err audit_key(struct auditor *a, const char *key, struct fail *f) {
    enum err rc = ERR_OK;
    char cursor[32] = "0";
    struct queue_call call;
    struct redis_reply *reply = NULL;
    for (int i = 0; i < ROUNDS_MAX; i++) {
        queue_call_make(&call, "job_audit");
        queue_call_add(&call, key);
        queue_call_add(&call, cursor);
        redis_reply_free(reply);
        TRY(queue_call_send(&call, a->r, &reply, f));
        for (size_t k = 2; k < redis_reply_len(reply); k++)
            a->tell(a->ctx, queue_call_text(reply, k));
        size_t n = redis_reply_len(reply);
        a->out->n_problems += n > 2 ? (int64_t)n - 2 : 0;
        str_copy(cursor, sizeof(cursor), str_of(queue_call_text(reply, 1)));
        if (strcmp(cursor, "0") == 0) break;
    }
    a->out->n_keys++;
out:
    redis_reply_free(reply);
    return rc;
}

static enum err audit_page(struct auditor *a, const struct redis_reply *keys, struct fail *f) {
    enum err rc = ERR_OK;
    size_t n_prefix = strlen(redis_prefix(a->r));
    for (size_t i = 0; i < redis_reply_len(keys); i++) {
        struct str key = redis_reply_str(redis_reply_at(keys, i));
        if (key.n > n_prefix) TRY(audit_key(a, key.p + n_prefix, f));
    }
out:
    return rc;
}

enum err queue_admin_audit(struct redis *r, struct queue_audit *out, queue_admin_problem_fn tell,
                           void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    char pattern[KEY_MAX], cursor[32] = "0";
    struct auditor a = {r, out, tell, ctx};
    struct redis_reply *reply = NULL;
    struct str match = key_of(pattern, r, "*", "");
    *out = (struct queue_audit){0, 0};
    for (int i = 0; i < ROUNDS_MAX; i++) {
        struct str args[6] = {str_of("SCAN"), str_of(cursor),  str_of("MATCH"),
                              match,          str_of("COUNT"), str_of("500")};
        redis_reply_free(reply);
        TRY(redis_call(r, &reply, 6, args, f));
        TRY(audit_page(&a, redis_reply_at(reply, 1), f));
        str_copy(cursor, sizeof(cursor), redis_reply_str(redis_reply_at(reply, 0)));
        if (strcmp(cursor, "0") == 0) break;
    }
out:
    redis_reply_free(reply);
    return rc;
}

/* ---- dead letters ---- */

enum { DEAD_FIELDS = 4 };

static enum err read_dead_row(struct redis *r, struct queue_dead_row *out, const char *id,
                              struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[2 + DEAD_FIELDS] = {str_of("HMGET"),  key_of(key, r, "job:", id),
                                        str_of("tenant"), str_of("code"),
                                        str_of("why"),    str_of("done")};
    TRY(redis_call(r, &reply, 2 + DEAD_FIELDS, args, f));
    str_copy(out->id, sizeof(out->id), str_of(id));
    str_copy(out->tenant, sizeof(out->tenant), redis_reply_str(redis_reply_at(reply, 0)));
    str_copy(out->code, sizeof(out->code), redis_reply_str(redis_reply_at(reply, 1)));
    str_copy(out->message, sizeof(out->message), redis_reply_str(redis_reply_at(reply, 2)));
    out->done_ms = redis_reply_i64(redis_reply_at(reply, 3), 0);
out:
    redis_reply_free(reply);
    return rc;
}

enum err queue_admin_dead(struct redis *r, struct queue_dead *out, struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX], last[16];
    struct redis_reply *count = NULL, *ids = NULL;
    struct str card[2] = {str_of("ZCARD"), key_of(key, r, "dead", "")};
    struct str range[5] = {str_of("ZRANGE"), card[1], str_of("0"), {last, 0}, str_of("REV")};
    range[3].n = (size_t)snprintf(last, sizeof(last), "%d", QUEUE_DEAD_ROWS_MAX - 1);
    memset(out, 0, sizeof(*out));
    TRY(redis_call(r, &count, 2, card, f));
    TRY(redis_call(r, &ids, 5, range, f));
    out->n_all = redis_reply_i64(count, 0);
    for (size_t i = 0; i < redis_reply_len(ids) && out->n_rows < QUEUE_DEAD_ROWS_MAX; i++) {
        TRY(read_dead_row(r, &out->row[out->n_rows], queue_call_text(ids, i), f));
        out->n_rows++;
    }
out:
    redis_reply_free(count);
    redis_reply_free(ids);
    return rc;
}

enum err queue_admin_owner(struct redis *r, char tenant[QUEUE_NAME_MAX], const char *id,
                           struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[3] = {str_of("HGET"), key_of(key, r, "job:", id), str_of("tenant")};
    TRY(redis_call(r, &reply, 3, args, f));
    if (redis_reply_kind(reply) != REDIS_TEXT ||
        !str_copy(tenant, QUEUE_NAME_MAX, redis_reply_str(reply)))
        TRY(FAIL(f, ERR_NOT_FOUND, "there is no job %.64s", id));
out:
    redis_reply_free(reply);
    return rc;
}

enum err queue_admin_attempts(struct redis *r, struct queue_attempts *out, const char *id,
                              struct fail *f) {
    enum err rc = ERR_OK;
    char key[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str args[4] = {str_of("LRANGE"), key_of(key, r, "att:", id), str_of("0"), str_of("-1")};
    memset(out, 0, sizeof(*out));
    TRY(redis_call(r, &reply, 4, args, f));
    for (size_t i = 0; i < redis_reply_len(reply) && out->n_rows < QUEUE_ATTEMPT_ROWS_MAX; i++)
        str_copy(out->row[out->n_rows++], QUEUE_ATTEMPT_MAX,
                 redis_reply_str(redis_reply_at(reply, i)));
out:
    redis_reply_free(reply);
    return rc;
}

enum err queue_admin_retry(struct redis *r, const char *id, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    queue_call_make(&call, "job_retry");
    queue_call_add(&call, id);
    TRY(queue_call_send(&call, r, &reply, f));
    if (queue_call_says(reply, "EBUSY"))
        TRY(FAIL(f, ERR_CONFLICT, "job %.64s is %s; only a failed job can run again", id,
                 queue_call_text(reply, 1)));
    if (!queue_call_says(reply, "OK")) TRY(queue_call_strange(&call, reply, f));
out:
    redis_reply_free(reply);
    return rc;
}
