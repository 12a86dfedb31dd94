#include "server/hooks.h"

#include <stdio.h>

#include "common/doc.h"
#include "common/queue_hook.h"

enum { SECRET_BYTES = 128 }; /* a configured one may be longer than our own */

static enum err read_secret(struct server *s, struct request *req, char out[SECRET_BYTES],
                            struct fail *f) {
    struct redis *r = NULL;
    if (s->opts.webhook_secret[0]) {
        snprintf(out, SECRET_BYTES, "%s", s->opts.webhook_secret);
        return ERR_OK;
    }
    enum err rc = server_lend(s, req, &r, f);
    if (rc == ERR_OK) rc = queue_hook_secret(r, out, req->tenant, f);
    server_give(s, req, r);
    return rc;
}

void hooks_secret(struct server *s, struct request *req) {
    char secret[SECRET_BYTES];
    struct doc_out o;
    struct fail f = {0};
    _Static_assert((int)QUEUE_HOOK_SECRET_MAX <= (int)SECRET_BYTES, "our own secret must fit");
    if (read_secret(s, req, secret, &f) != ERR_OK) {
        server_reply_fail(req, &f);
        return;
    }
    doc_out_make(&o, &req->reply.body);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "key", secret);
    doc_close_object(&o);
    if (doc_done(&o, &f) == ERR_OK)
        request_reply_json(req, 200);
    else
        server_reply_fail(req, &f);
}
