#include "worker/webhook.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/base64.h"
#include "common/base/limits.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/base/str.h"
#include "common/doc.h"
#include "common/fetch.h"

enum { KEY_MIN = 24, KEY_MAX = 64, KEY_TEXT_MAX = 88, KEY_ROOM = 66, HEADER_MAX = 256 };

static enum err read_secret(unsigned char key[KEY_ROOM], size_t *n, const char *secret,
                            struct fail *f) {
    static const char prefix[] = "whsec_";
    if (strncmp(secret, prefix, sizeof(prefix) - 1) != 0)
        return FAIL(f, ERR_INPUT, "a webhook secret begins with whsec_");
    struct str text = str_of(secret + sizeof(prefix) - 1);
    if (text.n > KEY_TEXT_MAX || !base64_decode(text, key, n) || *n < KEY_MIN || *n > KEY_MAX)
        return FAIL(f, ERR_INPUT, "a webhook secret is base64 of %d to %d bytes", KEY_MIN, KEY_MAX);
    return ERR_OK;
}

enum err webhook_sign(char out[WEBHOOK_SIGNATURE_MAX], const char *secret, const char *id,
                      int64_t timestamp_s, struct str body, struct fail *f) {
    enum err rc = ERR_OK;
    unsigned char key[KEY_ROOM], mac[SHA256_BYTES];
    size_t n_key = 0;
    struct buf text;
    buf_make(&text, WEBHOOK_BODY_MAX + HEADER_MAX);

    TRY(read_secret(key, &n_key, secret, f));
    TRY(buf_addf(&text, f, "%s.%lld.", id, (long long)timestamp_s));
    TRY(buf_add(&text, body.p, body.n, f));
    sha256_hmac(key, n_key, text.data, text.len, mac);
    memcpy(out, "v1,", 3);
    base64_encode(mac, sizeof(mac), out + 3);
out:
    explicit_bzero(key, sizeof(key));
    buf_free(&text);
    return rc;
}

static void iso_time(char out[32], int64_t ms) {
    struct tm tm;
    time_t s = (time_t)(ms / 1000);
    gmtime_r(&s, &tm);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03dZ", (int)(ms % 1000));
}

enum err webhook_body(struct buf *out, const struct queue_hook *hook, struct fail *f) {
    struct doc_out o;
    char type[QUEUE_NAME_MAX + 8], time[32];
    snprintf(type, sizeof(type), "video.%s", hook->type);
    iso_time(time, hook->created_ms);
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "id", hook->event_id);
    doc_put_text(&o, "object", "event");
    doc_put_int(&o, "created_at", hook->created_ms / 1000);
    doc_put_text(&o, "type", type);
    doc_put_text(&o, "timestamp", time);
    doc_open_object(&o, "data");
    doc_put_text(&o, "id", hook->job);
    doc_close_object(&o);
    doc_close_object(&o);
    return doc_done(&o, f);
}

static int64_t clamp(int64_t v, int64_t low, int64_t high) {
    return v < low ? low : v > high ? high : v;
}

void webhook_judge(struct queue_hook_done *done, int try, int status, int64_t retry_after_s) {
    *done =
        (struct queue_hook_done){.sent = QUEUE_SENT_RETRY, .http_status = status, .message = ""};
    if (status >= 200 && status < 300) {
        done->sent = QUEUE_SENT_OK;
    } else if (status == 410) {
        done->sent = QUEUE_SENT_DEAD;
        done->message = "the endpoint is gone (410)";
    } else {
        int64_t base = queue_hook_delay_ms(try);
        done->delay_ms = base;
        if (retry_after_s >= 0) {
            int64_t cap = clamp(2 * base, base, WEBHOOK_RETRY_AFTER_MAX_MS);
            done->delay_ms =
                clamp(clamp(retry_after_s, 0, 86400) * 1000, base, cap < base ? base : cap);
        }
    }
}

/* What is asked of libcurl: one POST of the signed bytes. */
struct message {
    struct buf body;
    char id[HEADER_MAX], timestamp[HEADER_MAX], signature[HEADER_MAX];
};

static enum err write_message(struct message *m, const struct queue_hook *hook, const char *secret,
                              struct fail *f) {
    enum err rc = ERR_OK;
    char signature[WEBHOOK_SIGNATURE_MAX];
    int64_t now_s = now_wall_ms() / 1000;
    TRY(webhook_body(&m->body, hook, f));
    struct str body = {m->body.data, m->body.len};
    TRY(webhook_sign(signature, secret, hook->event_id, now_s, body, f));
    snprintf(m->id, sizeof(m->id), "webhook-id: %s", hook->event_id);
    snprintf(m->timestamp, sizeof(m->timestamp), "webhook-timestamp: %lld", (long long)now_s);
    snprintf(m->signature, sizeof(m->signature), "webhook-signature: %s", signature);
out:
    return rc;
}

void webhook_send(struct queue_hook_done *done, const struct queue_hook *hook,
                  const struct webhook_route *route, struct fail *f) {
    struct message m;
    struct fetch_reply reply = {0};
    buf_make(&m.body, WEBHOOK_BODY_MAX);
    enum err rc = write_message(&m, hook, route->secret, f);
    if (rc == ERR_OK) {
        struct fetch_request request = {
            .url = hook->url,
            .body = m.body.data,
            .n_body = m.body.len,
            .headers = {"content-type: application/json", m.id, m.timestamp, m.signature},
            .connect_ms = WEBHOOK_CONNECT_MS,
            .total_ms = WEBHOOK_TOTAL_MS,
            .reply_max = LIMIT_WEBHOOK_REPLY_BYTES,
            .rules = route->rules};
        rc = fetch_call(&reply, &request, f);
    }
    webhook_judge(done, hook->try, reply.status, reply.retry_after_s);
    if (rc == ERR_FORBIDDEN || rc == ERR_INPUT) done->sent = QUEUE_SENT_DEAD;
    if (rc != ERR_OK) done->message = f->text;
    fetch_reply_free(&reply);
    buf_free(&m.body);
}
