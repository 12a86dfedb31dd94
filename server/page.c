#include "server/page.h"

#include "server/range.h"
#include "server/request.h"

/* Pictures and clips are fetched with the key and shown as blobs; forms are never sent by the
 * browser itself. */
#define POLICY                                                                              \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; " \
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "     \
    "frame-ancestors 'none'; require-trusted-types-for 'script'"

static void send_file(struct request *req, const struct page_file *file) {
    bool is_known = range_etag_matches(request_header(req, "if-none-match"), file->sha256);
    if (!is_known && buf_add(&req->reply.body, file->bytes, file->n_bytes, NULL) != ERR_OK) {
        request_reply_error(req, PROBLEM_UNAVAILABLE, "", "the server is out of memory now");
        return;
    }
    req->reply.status = is_known ? 304 : 200;
    request_reply_header(req, "ETag", "\"%s\"", file->sha256);
    request_reply_header(req, "Cache-Control", "no-cache");
    request_reply_header(req, "Content-Security-Policy", POLICY);
    request_reply_header(req, "X-Content-Type-Options", "nosniff");
    request_reply_header(req, "Referrer-Policy", "no-referrer");
    request_reply_header(req, "Cross-Origin-Opener-Policy", "same-origin");
    if (!is_known) request_reply_header(req, "Content-Type", "%s", file->type);
}

static void reply_named(struct request *req, struct str name) {
    for (const struct page_file *file = page_files; file->name; file++) {
        if (!str_eq(name, file->name)) continue;
        send_file(req, file);
        return;
    }
    request_reply_error(req, PROBLEM_NOT_FOUND, "", "there is nothing at this path");
}

void page_root(struct server *s, struct request *req) {
    (void)s;
    reply_named(req, str_of("index.html"));
}

void page_get(struct server *s, struct request *req) {
    (void)s;
    reply_named(req, req->path_id);
}
