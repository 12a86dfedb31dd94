#include "tools/job_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/str.h"
#include "common/doc.h"

enum { CONNECT_MS = 5000, TOTAL_MS = 1800 * 1000 }; /* a large clip may take long to send */
static const size_t SAVED_MAX = (size_t)8 * 1024 * 1024 * 1024;

/* The words of an API error, or the status when the body is something else. */
static enum err refuse(const struct fetch_reply *reply, struct fail *f) {
    struct doc *d = NULL;
    struct str text = {0};
    struct str body = {buf_str(&reply->body), reply->body.len};
    if (doc_parse(&d, body, JOB_CALL_REPLY_MAX, NULL) == ERR_OK &&
        doc_type(doc_root(d)) == DOC_OBJECT) {
        const struct value *e = doc_find(doc_root(d), "error");
        if (e && doc_type(e) == DOC_OBJECT && doc_may_text(e, "message", &text, NULL) != ERR_OK)
            text = (struct str){0};
    }
    enum err rc =
        FAIL(f, reply->status >= 500 ? ERR_UNAVAILABLE : ERR_CONFLICT, "%d: %.*s", reply->status,
             text.p ? (int)text.n : 15, text.p ? text.p : "no JSON answer");
    doc_free(d);
    return rc;
}

enum err job_call_run(struct fetch_reply *reply, const struct job_call *c, struct fail *f) {
    char url[JOB_CALL_PATH_MAX * 2], auth[512], type[128];
    const char *key = getenv("MISORA_API_KEY");
    int n = 0;
    struct fetch_request q = {.url = url,
                              .method = c->method,
                              .body = c->body,
                              .n_body = c->n_body,
                              .file = c->file,
                              .save_fd = c->save_fd,
                              .connect_ms = CONNECT_MS,
                              .total_ms = TOTAL_MS,
                              .reply_max = c->save_fd > 0 ? SAVED_MAX : JOB_CALL_REPLY_MAX,
                              .rules = {.allow_http = true, .allow_private = true}};
    snprintf(url, sizeof(url), "%s%s", c->server, c->path);
    if (key && *key) {
        if (snprintf(auth, sizeof(auth), "authorization: Bearer %s", key) >= (int)sizeof(auth))
            return FAIL(f, ERR_INPUT, "MISORA_API_KEY is longer than any key");
        q.headers[n++] = auth;
    }
    if (c->content_type) {
        snprintf(type, sizeof(type), "content-type: %s", c->content_type);
        q.headers[n++] = type;
    }
    enum err rc = fetch_call(reply, &q, f);
    if (rc != ERR_OK) return rc;
    return reply->status >= 200 && reply->status < 300 ? ERR_OK : refuse(reply, f);
}

static enum err read_error(struct job_call_video *v, const struct value *root, struct fail *f) {
    struct str code = {0}, message = {0};
    const struct value *error = doc_find(root, "error");
    if (!error || doc_type(error) != DOC_OBJECT) return ERR_OK;
    enum err rc = doc_may_text(error, "code", &code, f);
    if (rc == ERR_OK) rc = doc_may_text(error, "message", &message, f);
    (void)str_copy(v->code, sizeof(v->code), code);
    if (message.n >= sizeof(v->message)) message.n = sizeof(v->message) - 1;
    (void)str_copy(v->message, sizeof(v->message), message);
    return rc;
}

enum err job_call_video(struct job_call_video *v, const struct fetch_reply *reply, struct fail *f) {
    enum err rc = ERR_OK;
    struct doc *d = NULL;
    struct str id, status, phase = {0};
    *v = (struct job_call_video){.eta_s = -1};
    TRY(doc_parse(&d, (struct str){buf_str(&reply->body), reply->body.len}, JOB_CALL_REPLY_MAX, f));
    const struct value *root = doc_root(d);
    if (doc_type(root) != DOC_OBJECT) {
        rc = FAIL(f, ERR_CORRUPT, "the server's answer is not an object");
        goto out;
    }
    TRY(doc_get_text(root, "id", &id, f));
    TRY(doc_get_text(root, "status", &status, f));
    TRY(doc_get_int(root, "progress", 0, 100, &v->progress, f));
    TRY(doc_may_text(root, "phase", &phase, f));
    TRY(doc_may_int(root, "step", 0, INT32_MAX, &v->step, f));
    TRY(doc_may_int(root, "total_steps", 0, INT32_MAX, &v->n_steps, f));
    TRY(doc_may_real(root, "eta_seconds", 0, 1e9, &v->eta_s, f));
    TRY(read_error(v, root, f));
    if (!str_copy(v->id, sizeof(v->id), id) || !str_copy(v->status, sizeof(v->status), status) ||
        !str_copy(v->phase, sizeof(v->phase), phase))
        rc =
            FAIL(f, ERR_CORRUPT, "the server's answer has an id, status or phase that is too long");
    v->is_over = strcmp(v->status, "completed") == 0 || strcmp(v->status, "failed") == 0;
out:
    doc_free(d);
    return rc;
}
