/* webhook.h - one delivery attempt: body, signature (Standard Webhooks 1.0.0), POST, verdict.
 *
 * The body is a function of the entry alone, so every attempt carries the same bytes; the timestamp
 * and with it the signature are new each time. Blocking; any thread. Redis is the caller's part. */
#ifndef WORKER_WEBHOOK_H
#define WORKER_WEBHOOK_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/guard.h"
#include "common/queue_hook.h"

enum {
    WEBHOOK_SIGNATURE_MAX = 64, /* "v1," + base64 of 32 bytes + NUL */
    WEBHOOK_BODY_MAX = 2048,
    WEBHOOK_CONNECT_MS = 5000,
    WEBHOOK_TOTAL_MS = 15000,
    WEBHOOK_LEASE_MS = 30000, /* longer than an attempt: nobody else sends meanwhile */
    WEBHOOK_RETRY_AFTER_MAX_MS = 3600 * 1000
};

/* "v1,BASE64": HMAC-SHA256 over id "." timestamp "." body. `secret` is "whsec_" + base64 of 24..64
 * bytes; ERR_INPUT otherwise. */
MUST_CHECK enum err webhook_sign(char out[WEBHOOK_SIGNATURE_MAX], const char *secret,
                                 const char *id, int64_t timestamp_s, struct str body,
                                 struct fail *f);

/* {"id","object":"event","created_at","type":"video.T","timestamp","data":{"id"}} */
MUST_CHECK enum err webhook_body(struct buf *out, const struct queue_hook *hook, struct fail *f);

struct webhook_route {
    const char *secret;
    struct guard_rules rules;
};

/* Sends once and says what to tell the queue; never fails, for a failure is a verdict too.
 * `done->message` is a text in `f`. */
void webhook_send(struct queue_hook_done *done, const struct queue_hook *hook,
                  const struct webhook_route *route, struct fail *f);

/* The verdict on an answer; `status` 0 = none. Retry-After is kept within [base, 2 x base], 1 h at
 * most; pass -1 when there was none. */
void webhook_judge(struct queue_hook_done *done, int try, int status, int64_t retry_after_s);

#endif
