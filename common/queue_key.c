#include "common/queue_key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/queue_call.h"

enum {
    KID_HEX = 12,
    SECRET_CHARS = 32,
    CRC_HEX = 8,
    ENV_MAX = 8,
    KEY_MAX = 320,
    SCAN_ROUNDS_MAX = 100000
};

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* CRC-32 (IEEE 802.3), bit by bit: keys are short. */
static uint32_t crc32_of(const char *p, size_t n) {
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= (unsigned char)p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & -(crc & 1));
    }
    return ~crc;
}

static void make_secret(char out[SECRET_CHARS + 1]) {
    unsigned char byte;
    for (int i = 0; i < SECRET_CHARS; i++) {
        do
            id_random(&byte, 1);
        while (byte >= 248); /* 4 x 62: no character is more likely than another */
        out[i] = alphabet[byte % 62];
    }
    out[SECRET_CHARS] = 0;
}

static struct str key_name(char key[KEY_MAX], const struct redis *r, const char *kid) {
    int n = snprintf(key, KEY_MAX, "%skey:%.15s", redis_prefix(r), kid);
    return (struct str){key, (size_t)n};
}

/* The parts of a key text; `secret` points into it. */
struct parts {
    char kid[QUEUE_KEY_ID_MAX];
    const char *secret; /* SECRET_CHARS long */
};

static bool split_text(struct parts *out, const char *text) {
    struct str rest = str_of(text), part, env, kid;
    char crc[CRC_HEX + 1];
    size_t n = strlen(text);
    if (n >= QUEUE_KEY_TEXT_MAX || !str_split(&rest, '_', &part) || !str_eq(part, "mis"))
        return false;
    if (!str_split(&rest, '_', &env) || env.n < 1 || env.n > ENV_MAX) return false;
    if (!str_split(&rest, '_', &kid) || !str_is_hex(kid, KID_HEX)) return false;
    if (rest.n != SECRET_CHARS + CRC_HEX || strspn(rest.p, alphabet) != rest.n) return false;
    snprintf(crc, sizeof(crc), "%08" PRIx32, crc32_of(text, n - CRC_HEX));
    if (memcmp(crc, text + n - CRC_HEX, CRC_HEX) != 0) return false;
    out->secret = rest.p;
    return str_copy(out->kid, sizeof(out->kid), kid);
}

bool queue_key_is_well_formed(const char *text, char kid[QUEUE_KEY_ID_MAX]) {
    struct parts parts;
    if (!split_text(&parts, text)) return false;
    memcpy(kid, parts.kid, sizeof(parts.kid));
    return true;
}

/* ---- add ---- */

static bool is_word(const char *s, size_t max, const char *allowed) {
    size_t n = strlen(s);
    return n > 0 && n <= max && strspn(s, allowed) == n;
}

static enum err check_key(const struct queue_key *key, const char *env, struct fail *f) {
    if (!is_word(env, ENV_MAX, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"))
        return FAIL(f, ERR_INPUT, "the environment \"%s\" must be 1..%d letters or digits", env,
                    ENV_MAX);
    if (!is_word(key->tenant, QUEUE_NAME_MAX - 1,
                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"))
        return FAIL(f, ERR_INPUT, "the tenant \"%s\" must be letters, digits, _ . or -",
                    key->tenant);
    if (key->rate_per_second < 0 || key->rate_per_second > 1e6 || key->burst < 0 ||
        key->max_live < 0)
        return FAIL(f, ERR_INPUT, "rate, burst and max-live must not be negative");
    return ERR_OK;
}

static void make_text(char text[QUEUE_KEY_TEXT_MAX], struct queue_key *key, const char *env,
                      char sha[SHA256_HEX + 1]) {
    unsigned char raw[KID_HEX / 2];
    char secret[SECRET_CHARS + 1];
    id_random(raw, sizeof(raw));
    for (size_t i = 0; i < sizeof(raw); i++)
        snprintf(key->kid + 2 * i, 3, "%02x", raw[i]);
    make_secret(secret);
    sha256_hex(secret, SECRET_CHARS, sha);
    int n = snprintf(text, QUEUE_KEY_TEXT_MAX, "mis_%s_%s_%s", env, key->kid, secret);
    ASSERT(n > 0 && n + CRC_HEX < QUEUE_KEY_TEXT_MAX);
    snprintf(text + n, CRC_HEX + 1, "%08" PRIx32, crc32_of(text, (size_t)n));
    explicit_bzero(secret, sizeof(secret));
}

static enum err write_record(struct redis *r, const struct queue_key *key, const char *sha,
                             struct fail *f) {
    char name[KEY_MAX], rate[32], burst[16], live[16], created[24], expires[24];
    int64_t milli = (int64_t)(key->rate_per_second * 1000 + 0.5);
    snprintf(rate, sizeof(rate), "%" PRId64, milli);
    snprintf(burst, sizeof(burst), "%d", key->burst);
    snprintf(live, sizeof(live), "%d", key->max_live);
    snprintf(created, sizeof(created), "%" PRId64, key->created_ms);
    snprintf(expires, sizeof(expires), "%" PRId64, key->expires_ms);
    struct str args[] = {str_of("HSET"),       key_name(name, r, key->kid),
                         str_of("sha"),        str_of(sha),
                         str_of("tenant"),     str_of(key->tenant),
                         str_of("scopes"),     str_of(key->scopes),
                         str_of("rate_milli"), str_of(rate),
                         str_of("burst"),      str_of(burst),
                         str_of("max_live"),   str_of(live),
                         str_of("created"),    str_of(created),
                         str_of("expires"),    str_of(expires)};
    return redis_call(r, NULL, sizeof(args) / sizeof(args[0]), args, f);
}

/* The limit of live jobs belongs to the tenant: the newest key that names one sets it. */
static enum err write_quota(struct redis *r, const struct queue_key *key, struct fail *f) {
    char name[KEY_MAX], live[16];
    if (key->max_live == 0) return ERR_OK;
    int n = snprintf(name, sizeof(name), "%squota:%s", redis_prefix(r), key->tenant);
    snprintf(live, sizeof(live), "%d", key->max_live);
    struct str args[4] = {str_of("HSET"), {name, (size_t)n}, str_of("max_live"), str_of(live)};
    return redis_call(r, NULL, 4, args, f);
}

enum err queue_key_add(struct redis *r, char text[QUEUE_KEY_TEXT_MAX], struct queue_key *key,
                       const char *env, struct fail *f) {
    enum err rc = ERR_OK;
    char sha[SHA256_HEX + 1];
    TRY(check_key(key, env, f));
    make_text(text, key, env, sha);
    key->created_ms = now_wall_ms();
    TRY(write_record(r, key, sha, f));
    TRY(write_quota(r, key, f));
out:
    return rc;
}

/* ---- find, revoke, list ---- */

static int64_t field_i64(const struct redis_reply *fields, const char *name) {
    return redis_reply_i64(redis_reply_field(fields, name), 0);
}

static void read_record(struct queue_key *out, const struct redis_reply *fields, const char *kid) {
    memset(out, 0, sizeof(*out));
    str_copy(out->kid, sizeof(out->kid), str_of(kid));
    str_copy(out->tenant, sizeof(out->tenant),
             redis_reply_str(redis_reply_field(fields, "tenant")));
    str_copy(out->scopes, sizeof(out->scopes),
             redis_reply_str(redis_reply_field(fields, "scopes")));
    out->rate_per_second = (double)field_i64(fields, "rate_milli") / 1000;
    out->burst = (int)field_i64(fields, "burst");
    out->max_live = (int)field_i64(fields, "max_live");
    out->created_ms = field_i64(fields, "created");
    out->expires_ms = field_i64(fields, "expires");
    out->is_disabled = field_i64(fields, "disabled") != 0;
}

static enum err read_fields(struct redis *r, struct redis_reply **out, const char *kid,
                            struct fail *f) {
    char name[KEY_MAX];
    struct str args[2] = {str_of("HGETALL"), key_name(name, r, kid)};
    return redis_call(r, out, 2, args, f);
}

enum err queue_key_find(struct redis *r, struct queue_key *out, const char *text, struct fail *f) {
    enum err rc = ERR_OK;
    struct parts parts;
    struct redis_reply *fields = NULL;
    char sha[SHA256_HEX + 1], stored[SHA256_HEX + 1];
    if (!split_text(&parts, text)) return FAIL(f, ERR_NOT_FOUND, "this is not a key of Misora");
    TRY(read_fields(r, &fields, parts.kid, f));
    read_record(out, fields, parts.kid);
    /* An unknown kid is compared as well, with a hash that nothing has. */
    memset(stored, '-', SHA256_HEX);
    stored[SHA256_HEX] = 0;
    struct str known = redis_reply_str(redis_reply_field(fields, "sha"));
    if (known.n == SHA256_HEX) memcpy(stored, known.p, SHA256_HEX);
    sha256_hex(parts.secret, SECRET_CHARS, sha);
    bool is_right = sha256_equal(sha, stored, SHA256_HEX);
    bool is_expired = out->expires_ms > 0 && now_wall_ms() >= out->expires_ms;
    if (!is_right || out->is_disabled || is_expired)
        TRY(FAIL(f, ERR_NOT_FOUND, "the key is not valid"));
out:
    redis_reply_free(fields);
    if (rc != ERR_OK) memset(out, 0, sizeof(*out));
    return rc;
}

enum err queue_key_revoke(struct redis *r, const char *kid, struct fail *f) {
    enum err rc = ERR_OK;
    char name[KEY_MAX];
    struct redis_reply *reply = NULL;
    struct str exists[2] = {str_of("EXISTS"), key_name(name, r, kid)};
    struct str disable[4] = {str_of("HSET"), exists[1], str_of("disabled"), str_of("1")};
    if (!str_is_hex(str_of(kid), KID_HEX))
        return FAIL(f, ERR_NOT_FOUND, "there is no key %.20s", kid);
    TRY(redis_call(r, &reply, 2, exists, f));
    if (redis_reply_i64(reply, 0) == 0) TRY(FAIL(f, ERR_NOT_FOUND, "there is no key %s", kid));
    TRY(redis_call(r, NULL, 4, disable, f));
out:
    redis_reply_free(reply);
    return rc;
}

/* Reads the keys of one page of SCAN. */
static enum err read_page(struct redis *r, struct queue_keys *out, const struct redis_reply *names,
                          struct fail *f) {
    enum err rc = ERR_OK;
    size_t n_prefix = strlen(redis_prefix(r)) + strlen("key:");
    for (size_t i = 0; i < redis_reply_len(names) && out->n_keys < QUEUE_KEY_ROWS_MAX; i++) {
        struct redis_reply *fields = NULL;
        const char *name = queue_call_text(names, i);
        if (strlen(name) <= n_prefix) continue;
        TRY(read_fields(r, &fields, name + n_prefix, f));
        read_record(&out->key[out->n_keys++], fields, name + n_prefix);
        redis_reply_free(fields);
    }
out:
    return rc;
}

enum err queue_key_list(struct redis *r, struct queue_keys *out, struct fail *f) {
    enum err rc = ERR_OK;
    char pattern[KEY_MAX], cursor[32] = "0";
    struct redis_reply *reply = NULL;
    int n = snprintf(pattern, sizeof(pattern), "%skey:*", redis_prefix(r));
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < SCAN_ROUNDS_MAX; i++) {
        struct str args[6] = {str_of("SCAN"),       str_of(cursor),  str_of("MATCH"),
                              {pattern, (size_t)n}, str_of("COUNT"), str_of("500")};
        redis_reply_free(reply);
        TRY(redis_call(r, &reply, 6, args, f));
        TRY(read_page(r, out, redis_reply_at(reply, 1), f));
        str_copy(cursor, sizeof(cursor), redis_reply_str(redis_reply_at(reply, 0)));
        if (strcmp(cursor, "0") == 0) break;
    }
out:
    redis_reply_free(reply);
    return rc;
}
