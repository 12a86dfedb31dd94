#include "server/files.h"

#include <stdio.h>
#include <string.h>

#include "common/base/id.h"
#include "common/base/limits.h"
#include "common/base/now.h"
#include "common/queue_note.h"
#include "server/app.h"
#include "server/content.h"
#include "server/field.h"
#include "server/validate.h"

enum {
    DAY_S = 86400,
    KEEP_S = 30 * DAY_S, /* below the time that the store keeps uploads */
    KEEP_MIN_S = 3600,
    LIST_LIMIT_MAX = 10000 /* what OpenAI's clients may ask; a page has at most 100 */
};

/* A file as it is kept. */
struct file {
    char id[ID_BYTES_MAX];
    char name[BODY_FILE_NAME_MAX];
    char purpose[16];
    int64_t created_s, expires_s;
    struct job_asset asset;
};

static struct queue_note note_of(const struct request *req, const char *id) {
    return (struct queue_note){"file", req->tenant, id};
}

/* ---- JSON ---- */

/* `is_ours`: with the hash and the type, as it is kept. */
static enum err write_file(struct buf *out, const struct file *file, bool is_ours, struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "id", file->id);
    doc_put_text(&o, "object", "file");
    doc_put_int(&o, "bytes", file->asset.n_bytes);
    doc_put_int(&o, "created_at", file->created_s);
    doc_put_int(&o, "expires_at", file->expires_s);
    doc_put_text(&o, "filename", file->name);
    doc_put_text(&o, "purpose", file->purpose);
    doc_put_text(&o, "status", "processed");
    if (is_ours) doc_put_text(&o, "sha256", file->asset.sha256);
    if (is_ours) doc_put_text(&o, "type", file->asset.type);
    doc_close_object(&o);
    return doc_done(&o, f);
}

static enum err read_file(struct file *out, struct str json, struct fail *f) {
    enum err rc = ERR_OK;
    struct doc *d = NULL;
    *out = (struct file){.created_s = 0};
    TRY(doc_parse(&d, json, QUEUE_NOTE_BYTES_MAX, f));
    const struct value *v = doc_root(d);
    TRY(doc_copy_text(v, "id", out->id, sizeof(out->id), "the record of a file", f));
    TRY(doc_copy_text(v, "filename", out->name, sizeof(out->name), "the record of a file", f));
    TRY(doc_copy_text(v, "purpose", out->purpose, sizeof(out->purpose), "the record of a file", f));
    TRY(doc_copy_text(v, "sha256", out->asset.sha256, sizeof(out->asset.sha256),
                      "the record of a file", f));
    TRY(doc_copy_text(v, "type", out->asset.type, sizeof(out->asset.type), "the record of a file",
                      f));
    TRY(doc_get_int(v, "bytes", 1, INT64_MAX, &out->asset.n_bytes, f));
    TRY(doc_get_int(v, "created_at", 0, INT64_MAX, &out->created_s, f));
    TRY(doc_get_int(v, "expires_at", 0, INT64_MAX, &out->expires_s, f));
out:
    doc_free(d);
    return rc;
}

static enum err find_file(struct redis *r, struct file *out, const struct queue_note *n,
                          struct fail *f) {
    struct buf json;
    buf_make(&json, 2 * QUEUE_NOTE_BYTES_MAX);
    enum err rc = queue_note_get(r, &json, n, f);
    if (rc == ERR_OK) rc = read_file(out, (struct str){json.data, json.len}, f);
    buf_free(&json);
    return rc;
}

enum err files_find(struct redis *r, struct job_asset *out, const char *id, const char *tenant,
                    struct fail *f) {
    struct file file;
    enum err rc = find_file(r, &file, &(struct queue_note){"file", tenant, id}, f);
    if (rc == ERR_OK) *out = file.asset;
    return rc;
}

static void reply_json(struct request *req, enum err rc, const struct fail *f) {
    if (rc == ERR_OK) {
        request_reply_json(req, 200);
        return;
    }
    buf_clear(&req->reply.body);
    server_reply_fail(req, f);
}

/* ---- create ---- */

/* What a form asks for. */
struct ask {
    int file;
    const char *purpose;
    int64_t keep_s;
};

static enum err read_purpose(struct ask *a, const struct body_field *f, struct problem *p) {
    static const char *const purposes[] = {"user_data", "vision"};
    struct str s = {0};
    if (field_text(f, 64, &s, p) != ERR_OK) return ERR_INPUT;
    for (int i = 0; i < 2; i++)
        if (str_eq(s, purposes[i])) a->purpose = purposes[i];
    if (a->purpose) return ERR_OK;
    return problem_set(p, PROBLEM_INVALID_VALUE, "purpose",
                       "purpose is \"%.*s\"; must be user_data or vision",
                       (int)(s.n < 40 ? s.n : 40), s.p);
}

static enum err read_field(struct ask *a, const struct body_field *f, struct problem *p) {
    const char *name = field_name(f);
    if (f->name[0] == 0) return ERR_OK;
    if (strcmp(name, "file") == 0 && f->kind == BODY_FILE) {
        a->file = f->file;
        return ERR_OK;
    }
    if (strcmp(name, "file") == 0)
        return problem_set(p, PROBLEM_INVALID_TYPE, "file", "file must be a file part of a form");
    if (strcmp(name, "purpose") == 0) return read_purpose(a, f, p);
    if (strcmp(name, "expires_after[seconds]") == 0)
        return field_int(f, KEEP_MIN_S, KEEP_S, &a->keep_s, p);
    if (strcmp(name, "expires_after[anchor]") == 0) return ERR_OK; /* there is one: created_at */
    return problem_set(p, PROBLEM_UNKNOWN_PARAMETER, name,
                       "Unknown parameter: '%s'. This route takes file, purpose and expires_after.",
                       name);
}

static enum err read_ask(struct ask *a, const struct body *b, struct problem *p) {
    *a = (struct ask){.file = -1, .keep_s = KEEP_S};
    for (int i = 0; i < b->n_fields; i++)
        if (read_field(a, &b->fields[i], p) != ERR_OK) return ERR_INPUT;
    if (a->file < 0)
        return problem_set(p, PROBLEM_MISSING_PARAMETER, "file",
                           "Missing required parameter: 'file'.");
    if (!a->purpose)
        return problem_set(p, PROBLEM_MISSING_PARAMETER, "purpose",
                           "Missing required parameter: 'purpose'.");
    return ERR_OK;
}

static enum err check_kind(struct job_asset *asset, const struct body_file *file,
                           const char **extension, struct problem *p) {
    if (sniff_video(file->head, file->n_head))
        return validate_video(asset, file, "file", extension, p);
    struct sniff_image img;
    if (sniff_image(&img, file->head, file->n_head))
        return validate_image(asset, file, "file", extension, p);
    return problem_set(p, PROBLEM_INVALID_MEDIA, "file",
                       "the file is %s; send a picture (PNG, JPEG, WebP) or a video (MP4, MOV, "
                       "WebM, Matroska)",
                       sniff_describe(file->head, file->n_head));
}

static enum err keep_file(struct server *s, struct request *req, struct file *file, int64_t keep_s,
                          struct fail *f) {
    struct redis *r = NULL;
    struct buf json;
    buf_make(&json, 2 * QUEUE_NOTE_BYTES_MAX);
    struct queue_note n = note_of(req, file->id);
    enum err rc = write_file(&json, file, true, f);
    if (rc == ERR_OK) rc = server_lend(s, req, &r, f);
    if (rc == ERR_OK) rc = queue_note_put(r, &n, buf_str(&json), keep_s * 1000, f);
    server_give(s, req, r);
    buf_free(&json);
    return rc;
}

void files_create(struct server *s, struct request *req) {
    struct body *b = app_body(req);
    struct ask ask;
    struct problem p;
    struct file file = {.created_s = now_wall_ms() / 1000};
    struct store_object object;
    struct fail f = {0};
    const char *extension = NULL;
    if (read_ask(&ask, b, &p) != ERR_OK ||
        check_kind(&file.asset, &b->files[ask.file], &extension, &p) != ERR_OK) {
        request_reply_problem(req, &p);
        return;
    }
    id_make(file.id, "file-");
    memcpy(file.name, b->files[ask.file].name, sizeof(file.name));
    snprintf(file.purpose, sizeof(file.purpose), "%s", ask.purpose);
    file.expires_s = file.created_s + ask.keep_s;
    b->files[ask.file].is_open = false;
    enum err rc = store_upload_end(&b->files[ask.file].upload, &object, extension, &f);
    if (rc == ERR_OK) {
        memcpy(file.asset.sha256, object.sha256, sizeof(file.asset.sha256));
        rc = keep_file(s, req, &file, ask.keep_s, &f);
    }
    if (rc == ERR_OK) rc = write_file(&req->reply.body, &file, false, &f);
    reply_json(req, rc, &f);
}

/* ---- one ---- */

static void not_found(struct request *req) {
    request_reply_error(req, PROBLEM_NOT_FOUND, "id", "there is no file with this id");
}

/* The id of the path, NULL when the reply was set. */
static const char *path_id(struct request *req) {
    if (!id_is_valid(req->path_id, "file-")) {
        not_found(req);
        return NULL;
    }
    const char *id = arena_copy(&req->mem, req->path_id.p, req->path_id.n);
    if (!id) request_reply_error(req, PROBLEM_UNAVAILABLE, "", "the server is out of memory now");
    return id;
}

/* False when the reply was set. */
static bool open_note(struct server *s, struct request *req, struct file *out) {
    struct redis *r = NULL;
    struct fail f = {0};
    const char *id = path_id(req);
    if (!id || server_borrow(s, req, &r) != ERR_OK) return false;
    struct queue_note n = note_of(req, id);
    enum err rc = find_file(r, out, &n, &f);
    server_give(s, req, r);
    if (rc == ERR_NOT_FOUND)
        not_found(req);
    else if (rc != ERR_OK)
        server_reply_fail(req, &f);
    return rc == ERR_OK;
}

void files_get(struct server *s, struct request *req) {
    struct file file;
    struct fail f = {0};
    if (!open_note(s, req, &file)) return;
    enum err rc = write_file(&req->reply.body, &file, false, &f);
    reply_json(req, rc, &f);
}

void files_content(struct server *s, struct request *req) {
    struct file file;
    struct receipt_object object = {.n_bytes = 0};
    if (!open_note(s, req, &file)) return;
    store_upload_key(object.key, file.asset.sha256, file.asset.type);
    memcpy(object.sha256, file.asset.sha256, sizeof(object.sha256));
    memcpy(object.type, file.asset.type, sizeof(object.type));
    object.n_bytes = file.asset.n_bytes;
    content_send(s, req, &object, file.id);
}

/* The bytes may be another's too: they go when nobody has sent them for a month. */
void files_delete(struct server *s, struct request *req) {
    struct redis *r = NULL;
    struct fail f = {0};
    struct doc_out o;
    const char *id = path_id(req);
    if (!id || server_borrow(s, req, &r) != ERR_OK) return;
    struct queue_note n = note_of(req, id);
    enum err rc = queue_note_drop(r, &n, &f);
    server_give(s, req, r);
    if (rc == ERR_NOT_FOUND) {
        not_found(req);
        return;
    }
    if (rc == ERR_OK) {
        doc_out_make(&o, &req->reply.body);
        doc_open_object(&o, NULL);
        doc_put_text(&o, "id", id);
        doc_put_text(&o, "object", "file");
        doc_put_bool(&o, "deleted", true);
        doc_close_object(&o);
        rc = doc_done(&o, &f);
    }
    reply_json(req, rc, &f);
}

/* ---- list ---- */

static bool read_query(struct request *req, struct queue_note_query *q) {
    struct str limit = {0}, after = {0}, order = {0};
    int64_t n = QUEUE_NOTE_ROWS_MAX;
    int found = request_query(req, "limit", &limit);
    if (found < 0 || (found && !str_parse_i64(limit, 1, LIST_LIMIT_MAX, &n))) {
        request_reply_error(req, PROBLEM_INVALID_VALUE, "limit", "limit must be from 1 to %d",
                            LIST_LIMIT_MAX);
        return false;
    }
    q->limit = n > QUEUE_NOTE_ROWS_MAX ? QUEUE_NOTE_ROWS_MAX : (int)n;
    found = request_query(req, "after", &after);
    if (found < 0 || (found && !id_is_valid(after, "file-"))) {
        request_reply_error(req, PROBLEM_INVALID_VALUE, "after",
                            "after must be the id of a file: take last_id of the page before");
        return false;
    }
    q->after = found ? after.p : NULL;
    found = request_query(req, "order", &order);
    bool is_asc = found == 1 && str_eq(order, "asc");
    q->sort = is_asc ? QUEUE_OLDEST_FIRST : QUEUE_NEWEST_FIRST;
    if (found == 0 || is_asc || (found == 1 && str_eq(order, "desc"))) return true;
    request_reply_error(req, PROBLEM_INVALID_VALUE, "order", "order must be asc or desc");
    return false;
}

/* A record that does not read must not hide the others. */
static enum err put_page(struct buf *out, const struct queue_note_page *page, struct fail *f) {
    enum err rc = ERR_OK;
    char first[ID_BYTES_MAX] = "", last[ID_BYTES_MAX] = "";
    TRY(buf_add_str(out, "{\"object\":\"list\",\"data\":[", f));
    for (int i = 0; i < page->n_rows; i++) {
        struct file file;
        if (read_file(&file, str_of(page->json[i]), NULL) != ERR_OK) continue;
        if (first[0]) TRY(buf_add_str(out, ",", f));
        TRY(write_file(out, &file, false, f));
        if (!first[0]) memcpy(first, file.id, sizeof(first));
        memcpy(last, file.id, sizeof(last));
    }
    const char *quote = first[0] ? "\"" : "";
    TRY(buf_addf(out, f, "],\"first_id\":%s%s%s,\"last_id\":%s%s%s,\"has_more\":%s}", quote,
                 first[0] ? first : "null", quote, quote, last[0] ? last : "null", quote,
                 page->has_more ? "true" : "false"));
out:
    return rc;
}

void files_list(struct server *s, struct request *req) {
    struct queue_note_query q = {.kind = "file", .tenant = req->tenant};
    struct queue_note_page page = {.n_rows = 0};
    struct redis *r = NULL;
    struct fail f = {0};
    if (!read_query(req, &q) || server_borrow(s, req, &r) != ERR_OK) return;
    enum err rc = queue_note_list(r, &page, &q, &f);
    server_give(s, req, r);
    if (rc == ERR_OK) rc = put_page(&req->reply.body, &page, &f);
    queue_note_page_free(&page);
    reply_json(req, rc, &f);
}
