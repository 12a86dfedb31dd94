/* queue_key.h - API keys: mis_<env>_<kid>_<secret><crc>.
 *
 * env: 1..8 letters; kid: 12 hex; secret: 32 of [0-9A-Za-z]; crc: 8 hex, CRC-32 of all before it,
 * so that a typing error needs no look-up. Redis holds only the SHA-256 of the secret. */
#ifndef COMMON_QUEUE_KEY_H
#define COMMON_QUEUE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/queue.h"
#include "common/redis.h"

enum {
    QUEUE_KEY_TEXT_MAX = 80,
    QUEUE_KEY_ID_MAX = 16,
    QUEUE_KEY_ROWS_MAX = 256,
    QUEUE_KEY_SCOPES_MAX = 128
};

struct queue_key {
    char kid[QUEUE_KEY_ID_MAX];
    char tenant[QUEUE_NAME_MAX];
    char scopes[QUEUE_KEY_SCOPES_MAX]; /* comma list; "all" allows everything */
    double rate_per_second;            /* requests; 0 = the server's default */
    int burst;
    int max_live;                   /* live jobs of the tenant; 0 = the default of meta */
    int64_t created_ms, expires_ms; /* Unix ms; 0 = never expires */
    bool is_disabled;
};

/* Makes a key; `text` is the only copy of the secret that will ever be seen. `key->kid` and
 * created_ms are filled. */
MUST_CHECK enum err queue_key_add(struct redis *r, char text[QUEUE_KEY_TEXT_MAX],
                                  struct queue_key *key, const char *env, struct fail *f);

/* The record behind a key as the client sent it. ERR_NOT_FOUND for every reason to refuse it: wrong
 * form, unknown, wrong secret, disabled, expired. Compares in constant time, also for an unknown
 * kid. */
MUST_CHECK enum err queue_key_find(struct redis *r, struct queue_key *out, const char *text,
                                   struct fail *f);

/* True when the form and the checksum of `text` are right; needs no Redis. Fills kid. */
bool queue_key_is_well_formed(const char *text, char kid[QUEUE_KEY_ID_MAX]);

/* ERR_NOT_FOUND: no such key. */
MUST_CHECK enum err queue_key_revoke(struct redis *r, const char *kid, struct fail *f);

struct queue_keys {
    int n_keys;
    struct queue_key key[QUEUE_KEY_ROWS_MAX];
};
MUST_CHECK enum err queue_key_list(struct redis *r, struct queue_keys *out, struct fail *f);

#endif
