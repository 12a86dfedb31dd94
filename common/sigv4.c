#include "common/sigv4.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/assert.h"
#include "common/base/sha256.h"

enum { TEXT_MAX = 16 * 1024, DAY_CHARS = 8 };

#define ALGORITHM "AWS4-HMAC-SHA256"

void sigv4_date(char out[SIGV4_DATE_SIZE], int64_t wall_ms) {
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

enum err sigv4_encode(struct buf *out, const char *text, struct fail *f) {
    enum err rc = ERR_OK;
    for (const char *p = text; *p && rc == ERR_OK; p++) {
        bool is_plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                        (*p >= '0' && *p <= '9') || strchr("-_.~", *p);
        rc = is_plain ? buf_add(out, p, 1, f) : buf_addf(out, f, "%%%02X", (unsigned char)*p);
    }
    return rc;
}

static enum err add_names(struct buf *out, const struct sigv4_call *c, struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 0; c->headers[i].name && rc == ERR_OK; i++)
        rc = buf_addf(out, f, "%s%s", i > 0 ? ";" : "", c->headers[i].name);
    return rc;
}

static enum err add_canonical(struct buf *out, const struct sigv4_call *c, const char *query,
                              struct fail *f) {
    enum err rc = ERR_OK;
    TRY(buf_addf(out, f, "%s\n%s\n%s\n", c->method, c->path, query));
    for (int i = 0; c->headers[i].name; i++) {
        ASSERT(i == 0 || strcmp(c->headers[i - 1].name, c->headers[i].name) < 0);
        TRY(buf_addf(out, f, "%s:%s\n", c->headers[i].name, c->headers[i].value));
    }
    TRY(buf_add_str(out, "\n", f));
    TRY(add_names(out, c, f));
    TRY(buf_addf(out, f, "\n%s", c->payload));
out:
    return rc;
}

static enum err add_scope(struct buf *out, const struct sigv4_call *c,
                          const struct sigv4_keys *keys, struct fail *f) {
    return buf_addf(out, f, "%.*s/%s/s3/aws4_request", DAY_CHARS, c->date, keys->region);
}

static enum err add_text_to_sign(struct buf *out, const struct sigv4_call *c, const char *query,
                                 const struct sigv4_keys *keys, struct fail *f) {
    enum err rc = ERR_OK;
    struct buf canonical;
    char digest[SHA256_HEX + 1];
    buf_make(&canonical, TEXT_MAX);
    TRY(add_canonical(&canonical, c, query, f));
    sha256_hex(buf_str(&canonical), canonical.len, digest);
    TRY(buf_addf(out, f, ALGORITHM "\n%s\n", c->date));
    TRY(add_scope(out, c, keys, f));
    TRY(buf_addf(out, f, "\n%s", digest));
out:
    buf_free(&canonical);
    return rc;
}

static void chain(unsigned char key[SHA256_BYTES], const char *text, size_t n) {
    unsigned char next[SHA256_BYTES];
    sha256_hmac(key, SHA256_BYTES, text, n, next);
    memcpy(key, next, SHA256_BYTES);
}

/* The secret is folded with day, region and service, so that a leaked key dies with its day. */
static enum err make_key(unsigned char key[SHA256_BYTES], const struct sigv4_call *c,
                         const struct sigv4_keys *keys, struct fail *f) {
    char seed[256];
    int n = snprintf(seed, sizeof(seed), "AWS4%s", keys->secret);
    if (n >= (int)sizeof(seed)) return FAIL(f, ERR_CONFIG, "s3: the secret key is too long");
    sha256_hmac(seed, (size_t)n, c->date, DAY_CHARS, key);
    explicit_bzero(seed, sizeof(seed));
    chain(key, keys->region, strlen(keys->region));
    chain(key, "s3", 2);
    chain(key, "aws4_request", 12);
    return ERR_OK;
}

static enum err sign(char out[SHA256_HEX + 1], const struct sigv4_call *c, const char *query,
                     const struct sigv4_keys *keys, struct fail *f) {
    enum err rc = ERR_OK;
    unsigned char key[SHA256_BYTES] = {0}, signature[SHA256_BYTES];
    struct buf text;
    buf_make(&text, TEXT_MAX);
    TRY(add_text_to_sign(&text, c, query, keys, f));
    TRY(make_key(key, c, keys, f));
    sha256_hmac(key, sizeof(key), buf_str(&text), text.len, signature);
    sha256_to_hex(signature, out);
out:
    explicit_bzero(key, sizeof(key));
    buf_free(&text);
    return rc;
}

enum err sigv4_authorize(struct buf *out, const struct sigv4_call *call,
                         const struct sigv4_keys *keys, struct fail *f) {
    enum err rc = ERR_OK;
    char signature[SHA256_HEX + 1];
    TRY(sign(signature, call, call->query, keys, f));
    TRY(buf_addf(out, f, ALGORITHM " Credential=%s/", keys->access));
    TRY(add_scope(out, call, keys, f));
    TRY(buf_add_str(out, ",SignedHeaders=", f));
    TRY(add_names(out, call, f));
    TRY(buf_addf(out, f, ",Signature=%s", signature));
out:
    return rc;
}

enum err sigv4_link(struct buf *out, const struct sigv4_call *call, int64_t seconds,
                    const struct sigv4_keys *keys, struct fail *f) {
    enum err rc = ERR_OK;
    char signature[SHA256_HEX + 1];
    struct buf who, query;
    ASSERT(seconds > 0 && seconds <= SIGV4_LINK_SECONDS_MAX && call->query[0] == '\0');
    buf_make(&who, TEXT_MAX);
    buf_make(&query, TEXT_MAX);
    TRY(buf_addf(&who, f, "%s/", keys->access));
    TRY(add_scope(&who, call, keys, f));
    TRY(buf_add_str(&query, "X-Amz-Algorithm=" ALGORITHM "&X-Amz-Credential=", f));
    TRY(sigv4_encode(&query, buf_str(&who), f));
    TRY(buf_addf(&query, f, "&X-Amz-Date=%s&X-Amz-Expires=%lld&X-Amz-SignedHeaders=host",
                 call->date, (long long)seconds));
    TRY(sign(signature, call, buf_str(&query), keys, f));
    TRY(buf_addf(out, f, "%s&X-Amz-Signature=%s", buf_str(&query), signature));
out:
    buf_free(&query);
    buf_free(&who);
    return rc;
}
