#include "common/queue_hook.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/base64.h"
#include "common/base/id.h"
#include "common/queue_call.h"

enum { ENDPOINT_CAP = 4, SECRET_BYTES = 24, KEY_MAX = 320 };

/* Delay after attempt i + 1, in seconds: 12 attempts over 3.2 days. */
static const int64_t schedule_s[] = {5,     30,    120,   600,   1800, 7200,
                                     18000, 36000, 36000, 86400, 86400};
enum { TRIES_MAX = sizeof(schedule_s) / sizeof(schedule_s[0]) + 1 };

static bool copy_field(char *out, size_t cap, const struct redis_reply *row, size_t i) {
    struct str s = redis_reply_str(redis_reply_at(row, i));
    return s.n > 0 && str_copy(out, cap, s);
}

/* {entry lease job tenant type url created try} */
static bool read_hook(struct queue_hook *out, const struct redis_reply *row) {
    bool is_whole = copy_field(out->id, sizeof(out->id), row, 0) &&
                    copy_field(out->lease, sizeof(out->lease), row, 1) &&
                    copy_field(out->job, sizeof(out->job), row, 2) &&
                    copy_field(out->tenant, sizeof(out->tenant), row, 3) &&
                    copy_field(out->type, sizeof(out->type), row, 4) &&
                    copy_field(out->url, sizeof(out->url), row, 5);
    char job[QUEUE_ID_MAX], type[QUEUE_NAME_MAX];
    str_copy(job, sizeof(job), str_of(out->job));
    str_copy(type, sizeof(type), str_of(out->type));
    const char *hex = strchr(job, '_'); /* video_HEX */
    int n = snprintf(out->event_id, sizeof(out->event_id), "evt_%s_%.14s",
                     hex != NULL ? hex + 1 : job, type);
    out->created_ms = redis_reply_i64(redis_reply_at(row, 6), 0);
    out->try = (int)redis_reply_i64(redis_reply_at(row, 7), 0);
    return is_whole && n > 0 && (size_t)n < sizeof(out->event_id);
}

enum err queue_hook_claim(struct redis *r, struct queue_hooks *out, const char *worker, int limit,
                          int64_t lease_ms, struct fail *f) {
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    ASSERT(limit > 0 && limit <= QUEUE_HOOK_ROWS_MAX);
    memset(out, 0, sizeof(*out));
    queue_call_make(&call, "job_whclaim");
    queue_call_add(&call, worker);
    queue_call_add_i64(&call, limit);
    queue_call_add_i64(&call, lease_ms);
    queue_call_add_i64(&call, ENDPOINT_CAP);
    TRY(queue_call_send(&call, r, &reply, f));
    for (size_t i = 0; i < redis_reply_len(reply) && out->n_hooks < limit; i++)
        if (read_hook(&out->hook[out->n_hooks], redis_reply_at(reply, i))) out->n_hooks++;
out:
    redis_reply_free(reply);
    return rc;
}

enum err queue_hook_done(struct redis *r, const struct queue_hook *hook,
                         const struct queue_hook_done *done, struct fail *f) {
    static const char *const verdicts[] = {
        [QUEUE_SENT_OK] = "ok", [QUEUE_SENT_RETRY] = "retry", [QUEUE_SENT_DEAD] = "dead"};
    enum err rc = ERR_OK;
    struct queue_call call;
    struct redis_reply *reply = NULL;
    queue_call_make(&call, "job_whdone");
    queue_call_add(&call, hook->id);
    queue_call_add(&call, hook->lease);
    queue_call_add(&call, verdicts[done->sent]);
    queue_call_add_i64(&call, done->http_status);
    queue_call_add(&call, done->message);
    queue_call_add_i64(&call, done->delay_ms);
    queue_call_add_i64(&call, TRIES_MAX);
    TRY(queue_call_send(&call, r, &reply, f));
    if (queue_call_says(reply, "ESTALE"))
        TRY(FAIL(f, ERR_STALE, "another sender has webhook %s now", hook->id));
out:
    redis_reply_free(reply);
    return rc;
}

int64_t queue_hook_delay_ms(int try) {
    uint16_t noise;
    int i = try < 1 ? 0 : try - 1;
    if (i > TRIES_MAX - 2) i = TRIES_MAX - 2;
    id_random(&noise, sizeof(noise));
    int64_t ms = schedule_s[i] * 1000;
    return ms * 4 / 5 + ms * 2 / 5 * noise / 65536;
}

enum err queue_hook_secret(struct redis *r, char out[QUEUE_HOOK_SECRET_MAX], const char *tenant,
                           struct fail *f) {
    enum err rc = ERR_OK;
    unsigned char raw[SECRET_BYTES];
    char key[KEY_MAX], fresh[QUEUE_HOOK_SECRET_MAX] = "whsec_";
    struct redis_reply *reply = NULL;
    int n = snprintf(key, sizeof(key), "%swhsec:%.64s", redis_prefix(r), tenant);
    id_random(raw, sizeof(raw));
    base64_encode(raw, sizeof(raw), fresh + strlen(fresh));
    /* The first one to set it wins; everybody then reads the same. */
    struct str set[4] = {str_of("SET"), {key, (size_t)n}, str_of(fresh), str_of("NX")};
    struct str get[2] = {str_of("GET"), {key, (size_t)n}};
    TRY(redis_call(r, NULL, 4, set, f));
    TRY(redis_call(r, &reply, 2, get, f));
    if (redis_reply_kind(reply) != REDIS_TEXT ||
        !str_copy(out, QUEUE_HOOK_SECRET_MAX, redis_reply_str(reply)))
        TRY(FAIL(f, ERR_CORRUPT, "the webhook secret of %s cannot be read", tenant));
out:
    redis_reply_free(reply);
    return rc;
}
