#include "server/images.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/base64.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/queue_view.h"
#include "common/receipt.h"
#include "server/video.h"

enum {
    IMAGES_WAIT_MS = 590 * 1000, /* OpenAI's clients give up after ten minutes */
    IMAGES_PER_TENANT = 200,
    IMAGE_BYTES_MAX = 24 * 1024 * 1024
};

struct images {
    struct server *server;
    struct images_ask ask;
    struct hub_watcher watcher;
    int n_ended; /* of ask.id, in order */
    int64_t deadline_ms;
};

static void free_images(void *state) {
    struct images *w = state;
    hub_unwatch(w->server->hub, &w->watcher);
    mem_free(w);
}

struct images *images_find(struct request *req) {
    return req->state_free == free_images ? req->state : NULL;
}

/* ---- the reply ---- */

static enum err add_base64(struct buf *out, const struct store_found *found, struct fail *f) {
    enum err rc = ERR_OK;
    size_t n = (size_t)found->size_bytes, n_read = 0;
    char *bytes = NULL, *text = NULL;
    if (n > IMAGE_BYTES_MAX)
        return FAIL(f, ERR_LIMIT, "the picture has %zu bytes; ask for its url", n);
    bytes = mem_take(1, n + 1);
    text = mem_take(1, (n + 2) / 3 * 4 + 1);
    if (!bytes || !text) TRY(FAIL(f, ERR_NOMEM, "no memory for the picture"));
    while (n_read < n) {
        ssize_t got = pread(found->fd, bytes + n_read, n - n_read, (off_t)n_read);
        if (got <= 0) TRY(FAIL(f, ERR_IO, "the picture cannot be read"));
        n_read += (size_t)got;
    }
    base64_encode(bytes, n, text);
    TRY(buf_add_str(out, text, f));
out:
    mem_free(bytes);
    mem_free(text);
    return rc;
}

/* "b64_json":"..." of the stored file. */
static enum err add_bytes(struct server *s, struct buf *out, const struct receipt_object *object,
                          struct fail *f) {
    enum err rc = ERR_OK;
    struct store_found found;
    TRY(store_find(&s->store, &found, object->key, f));
    rc = buf_add_str(out, "\"b64_json\":\"", f);
    if (rc == ERR_OK) rc = add_base64(out, &found, f);
    if (rc == ERR_OK) rc = buf_add_str(out, "\"", f);
    store_found_close(&found);
out:
    return rc;
}

/* Where the client reached us is where it finds the picture, with its key. */
static enum err add_url(struct request *req, struct buf *out, const char *id, struct fail *f) {
    struct str host = request_header(req, "host"), proto = request_header(req, "x-forwarded-proto");
    bool is_https = str_eq(proto, "https");
    for (size_t i = 0; i < host.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:[]",
                    host.p[i]))
            host.n = 0;
    return buf_addf(out, f, "\"url\":\"http%s://%.*s/v1/videos/%s/content\"", is_https ? "s" : "",
                    (int)host.n, host.p, id);
}

static enum err add_words(struct buf *out, const struct queue_job *q, struct fail *f) {
    enum err rc = ERR_OK;
    struct job job;
    struct doc_out o;
    TRY(job_parse(&job, q->spec, strlen(q->spec), f));
    if (job.revised_prompt[0]) {
        TRY(buf_add_str(out, ",\"revised_prompt\":", f));
        doc_out_make(&o, out);
        doc_put_text(&o, NULL, job.revised_prompt);
        rc = doc_done(&o, f);
    }
out:
    job_free(&job);
    return rc;
}

static const char usage[] = "\"usage\":{\"input_tokens\":0,\"output_tokens\":0,\"total_tokens\":0,"
                            "\"input_tokens_details\":{\"text_tokens\":0,\"image_tokens\":0}}";

/* One picture: an element of `data`, or one event of a stream. */
static enum err add_image(struct images *w, struct request *req, const struct queue_job *q,
                          const struct receipt *receipt, struct fail *f) {
    enum err rc = ERR_OK;
    struct buf *out = &req->reply.body;
    const struct receipt_object *object = &receipt->objects[RECEIPT_VIDEO];
    if (w->ask.wants_stream)
        TRY(buf_addf(out, f,
                     "event: image_generation.completed\ndata: "
                     "{\"type\":\"image_generation.completed\",\"created_at\":%lld,",
                     (long long)(q->done_ms / 1000)));
    else
        TRY(buf_add_str(out, "{", f));
    if (w->ask.wants_url)
        TRY(add_url(req, out, q->id, f));
    else
        TRY(add_bytes(w->server, out, object, f));
    TRY(add_words(out, q, f));
    if (w->ask.wants_stream)
        TRY(buf_addf(out, f,
                     ",\"size\":\"%dx%d\",\"output_format\":\"%s\",\"quality\":\"auto\","
                     "\"background\":\"opaque\",%s}\n\n",
                     receipt->width, receipt->height, store_ext_of(object->type), usage));
    else
        TRY(buf_add_str(out, "}", f));
out:
    return rc;
}

/* What ended badly is the answer to the whole request. */
static void reply_failed(struct request *req, const struct queue_job *q) {
    buf_clear(&req->reply.body);
    bool is_ours = strcmp(q->error_code, "internal_error") == 0 || !q->error_code[0];
    request_reply_error(req, is_ours ? PROBLEM_INTERNAL_ERROR : PROBLEM_INVALID_VALUE, "",
                        "the picture was not made: %s (%s)",
                        q->error_message[0] ? q->error_message : "it was cancelled",
                        video_error_code(q) ? video_error_code(q) : "cancelled");
}

static enum err add_job(struct images *w, struct request *req, struct redis *r, int i,
                        struct receipt *receipt, struct fail *f) {
    struct queue_view view = {0};
    enum err rc = queue_view_get(r, &view, w->ask.id[i], req->tenant, f);
    if (rc == ERR_OK && view.job.state != JOB_STATE_SUCCEEDED) {
        reply_failed(req, &view.job);
        queue_view_free(&view);
        return ERR_CANCELLED;
    }
    if (rc == ERR_OK) rc = receipt_parse(receipt, view.job.result, strlen(view.job.result), f);
    if (rc == ERR_OK && i > 0 && !w->ask.wants_stream) rc = buf_add_str(&req->reply.body, ",", f);
    if (rc == ERR_OK) rc = add_image(w, req, &view.job, receipt, f);
    queue_view_free(&view);
    return rc;
}

static enum err write_reply(struct images *w, struct request *req, struct redis *r,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct buf *out = &req->reply.body;
    struct receipt receipt = {.width = 0};
    if (!w->ask.wants_stream)
        TRY(buf_addf(out, f, "{\"created\":%lld,\"data\":[", (long long)(now_wall_ms() / 1000)));
    for (int i = 0; i < w->ask.n; i++)
        TRY(add_job(w, req, r, i, &receipt, f));
    if (!w->ask.wants_stream)
        TRY(buf_addf(out, f,
                     "],\"size\":\"%dx%d\",\"output_format\":\"%s\",\"quality\":\"auto\","
                     "\"background\":\"opaque\",%s}",
                     receipt.width, receipt.height,
                     store_ext_of(receipt.objects[RECEIPT_VIDEO].type), usage));
out:
    return rc;
}

static void reply_all(struct images *w, struct request *req) {
    struct redis *r = NULL;
    struct fail f = {0};
    if (server_borrow(w->server, req, &r) != ERR_OK) return;
    enum err rc = write_reply(w, req, r, &f);
    server_give(w->server, req, r);
    if (rc == ERR_CANCELLED) return; /* the reply is set */
    if (rc != ERR_OK) {
        buf_clear(&req->reply.body);
        server_reply_fail(req, &f);
        return;
    }
    request_reply_json(req, 200);
    if (w->ask.wants_stream) {
        for (int i = 0; i < req->reply.n_headers; i++)
            if (strcmp(req->reply.headers[i].name, "Content-Type") == 0)
                req->reply.headers[i].value = "text/event-stream";
    }
}

/* ---- waiting ---- */

/* Passes over all that have ended; true when the reply is set. */
static bool look(struct images *w, struct request *req) {
    struct server *s = w->server;
    struct redis *r = NULL;
    struct fail f = {0};
    bool is_over = now_mono_ms() >= w->deadline_ms || !w->watcher.is_listed || req->is_gone ||
                   hub_is_draining(s->hub);
    if (server_borrow(s, req, &r) != ERR_OK) return true;
    enum err rc = ERR_OK;
    bool is_ended = true;
    while (rc == ERR_OK && is_ended && w->n_ended < w->ask.n) {
        struct queue_view view = {0};
        rc = queue_view_get(r, &view, w->ask.id[w->n_ended], req->tenant, &f);
        is_ended = rc == ERR_OK && job_state_is_ended(view.job.state);
        queue_view_free(&view);
        if (is_ended) w->n_ended++;
    }
    server_give(s, req, r);
    if (rc != ERR_OK)
        server_reply_fail(req, &f);
    else if (w->n_ended == w->ask.n)
        reply_all(w, req);
    else if (is_over)
        request_reply_error(req, PROBLEM_UNAVAILABLE, "",
                            "the picture is not ready yet; it goes on as %s: GET /v1/videos/%s",
                            w->ask.id[w->n_ended], w->ask.id[w->n_ended]);
    else
        return false;
    return true;
}

/* Watches the first that has not ended. */
static void watch_next(struct images *w, struct request *req) {
    const char *id = w->ask.id[w->n_ended < w->ask.n ? w->n_ended : 0];
    if (w->watcher.is_listed && strcmp(w->watcher.job, id) == 0) return;
    hub_unwatch(w->server->hub, &w->watcher);
    w->watcher = (struct hub_watcher){.kind = HUB_POLL};
    (void)!hub_watch(w->server->hub, &w->watcher, req, id, IMAGES_PER_TENANT);
}

void images_continue(struct server *s, struct request *req) {
    struct images *w = images_find(req);
    ASSERT(w);
    for (;;) {
        watch_next(w, req);
        int before = w->n_ended;
        if (look(w, req)) return;
        if (w->n_ended != before) continue; /* another one is watched from now on */
        if (hub_sleep(s->hub, &w->watcher, w->deadline_ms)) return;
    }
}

void images_wait(struct server *s, struct request *req, const struct images_ask *ask) {
    struct images *w = mem_take(1, sizeof(*w));
    if (!w) {
        request_reply_error(req, PROBLEM_UNAVAILABLE, "", "the server is out of memory now");
        return;
    }
    *w = (struct images){.server = s, .ask = *ask, .deadline_ms = now_mono_ms() + IMAGES_WAIT_MS};
    if (req->state_free) req->state_free(req->state);
    req->state = w;
    req->state_free = free_images;
    images_continue(s, req);
}
