#include "server/link.h"

#include <stdio.h>
#include <string.h>

#include "common/base/now.h"
#include "common/base/sha256.h"
#include "common/doc.h"
#include "common/sigv4.h"
#include "server/content.h"
#include "server/videos.h"

enum { TEXT_MAX = 512, URL_MAX = 4096 };

/* What a link says; the signature covers all of it. */
struct claim {
    const char *id, *variant, *tenant;
    int64_t expires_s;
};

static void sign(char out[SHA256_HEX + 1], const struct server *s, const struct claim *c) {
    char text[TEXT_MAX];
    unsigned char mac[SHA256_BYTES];
    const char *secret = s->opts.link_secret;
    int n = snprintf(text, sizeof(text), "v1\n%s\n%s\n%s\n%lld", c->id, c->variant, c->tenant,
                     (long long)c->expires_s);
    sha256_hmac(secret, strlen(secret), text, n < TEXT_MAX ? (size_t)n : TEXT_MAX - 1, mac);
    sha256_to_hex(mac, out);
}

static bool has_own_links(const struct server *s) {
    return s->opts.link_secret && s->opts.link_secret[0] && s->opts.public_url[0];
}

static enum err write_own(struct buf *out, const struct server *s, const struct claim *c,
                          struct fail *f) {
    enum err rc = ERR_OK;
    char sig[SHA256_HEX + 1];
    sign(sig, s, c);
    TRY(buf_addf(out, f, "%s/media/%s?variant=%s&tenant=", s->opts.public_url, c->id, c->variant));
    TRY(sigv4_encode(out, c->tenant, f));
    TRY(buf_addf(out, f, "&exp=%lld&sig=%s", (long long)c->expires_s, sig));
out:
    return rc;
}

/* False when the reply was set. */
static bool read_seconds(struct request *req, int64_t *out) {
    struct str s = {0};
    int found = request_query(req, "expires_in", &s);
    *out = LINK_SECONDS_USUAL;
    if (found == 0 || (found == 1 && str_parse_i64(s, 1, LINK_SECONDS_MAX, out))) return true;
    request_reply_error(req, PROBLEM_INVALID_VALUE, "expires_in",
                        "expires_in must be a number of seconds from 1 to %d", LINK_SECONDS_MAX);
    return false;
}

static enum err reply(struct request *req, const struct buf *url, const struct claim *c,
                      const struct receipt_object *object, struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, &req->reply.body);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "object", "video.url");
    doc_put_text(&o, "url", buf_str(url));
    doc_put_int(&o, "expires_at", c->expires_s);
    doc_put_text(&o, "content_type", object->type);
    doc_put_int(&o, "bytes", object->n_bytes);
    doc_put_text(&o, "sha256", object->sha256);
    doc_close_object(&o);
    enum err rc = doc_done(&o, f);
    if (rc == ERR_OK) request_reply_json(req, 200);
    return rc;
}

void link_make(struct server *s, struct request *req) {
    struct receipt_object object;
    struct fail f = {0};
    struct buf url;
    enum receipt_variant variant;
    int64_t seconds;
    if (!s->store.remote && !has_own_links(s)) {
        request_reply_error(req, PROBLEM_UNSUPPORTED_OPERATION, NULL,
                            "links need s3_endpoint, or link_secret and public_url, in the "
                            "server's configuration; /content works with a key");
        return;
    }
    if (!read_seconds(req, &seconds) || !content_find(s, req, &object, &variant)) return;
    struct claim c = {.id = videos_id(req),
                      .variant = receipt_variant_name(variant),
                      .tenant = req->tenant,
                      .expires_s = now_wall_ms() / 1000 + seconds};
    buf_make(&url, URL_MAX);
    enum err rc = s->store.remote ? store_link(&s->store, &url, object.key, seconds, &f)
                                  : write_own(&url, s, &c, &f);
    if (rc == ERR_OK) rc = reply(req, &url, &c, &object, &f);
    if (rc != ERR_OK) server_reply_fail(req, &f);
    buf_free(&url);
}

static void refuse(struct request *req, const char *why) {
    request_reply_error(req, PROBLEM_FORBIDDEN, "sig", "this link %s", why);
}

/* A link that was cut, changed or is too old is told so without a look at the job. */
void link_follow(struct server *s, struct request *req) {
    char want[SHA256_HEX + 1], variant[32];
    struct str text = {0}, tenant = {0}, exp = {0}, sig = {0};
    struct claim c = {.id = videos_id(req), .variant = variant};
    if (!c.id) return;
    bool is_whole = has_own_links(s) && request_query(req, "variant", &text) == 1 &&
                    str_copy(variant, sizeof(variant), text) &&
                    request_query(req, "tenant", &tenant) == 1 &&
                    str_copy(req->tenant, sizeof(req->tenant), tenant) &&
                    request_query(req, "exp", &exp) == 1 &&
                    str_parse_i64(exp, 0, INT64_MAX / 1000, &c.expires_s) &&
                    request_query(req, "sig", &sig) == 1 && str_is_hex(sig, SHA256_HEX);
    c.tenant = req->tenant;
    if (is_whole) sign(want, s, &c);
    if (!is_whole || !sha256_equal(want, sig.p, SHA256_HEX)) {
        req->tenant[0] = '\0';
        refuse(req, "is not one of ours");
    } else if (c.expires_s * 1000 < now_wall_ms()) {
        refuse(req, "has expired; ask for another one");
    } else {
        content_get(s, req);
    }
}
