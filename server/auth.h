/* auth.h - who is asking: API keys, their rate, and the brake on guessing.
 *
 * A key that was right is remembered for 30 s by its SHA-256, so a revoked key works that much
 * longer and a busy client costs no look-up. Any thread. */
#ifndef SERVER_AUTH_H
#define SERVER_AUTH_H

#include "common/redis.h"
#include "server/request.h"
#include "server/server.h"

enum {
    AUTH_CACHE_ROWS = 256,
    AUTH_CACHE_MS = 30000,
    AUTH_FAILURES_PER_MINUTE = 10, /* per address */
};

MUST_CHECK enum err auth_make(struct auth **out, struct fail *f);
void auth_free(struct auth *a);

/* Fills req->tenant and req->kid and adds the rate headers; otherwise sets the reply: 401, 429,
 * 503. */
void auth_check(struct server *s, struct request *req);

#endif
