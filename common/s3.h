/* s3.h - objects in any S3-compatible store: put, get, look, remove, and links for others.
 *
 * Requests carry the SHA-256 of their body and are signed by sigv4.h; the hash of the whole object
 * is kept beside it (x-amz-meta-sha256) and is compared on the way back. Above S3_PART_FROM bytes
 * an object goes up in parts, and is aborted when that fails. 5xx, 429, broken connections and a
 * clock that is off are tried again, a few times. Blocking; any number of threads may share one
 * struct s3. fetch_start() came before. */
#ifndef COMMON_S3_H
#define COMMON_S3_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum {
    S3_TRIES = 5,
    S3_PART_FROM = 64 * 1024 * 1024,
    S3_PART_BYTES = 32 * 1024 * 1024,
    S3_PARTS_MAX = 10000,
    S3_HOST_SIZE = 280,
    S3_NAME_MAX = 200
};

/* As an operator writes it; empty `bucket`: it is part of the endpoint's host. */
struct s3_conf {
    char *endpoint; /* https://HOST[:PORT] */
    char *bucket, *region, *prefix, *access_key, *secret_key;
    char *public_endpoint; /* for links; empty: the same */
};

/* The options of an S3 store, the same in every program: rows of its table (config.h) for the
 * struct s3_conf that is `member` of its struct `type`. */
/* clang-format off */
#define S3_CONFIG_ROWS(type, member)                                                               \
    {"s3_endpoint", CONFIG_TEXT, offsetof(type, member.endpoint), "", 0, 260,                      \
     "https://HOST[:PORT] of an S3 store where files live; store_dir then holds copies only; "     \
     "empty: files live in store_dir"},                                                            \
    {"s3_bucket", CONFIG_TEXT, offsetof(type, member.bucket), "", 0, 63,                           \
     "its bucket; empty: the endpoint's host names it"},                                           \
    {"s3_prefix", CONFIG_TEXT, offsetof(type, member.prefix), "", 0, 150,                          \
     "what the names of our objects begin with"},                                                  \
    {"s3_region", CONFIG_TEXT, offsetof(type, member.region), "us-east-1", 1, 60, "its region"},   \
    {"s3_access_key", CONFIG_SECRET, offsetof(type, member.access_key), "", 0, 128,                \
     "who we are there"},                                                                          \
    {"s3_secret_key", CONFIG_SECRET, offsetof(type, member.secret_key), "", 0, 128,                \
     "what proves it"},                                                                            \
    {"s3_public_endpoint", CONFIG_TEXT, offsetof(type, member.public_endpoint), "", 0, 260,        \
     "the endpoint in links for clients; empty: the same"}
/* clang-format on */

struct s3 {
    char endpoint[S3_HOST_SIZE], public_endpoint[S3_HOST_SIZE];
    char host[S3_HOST_SIZE], public_host[S3_HOST_SIZE]; /* with the port, as the header has it */
    char base[2 * S3_NAME_MAX + 4];                     /* "/bucket/prefix/" */
    char region[64], access_key[136], secret_key[136];
    int64_t part_from, part_bytes; /* S3_PART_FROM and S3_PART_BYTES; tests make them small */
};

struct s3_facts {
    uint64_t size_bytes;
    char sha256[65]; /* "" when the object was not put by us */
};

enum s3_put {
    S3_ONCE, /* a key never changes its meaning: other bytes there are ERR_CONFLICT */
    S3_AGAIN /* the key says the content: what is there is replaced, and young again */
};

/* ERR_CONFIG in words. No request is made. */
MUST_CHECK enum err s3_make(struct s3 *out, const struct s3_conf *conf, struct fail *f);

/* The same for a configuration: an empty endpoint is fine. */
MUST_CHECK enum err s3_check(const struct s3_conf *conf, struct fail *f);

/* The first size_bytes of fd, whose hash is known. ERR_IO when the store cannot be reached or says
 * no. */
MUST_CHECK enum err s3_put(const struct s3 *s, const char *key, int fd, const char *type,
                           const struct s3_facts *facts, enum s3_put how, struct fail *f);
/* To fd, which is cut first; at most max_bytes. ERR_NOT_FOUND. */
MUST_CHECK enum err s3_get(const struct s3 *s, struct s3_facts *out, const char *key, int fd,
                           uint64_t max_bytes, struct fail *f);
MUST_CHECK enum err s3_head(const struct s3 *s, struct s3_facts *out, const char *key,
                            struct fail *f);
/* What is not there is removed. */
MUST_CHECK enum err s3_remove(const struct s3 *s, const char *key, struct fail *f);
/* A link with which anybody may GET (or PUT) the object for `seconds` (1 to 604800) from now. */
MUST_CHECK enum err s3_link(const struct s3 *s, struct buf *out, const char *method,
                            const char *key, int64_t seconds, struct fail *f);

#endif
