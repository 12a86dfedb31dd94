#include "server/content.h"

#include <string.h>

#include "common/base/log.h"
#include "common/queue_view.h"
#include "common/receipt.h"
#include "server/range.h"
#include "server/videos.h"

/* Which variant the query asks for; false when the reply was set. */
static bool read_variant(struct request *req, enum receipt_variant *out) {
    struct str s = {0};
    int found = request_query(req, "variant", &s);
    *out = RECEIPT_VIDEO;
    if (found == 0) return true;
    for (int i = 0; found == 1 && i < RECEIPT_VARIANT_COUNT; i++) {
        if (!str_eq(s, receipt_variant_name((enum receipt_variant)i))) continue;
        *out = (enum receipt_variant)i;
        return true;
    }
    request_reply_error(req, PROBLEM_INVALID_VALUE, "variant",
                        "variant must be video, thumbnail or spritesheet");
    return false;
}

static void not_ready(struct request *req, const struct queue_job *job) {
    struct problem p;
    if (!job_state_is_ended(job->state)) {
        (void)problem_set(&p, PROBLEM_VIDEO_NOT_READY, "id",
                          "the video is %s (%d %%); ask again when its status is completed",
                          job_state_status(job->state), job->progress);
    } else {
        (void)problem_set(&p, PROBLEM_NOT_FOUND, "id",
                          "this video has no content: it ended as failed (%s)",
                          video_error_code(job) ? video_error_code(job) : "no result");
    }
    request_reply_problem(req, &p);
}

static void expired(struct request *req) {
    request_reply_error(req, PROBLEM_VIDEO_EXPIRED, "id",
                        "the lifetime of this video's file is over; make it again");
}

/* The stored object of the variant; false when the reply was set. */
static bool find_object(struct request *req, const struct queue_job *job,
                        enum receipt_variant variant, struct receipt_object *out) {
    struct receipt receipt;
    struct fail f = {0};
    if (job->state != JOB_STATE_SUCCEEDED) {
        not_ready(req, job);
        return false;
    }
    if (job->gone_ms || !job->result[0]) {
        expired(req);
        return false;
    }
    if (receipt_parse(&receipt, job->result, strlen(job->result), &f) != ERR_OK) {
        server_reply_fail(req, &f);
        return false;
    }
    *out = receipt.objects[variant];
    if (out->key[0]) return true;
    request_reply_error(req, PROBLEM_NOT_FOUND, "variant", "this video has no %s",
                        receipt_variant_name(variant));
    return false;
}

static void add_file_headers(struct request *req, const struct receipt_object *object,
                             const char *id) {
    const char *extension = strrchr(object->key, '.');
    request_reply_header(req, "ETag", "\"%s\"", object->sha256);
    request_reply_header(req, "Cache-Control", "private, max-age=86400, immutable");
    request_reply_header(req, "Accept-Ranges", "bytes");
    request_reply_header(req, "X-Content-Type-Options", "nosniff");
    request_reply_header(req, "Content-Type", "%s", object->type);
    request_reply_header(req, "Content-Disposition", "inline; filename=\"%s%s\"", id,
                         extension ? extension : "");
}

/* Opens the file; what lies there must be as large as the receipt says. */
static bool open_file(struct server *s, struct request *req, const struct receipt_object *object) {
    struct store_found found;
    struct fail f = {0};
    enum err rc = store_find(&s->store, &found, object->key, &f);
    if (rc == ERR_NOT_FOUND) {
        log_line(LOG_ERROR, "content.missing", "key=%s", object->key);
        expired(req);
        return false;
    }
    if (rc == ERR_OK && (int64_t)found.size_bytes != object->n_bytes) {
        store_found_close(&found);
        rc = FAIL(&f, ERR_CORRUPT, "%s has %llu bytes, its receipt says %lld", object->key,
                  (unsigned long long)found.size_bytes, (long long)object->n_bytes);
    }
    if (rc != ERR_OK) {
        server_reply_fail(req, &f);
        return false;
    }
    req->reply.fd = found.fd;
    return true;
}

void content_send(struct server *s, struct request *req, const struct receipt_object *object,
                  const char *id) {
    struct range range = {0, object->n_bytes - 1};
    struct str if_range = request_header(req, "if-range");
    enum range_verdict verdict = RANGE_WHOLE;
    if (range_etag_matches(request_header(req, "if-none-match"), object->sha256)) {
        add_file_headers(req, object, id);
        req->reply.status = 304;
        return;
    }
    /* RFC 9110: a range is defined for GET only. */
    if (!req->is_head && (!if_range.p || range_if_range_holds(if_range, object->sha256)))
        verdict = range_parse(&range, request_header(req, "range"), object->n_bytes);
    if (verdict == RANGE_UNSATISFIABLE) {
        request_reply_header(req, "Content-Range", "bytes */%lld", (long long)object->n_bytes);
        request_reply_error(req, PROBLEM_RANGE_NOT_SATISFIABLE, "Range",
                            "the file has %lld bytes; the range begins behind them",
                            (long long)object->n_bytes);
        return;
    }
    if (!open_file(s, req, object)) return;
    add_file_headers(req, object, id);
    req->reply.offset = range.first;
    req->reply.n_file = range.last - range.first + 1;
    req->reply.status = verdict == RANGE_PART ? 206 : 200;
    if (verdict == RANGE_PART)
        request_reply_header(req, "Content-Range", "bytes %lld-%lld/%lld", (long long)range.first,
                             (long long)range.last, (long long)object->n_bytes);
}

bool content_find(struct server *s, struct request *req, struct receipt_object *out,
                  enum receipt_variant *variant) {
    struct redis *r = NULL;
    struct queue_view view = {0};
    if (!read_variant(req, variant) || server_borrow(s, req, &r) != ERR_OK) return false;
    enum err rc = videos_find(req, r, &view);
    server_give(s, req, r);
    bool is_there = rc == ERR_OK && find_object(req, &view.job, *variant, out);
    queue_view_free(&view);
    return is_there;
}

void content_get(struct server *s, struct request *req) {
    struct receipt_object object;
    enum receipt_variant variant;
    if (content_find(s, req, &object, &variant)) content_send(s, req, &object, videos_id(req));
}
