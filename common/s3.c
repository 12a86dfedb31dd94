/* s3.c - see s3.h. Replies are XML of a stranger: a few names are looked for in bounded text,
 * nothing is parsed, no entity is ever expanded. */
#include "common/s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/base/str.h"
#include "common/fetch.h"
#include "common/sigv4.h"
#include "common/store.h"

enum {
    CONNECT_MS = 5000,
    SHORT_MS = 30000,
    LONG_MS = 3600 * 1000, /* of a body; too slow a one ends long before (fetch.c) */
    REPLY_MAX = 256 * 1024,
    URL_MAX = 2048,
    HEADER_MAX = 1024,
    WAIT_MS = 200,
    SKEW_MS = 60 * 1000,
    HASH_CHUNK = 1 << 16,
    UPLOAD_ID_MAX = 512,
    CODE_MAX = 64,
    ETAG_ROW = 200
};

#define EMPTY_SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* One request as it is meant; signed anew at every try. */
struct ask {
    const char *method, *key, *query;
    const char *sha256; /* of the body */
    const char *type, *meta_sha256;
    bool is_once; /* If-None-Match: * */
    const char *body;
    const struct fetch_file *file;
    int save_fd;
    uint64_t save_max;
};

struct answer {
    struct fetch_reply reply;
    const char *etag, *meta, *date, *length; /* of the reply's headers, "" when absent */
};

static enum err copy(char *out, size_t cap, const char *text, const char *what, struct fail *f) {
    size_t n = text ? strlen(text) : 0;
    if (n >= cap) return FAIL(f, ERR_CONFIG, "%s has %zu bytes, at most %zu fit", what, n, cap - 1);
    memcpy(out, text ? text : "", n + 1);
    return ERR_OK;
}

/* The endpoint without a final slash, and its host as the header of a request has it: without a
 * port that goes without saying. */
static enum err read_endpoint(char *url, char *host, const char *text, struct fail *f) {
    static const struct guard_rules rules = {.allow_http = true, .allow_private = true};
    struct guard_target t;
    enum err rc = copy(url, S3_HOST_SIZE, text, "s3_endpoint", f);
    if (rc != ERR_OK) return rc;
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        url[--n] = '\0';
    const char *scheme = strstr(url, "://");
    if (guard_url(&t, url, &rules, NULL) != ERR_OK || !scheme || strpbrk(scheme + 3, "/?"))
        return FAIL(f, ERR_CONFIG, "s3_endpoint is %.200s; need https://HOST[:PORT]", text);
    bool is_v6 = strchr(t.host, ':') != NULL;
    bool is_usual = t.port == (t.is_https ? 443 : 80);
    n = (size_t)snprintf(host, S3_HOST_SIZE, "%s%s%s", is_v6 ? "[" : "", t.host, is_v6 ? "]" : "");
    if (!is_usual) snprintf(host + n, S3_HOST_SIZE - n, ":%d", t.port);
    return ERR_OK;
}

static bool is_bucket(const char *name) {
    size_t n = strlen(name);
    return n >= 3 && n <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == n;
}

enum err s3_make(struct s3 *out, const struct s3_conf *conf, struct fail *f) {
    enum err rc = ERR_OK;
    const char *public = conf->public_endpoint;
    const char *bucket = conf->bucket ? conf->bucket : "",
               *prefix = conf->prefix ? conf->prefix : "";
    *out = (struct s3){.part_from = S3_PART_FROM, .part_bytes = S3_PART_BYTES};
    TRY(read_endpoint(out->endpoint, out->host, conf->endpoint, f));
    TRY(read_endpoint(out->public_endpoint, out->public_host,
                      public && public[0] ? public : conf->endpoint, f));
    if (bucket[0] && !is_bucket(bucket))
        TRY(FAIL(f, ERR_CONFIG, "s3_bucket is %.100s; need 3 to 63 of a-z 0-9 . -", bucket));
    if (prefix[0] && (!store_key_is_ok(prefix) || strlen(prefix) > S3_NAME_MAX))
        TRY(FAIL(f, ERR_CONFIG, "s3_prefix is %.100s; need names of A-Z a-z 0-9 . _ - joined by /",
                 prefix));
    TRY(copy(out->region, sizeof(out->region), conf->region, "s3_region", f));
    TRY(copy(out->access_key, sizeof(out->access_key), conf->access_key, "s3_access_key", f));
    TRY(copy(out->secret_key, sizeof(out->secret_key), conf->secret_key, "s3_secret_key", f));
    if (!out->region[0] || !out->access_key[0] || !out->secret_key[0])
        TRY(FAIL(f, ERR_CONFIG, "s3_endpoint needs s3_region, s3_access_key and s3_secret_key"));
    snprintf(out->base, sizeof(out->base), "%s%s/%s%s", bucket[0] ? "/" : "", bucket, prefix,
             prefix[0] ? "/" : "");
out:
    return rc;
}

enum err s3_check(const struct s3_conf *conf, struct fail *f) {
    struct s3 s;
    if (!conf->endpoint || !conf->endpoint[0]) return ERR_OK;
    enum err rc = s3_make(&s, conf, f);
    explicit_bzero(&s, sizeof(s));
    return rc;
}

static struct sigv4_keys keys_of(const struct s3 *s) {
    return (struct sigv4_keys){s->access_key, s->secret_key, s->region};
}

/* The text of one request: what is signed is what is sent. */
struct text {
    char path[URL_MAX], url[URL_MAX];
    char line[SIGV4_HEADERS_MAX + 1][HEADER_MAX];
    struct buf authorization;
};

static void add_header(struct sigv4_call *call, int *n, const char *name, const char *value) {
    if (!value) return;
    ASSERT(*n < SIGV4_HEADERS_MAX);
    call->headers[(*n)++] = (struct sigv4_header){name, value};
}

/* In order of their names, as the signature wants them. */
static void add_headers(struct sigv4_call *call, const struct s3 *s, const struct ask *a) {
    int n = 0;
    add_header(call, &n, "content-type", a->type);
    add_header(call, &n, "host", s->host);
    add_header(call, &n, "if-none-match", a->is_once ? "*" : NULL);
    add_header(call, &n, "x-amz-content-sha256", call->payload);
    add_header(call, &n, "x-amz-date", call->date);
    add_header(call, &n, "x-amz-meta-sha256", a->meta_sha256);
}

static enum err write_text(struct text *t, struct fetch_request *r, const struct s3 *s,
                           const struct ask *a, int64_t wall_ms, struct fail *f) {
    enum err rc = ERR_OK;
    struct sigv4_keys keys = keys_of(s);
    int n = 0;
    snprintf(t->path, sizeof(t->path), "%s%s", s->base, a->key);
    struct sigv4_call call = {.method = a->method,
                              .path = t->path,
                              .query = a->query ? a->query : "",
                              .payload = a->sha256 ? a->sha256 : EMPTY_SHA};
    sigv4_date(call.date, wall_ms);
    add_headers(&call, s, a);
    TRY(buf_add_str(&t->authorization, "authorization: ", f));
    TRY(sigv4_authorize(&t->authorization, &call, &keys, f));
    for (int i = 0; call.headers[i].name; i++) {
        if (strcmp(call.headers[i].name, "host") == 0) continue; /* libcurl writes the same */
        snprintf(t->line[n], HEADER_MAX, "%s: %s", call.headers[i].name, call.headers[i].value);
        r->headers[n] = t->line[n];
        n++;
    }
    r->headers[n] = buf_str(&t->authorization);
    int len = snprintf(t->url, sizeof(t->url), "%s%s%s%s", s->endpoint, t->path,
                       call.query[0] ? "?" : "", call.query);
    if (len >= (int)sizeof(t->url))
        rc = FAIL(f, ERR_INPUT, "s3: the name of %.80s is too long", a->key);
out:
    return rc;
}

static enum err call_once(struct answer *out, const struct s3 *s, const struct ask *a,
                          int64_t wall_ms, struct fail *f) {
    static const char *const asked[] = {"etag", "x-amz-meta-sha256", "date", "content-length"};
    struct text t = {0};
    struct fetch_request r = {.url = t.url,
                              .method = a->method,
                              .body = a->body,
                              .n_body = a->body ? strlen(a->body) : 0,
                              .file = a->file,
                              .save_fd = a->save_fd,
                              .connect_ms = CONNECT_MS,
                              .total_ms = a->file || a->save_fd > 0 ? LONG_MS : SHORT_MS,
                              .reply_max = a->save_fd > 0 ? (size_t)a->save_max : REPLY_MAX,
                              .rules = {.allow_http = true, .allow_private = true}};
    for (int i = 0; i < COUNT_OF(asked); i++)
        r.asked[i] = asked[i];
    buf_make(&t.authorization, HEADER_MAX);
    out->reply = (struct fetch_reply){0};
    enum err rc = write_text(&t, &r, s, a, wall_ms, f);
    if (rc == ERR_OK) rc = fetch_call(&out->reply, &r, f);
    buf_free(&t.authorization);
    out->etag = out->reply.told[0];
    out->meta = out->reply.told[1];
    out->date = out->reply.told[2];
    out->length = out->reply.told[3];
    return rc;
}

/* The text of the first <name>...</name>, without entities; false when it is not there or too long.
 */
static bool find_text(char *out, size_t cap, const struct buf *xml, const char *name) {
    char open[CODE_MAX];
    const char *text = buf_str(xml);
    snprintf(open, sizeof(open), "<%s>", name);
    const char *at = strstr(text, open);
    if (!at) return false;
    at += strlen(open);
    size_t n = strcspn(at, "<&");
    if (n == 0 || n >= cap || at[n] != '<') return false;
    memcpy(out, at, n);
    out[n] = '\0';
    return true;
}

static bool has_code(const struct answer *a, const char *code) {
    char text[CODE_MAX];
    return find_text(text, sizeof(text), &a->reply.body, "Code") && strcmp(text, code) == 0;
}

static bool is_passing(const struct answer *a) {
    int status = a->reply.status;
    return status == 429 || (status >= 500 && status != 501) || has_code(a, "SlowDown") ||
           has_code(a, "RequestTimeout") || has_code(a, "ConditionalRequestConflict") ||
           has_code(a, "OperationAborted");
}

/* Signatures of another time are refused, to a HEAD without a word: the reply tells the time. */
static int64_t offset_of(const struct answer *a) {
    int64_t theirs_s = fetch_parse_date(a->date);
    return theirs_s < 0 ? 0 : theirs_s * 1000 - now_wall_ms();
}

static void pause_before(int try) {
    unsigned char r = 0;
    id_random(&r, 1);
    now_sleep_ms((WAIT_MS << try) / 2 + (WAIT_MS << try) * r / 512);
}

/* Tries until there is an answer that will not change. The caller frees out->reply. */
static enum err call(struct answer *out, const struct s3 *s, const struct ask *a, struct fail *f) {
    int64_t offset_ms = 0;
    enum err rc = ERR_OK;
    for (int try = 0;; try++) {
        rc = call_once(out, s, a, now_wall_ms() + offset_ms, f);
        bool is_skewed = rc == ERR_OK && out->reply.status == 403 && offset_ms == 0 &&
                         llabs(offset_of(out)) > SKEW_MS;
        bool is_again = rc == ERR_OK ? is_skewed || is_passing(out) : err_retry(rc);
        if (!is_again || try + 1 >= S3_TRIES) break;
        if (is_skewed) offset_ms = offset_of(out);
        fetch_reply_free(&out->reply);
        if (a->save_fd > 0 && (ftruncate(a->save_fd, 0) < 0 || lseek(a->save_fd, 0, SEEK_SET) < 0))
            return FAIL(f, ERR_IO, "s3: cannot write the copy of %.100s", a->key);
        pause_before(try);
    }
    return rc;
}

static enum err refuse(const struct answer *a, const struct ask *ask, struct fail *f) {
    char code[CODE_MAX] = "";
    if (a->reply.status == 404) return FAIL(f, ERR_NOT_FOUND, "s3: no object %.120s", ask->key);
    if (!find_text(code, sizeof(code), &a->reply.body, "Code")) code[0] = '\0';
    return FAIL(f, ERR_IO, "s3: %s %.100s was answered %d %s", ask->method, ask->key,
                a->reply.status, code);
}

/* One exchange whose success is any 2xx; the rest is in words. */
static enum err exchange(struct answer *out, const struct s3 *s, const struct ask *a,
                         struct fail *f) {
    enum err rc = call(out, s, a, f);
    if (rc == ERR_OK && (out->reply.status < 200 || out->reply.status > 299))
        rc = refuse(out, a, f);
    return rc;
}

static void read_facts(struct s3_facts *out, const struct answer *a) {
    int64_t n = 0;
    *out = (struct s3_facts){0};
    if (str_parse_i64(str_of(a->length), 0, INT64_MAX, &n)) out->size_bytes = (uint64_t)n;
    if (str_is_hex(str_of(a->meta), SHA256_HEX)) memcpy(out->sha256, a->meta, SHA256_HEX + 1);
}

enum err s3_head(const struct s3 *s, struct s3_facts *out, const char *key, struct fail *f) {
    struct answer a;
    struct ask ask = {.method = "HEAD", .key = key};
    enum err rc = exchange(&a, s, &ask, f);
    read_facts(out, &a);
    fetch_reply_free(&a.reply);
    return rc;
}

enum err s3_remove(const struct s3 *s, const char *key, struct fail *f) {
    struct answer a;
    struct ask ask = {.method = "DELETE", .key = key};
    enum err rc = exchange(&a, s, &ask, f);
    fetch_reply_free(&a.reply);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

enum err s3_get(const struct s3 *s, struct s3_facts *out, const char *key, int fd,
                uint64_t max_bytes, struct fail *f) {
    struct answer a;
    struct ask ask = {.method = "GET", .key = key, .save_fd = fd, .save_max = max_bytes};
    ASSERT(fd > 0);
    if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return FAIL(f, ERR_IO, "s3: cannot write the copy of %.100s", key);
    enum err rc = exchange(&a, s, &ask, f);
    read_facts(out, &a);
    out->size_bytes = (uint64_t)a.reply.n_saved;
    fetch_reply_free(&a.reply);
    return rc;
}

/* The key was taken: fine when by the same bytes, as after an answer that was lost. */
static enum err compare(const struct s3 *s, const char *key, const struct s3_facts *ours,
                        struct fail *f) {
    struct s3_facts theirs;
    enum err rc = s3_head(s, &theirs, key, f);
    if (rc != ERR_OK) return rc;
    if (theirs.size_bytes == ours->size_bytes && strcmp(theirs.sha256, ours->sha256) == 0)
        return ERR_OK;
    return FAIL(f, ERR_CONFLICT, "s3: %.120s already holds other bytes", key);
}

/* Stores that do not know If-None-Match say 501; then a put is a put. */
static enum err put_whole(const struct s3 *s, struct ask *ask, const struct s3_facts *facts,
                          struct fail *f) {
    struct answer a;
    enum err rc = call(&a, s, ask, f);
    if (rc == ERR_OK && a.reply.status == 501 && ask->is_once) {
        fetch_reply_free(&a.reply);
        ask->is_once = false;
        rc = call(&a, s, ask, f);
    }
    int status = a.reply.status;
    if (rc == ERR_OK && status == 412 && ask->is_once)
        rc = compare(s, ask->key, facts, f);
    else if (rc == ERR_OK && (status < 200 || status > 299))
        rc = refuse(&a, ask, f);
    fetch_reply_free(&a.reply);
    return rc;
}

static enum err hash_part(char out[SHA256_HEX + 1], const struct fetch_file *part, struct fail *f) {
    char chunk[HASH_CHUNK];
    unsigned char digest[SHA256_BYTES];
    struct sha256 h;
    sha256_start(&h);
    for (int64_t done = 0; done < part->n_bytes;) {
        int64_t left = part->n_bytes - done;
        ssize_t k = pread(part->fd, chunk, left < HASH_CHUNK ? (size_t)left : HASH_CHUNK,
                          (off_t)(part->from + done));
        if (k <= 0) return FAIL(f, ERR_IO, "s3: a file became shorter while it was sent");
        sha256_add(&h, chunk, (size_t)k);
        done += k;
    }
    sha256_end(&h, digest);
    sha256_to_hex(digest, out);
    return ERR_OK;
}

/* An upload in parts that was begun. */
struct parts {
    const struct s3 *s;
    struct ask ask;                 /* key, type, condition of the whole */
    char id[3 * UPLOAD_ID_MAX + 1]; /* encoded */
    struct buf list;                /* the XML that ends it */
};

static enum err parts_begin(struct parts *p, struct fail *f) {
    struct answer a;
    char id[UPLOAD_ID_MAX];
    struct buf encoded;
    struct ask ask = {.method = "POST",
                      .key = p->ask.key,
                      .query = "uploads=",
                      .body = "",
                      .type = p->ask.type,
                      .meta_sha256 = p->ask.meta_sha256};
    buf_make(&encoded, sizeof(p->id) - 1);
    enum err rc = exchange(&a, p->s, &ask, f);
    if (rc == ERR_OK && !find_text(id, sizeof(id), &a.reply.body, "UploadId"))
        rc = FAIL(f, ERR_IO, "s3: no upload id for %.100s", p->ask.key);
    if (rc == ERR_OK) rc = sigv4_encode(&encoded, id, f);
    if (rc == ERR_OK) snprintf(p->id, sizeof(p->id), "%s", buf_str(&encoded));
    buf_free(&encoded);
    fetch_reply_free(&a.reply);
    return rc;
}

static enum err parts_send(struct parts *p, int number, const struct fetch_file *part,
                           struct fail *f) {
    struct answer a = {0};
    char query[sizeof(p->id) + 64], sha256[SHA256_HEX + 1];
    struct ask ask = {
        .method = "PUT", .key = p->ask.key, .query = query, .sha256 = sha256, .file = part};
    snprintf(query, sizeof(query), "partNumber=%d&uploadId=%s", number, p->id);
    enum err rc = hash_part(sha256, part, f);
    if (rc != ERR_OK) return rc;
    rc = exchange(&a, p->s, &ask, f);
    if (rc == ERR_OK && (a.etag[0] == '\0' || strpbrk(a.etag, "<>&")))
        rc = FAIL(f, ERR_IO, "s3: a part of %.100s came back without a tag", p->ask.key);
    if (rc == ERR_OK)
        rc = buf_addf(&p->list, f, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>",
                      number, a.etag);
    fetch_reply_free(&a.reply);
    return rc;
}

/* 200 may still carry an error: S3 answers before it has put the parts together. *is_left: the
 * parts are still there. */
static enum err parts_end(struct parts *p, bool *is_left, const struct s3_facts *facts,
                          struct fail *f) {
    struct answer a;
    char query[sizeof(p->id) + 16], sha256[SHA256_HEX + 1];
    enum err rc = buf_add_str(&p->list, "</CompleteMultipartUpload>", f);
    if (rc != ERR_OK) return rc;
    snprintf(query, sizeof(query), "uploadId=%s", p->id);
    sha256_hex(buf_str(&p->list), p->list.len, sha256);
    struct ask ask = {.method = "POST",
                      .key = p->ask.key,
                      .query = query,
                      .sha256 = sha256,
                      .is_once = p->ask.is_once,
                      .body = buf_str(&p->list),
                      .type = "application/xml"};
    rc = call(&a, p->s, &ask, f);
    if (rc == ERR_OK && a.reply.status == 501 && ask.is_once) {
        fetch_reply_free(&a.reply);
        ask.is_once = false;
        rc = call(&a, p->s, &ask, f);
    }
    bool is_made =
        rc == ERR_OK && a.reply.status == 200 && !strstr(buf_str(&a.reply.body), "<Error>");
    /* 412: taken; 404: an earlier try of this very call ended the upload. */
    bool is_there = rc == ERR_OK && (a.reply.status == 412 || a.reply.status == 404);
    if (rc == ERR_OK && !is_made)
        rc = is_there ? compare(p->s, p->ask.key, facts, f) : refuse(&a, &ask, f);
    *is_left = !is_made && a.reply.status != 404;
    fetch_reply_free(&a.reply);
    return rc;
}

/* Parts that stay behind cost money until the bucket's own rule removes them. */
static void parts_drop(struct parts *p) {
    struct answer a;
    char query[sizeof(p->id) + 16];
    struct ask ask = {.method = "DELETE", .key = p->ask.key, .query = query};
    snprintf(query, sizeof(query), "uploadId=%s", p->id);
    enum err rc = exchange(&a, p->s, &ask, NULL);
    if (rc != ERR_OK) log_line(LOG_WARN, "s3.parts_left", "key=%s", p->ask.key);
    fetch_reply_free(&a.reply);
}

static enum err put_parts(const struct s3 *s, const struct ask *whole, const struct s3_facts *facts,
                          struct fail *f) {
    enum err rc = ERR_OK;
    struct parts p = {.s = s, .ask = *whole};
    int64_t n = (int64_t)facts->size_bytes;
    bool is_left = false;
    int n_parts = (int)((n + s->part_bytes - 1) / s->part_bytes);
    if (n > s->part_bytes * S3_PARTS_MAX)
        return FAIL(f, ERR_LIMIT, "s3: %.100s is too large for %d parts", whole->key, S3_PARTS_MAX);
    buf_make(&p.list, (size_t)n_parts * ETAG_ROW + 128);
    TRY(parts_begin(&p, f));
    is_left = true;
    TRY(buf_add_str(&p.list, "<CompleteMultipartUpload>", f));
    for (int i = 0; i < n_parts; i++) {
        int64_t from = i * s->part_bytes, left = n - from;
        struct fetch_file part = {whole->file->fd, from,
                                  left < s->part_bytes ? left : s->part_bytes};
        TRY(parts_send(&p, i + 1, &part, f));
    }
    TRY(parts_end(&p, &is_left, facts, f));
out:
    if (is_left) parts_drop(&p);
    buf_free(&p.list);
    return rc;
}

enum err s3_put(const struct s3 *s, const char *key, int fd, const char *type,
                const struct s3_facts *facts, enum s3_put how, struct fail *f) {
    struct fetch_file file = {fd, 0, (int64_t)facts->size_bytes};
    struct ask ask = {.method = "PUT",
                      .key = key,
                      .sha256 = facts->sha256,
                      .type = type,
                      .meta_sha256 = facts->sha256,
                      .is_once = how == S3_ONCE,
                      .file = &file};
    ASSERT(store_key_is_ok(key) && strlen(facts->sha256) == SHA256_HEX);
    return file.n_bytes > s->part_from ? put_parts(s, &ask, facts, f)
                                       : put_whole(s, &ask, facts, f);
}

enum err s3_link(const struct s3 *s, struct buf *out, const char *method, const char *key,
                 int64_t seconds, struct fail *f) {
    enum err rc = ERR_OK;
    char path[URL_MAX];
    struct sigv4_keys keys = keys_of(s);
    if (seconds < 1 || seconds > SIGV4_LINK_SECONDS_MAX)
        return FAIL(f, ERR_INPUT, "a link lives %lld s; need 1 to %d", (long long)seconds,
                    SIGV4_LINK_SECONDS_MAX);
    snprintf(path, sizeof(path), "%s%s", s->base, key);
    struct sigv4_call call = {.method = method,
                              .path = path,
                              .query = "",
                              .payload = "UNSIGNED-PAYLOAD",
                              .headers = {{"host", s->public_host}}};
    sigv4_date(call.date, now_wall_ms());
    TRY(buf_addf(out, f, "%s%s?", s->public_endpoint, path));
    TRY(sigv4_link(out, &call, seconds, &keys, f));
out:
    return rc;
}
