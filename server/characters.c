#include "server/characters.h"

#include <stdio.h>
#include <string.h>

#include "common/base/id.h"
#include "common/base/limits.h"
#include "common/base/now.h"
#include "common/queue_note.h"
#include "server/app.h"
#include "server/field.h"

enum {
    NAME_CHARS_MAX = 80,
    WORDS_CHARS_MAX = 500,
    TEXT_BYTES_MAX = 4 * WORDS_CHARS_MAX + 1,
    KEEP_S = 30 * 86400 /* as long as the store keeps its clip */
};

struct character {
    char id[ID_BYTES_MAX];
    char name[4 * NAME_CHARS_MAX + 1];
    char words[TEXT_BYTES_MAX]; /* what it looks like; "": nobody said */
    int64_t created_s;
    struct job_asset clip;
};

static enum err write_character(struct buf *out, const struct character *c, bool is_ours,
                                struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "id", c->id);
    doc_put_text(&o, "name", c->name);
    doc_put_int(&o, "created_at", c->created_s);
    if (is_ours) {
        doc_put_text(&o, "words", c->words);
        doc_put_text(&o, "sha256", c->clip.sha256);
        doc_put_text(&o, "type", c->clip.type);
        doc_put_int(&o, "bytes", c->clip.n_bytes);
    }
    doc_close_object(&o);
    return doc_done(&o, f);
}

static enum err read_character(struct character *c, struct str json, struct fail *f) {
    enum err rc = ERR_OK;
    struct doc *d = NULL;
    *c = (struct character){.created_s = 0};
    TRY(doc_parse(&d, json, QUEUE_NOTE_BYTES_MAX, f));
    const struct value *v = doc_root(d);
    TRY(doc_copy_text(v, "id", c->id, sizeof(c->id), "the record of a character", f));
    TRY(doc_copy_text(v, "name", c->name, sizeof(c->name), "the record of a character", f));
    TRY(doc_copy_text(v, "words", c->words, sizeof(c->words), "the record of a character", f));
    TRY(doc_copy_text(v, "sha256", c->clip.sha256, sizeof(c->clip.sha256),
                      "the record of a character", f));
    TRY(doc_copy_text(v, "type", c->clip.type, sizeof(c->clip.type), "the record of a character",
                      f));
    TRY(doc_get_int(v, "bytes", 1, INT64_MAX, &c->clip.n_bytes, f));
    TRY(doc_get_int(v, "created_at", 0, INT64_MAX, &c->created_s, f));
out:
    doc_free(d);
    return rc;
}

static enum err find_character(struct redis *r, struct character *c, const char *id,
                               const char *tenant, struct fail *f) {
    struct buf json;
    buf_make(&json, 2 * QUEUE_NOTE_BYTES_MAX);
    enum err rc = queue_note_get(r, &json, &(struct queue_note){"character", tenant, id}, f);
    if (rc == ERR_OK) rc = read_character(c, (struct str){json.data, json.len}, f);
    buf_free(&json);
    return rc;
}

static void reply_character(struct request *req, const struct character *c, enum err rc,
                            struct fail *f) {
    if (rc == ERR_OK) rc = write_character(&req->reply.body, c, false, f);
    if (rc == ERR_OK) {
        request_reply_json(req, 200);
        return;
    }
    buf_clear(&req->reply.body);
    server_reply_fail(req, f);
}

/* ---- create ---- */

static enum err copy_text(const struct body_field *f, size_t max_chars, char *out, size_t n,
                          struct problem *p) {
    struct str s = {0};
    if (field_text(f, max_chars, &s, p) != ERR_OK) return ERR_INPUT;
    (void)str_copy(out, n, str_trim(s));
    return ERR_OK;
}

static enum err read_field(struct character *c, int *file, const struct body_field *f,
                           struct problem *p) {
    const char *name = field_name(f);
    if (f->name[0] == 0) return ERR_OK;
    if (strcmp(name, "name") == 0) return copy_text(f, NAME_CHARS_MAX, c->name, sizeof(c->name), p);
    if (strcmp(name, "description") == 0)
        return copy_text(f, WORDS_CHARS_MAX, c->words, sizeof(c->words), p);
    if (strcmp(name, "video") != 0)
        return problem_set(p, PROBLEM_UNKNOWN_PARAMETER, name,
                           "Unknown parameter: '%s'. This route takes name, video and description.",
                           name);
    if (f->kind != BODY_FILE)
        return problem_set(p, PROBLEM_INVALID_TYPE, "video", "video must be a file part of a form");
    *file = f->file;
    return ERR_OK;
}

static enum err read_form(struct character *c, int *file, const struct body *b, struct problem *p) {
    *file = -1;
    for (int i = 0; i < b->n_fields; i++)
        if (read_field(c, file, &b->fields[i], p) != ERR_OK) return ERR_INPUT;
    if (!c->name[0])
        return problem_set(p, PROBLEM_MISSING_PARAMETER, "name",
                           "Missing required parameter: 'name', 1 to %d characters.",
                           NAME_CHARS_MAX);
    if (*file < 0)
        return problem_set(p, PROBLEM_MISSING_PARAMETER, "video",
                           "Missing required parameter: 'video'.");
    return ERR_OK;
}

static enum err keep(struct server *s, struct request *req, const struct character *c,
                     struct fail *f) {
    struct redis *r = NULL;
    struct buf json;
    buf_make(&json, 2 * QUEUE_NOTE_BYTES_MAX);
    const struct queue_note n = {"character", req->tenant, c->id};
    enum err rc = write_character(&json, c, true, f);
    if (rc == ERR_OK) rc = server_lend(s, req, &r, f);
    if (rc == ERR_OK) rc = queue_note_put(r, &n, buf_str(&json), (int64_t)KEEP_S * 1000, f);
    server_give(s, req, r);
    buf_free(&json);
    return rc;
}

void characters_create(struct server *s, struct request *req) {
    struct body *b = app_body(req);
    struct character c = {.created_s = now_wall_ms() / 1000};
    struct problem p;
    struct store_object object;
    struct fail f = {0};
    const char *extension = NULL;
    int file;
    if (read_form(&c, &file, b, &p) != ERR_OK ||
        validate_video(&c.clip, &b->files[file], "video", &extension, &p) != ERR_OK) {
        request_reply_problem(req, &p);
        return;
    }
    id_make(c.id, "char_");
    b->files[file].is_open = false;
    enum err rc = store_upload_end(&b->files[file].upload, &object, extension, &f);
    if (rc == ERR_OK) {
        memcpy(c.clip.sha256, object.sha256, sizeof(c.clip.sha256));
        rc = keep(s, req, &c, &f);
    }
    reply_character(req, &c, rc, &f);
}

void characters_get(struct server *s, struct request *req) {
    struct character c;
    struct redis *r = NULL;
    struct fail f = {0};
    enum err rc = ERR_NOT_FOUND;
    if (id_is_valid(req->path_id, "char_")) {
        const char *id = arena_copy(&req->mem, req->path_id.p, req->path_id.n);
        if (server_borrow(s, req, &r) != ERR_OK) return;
        rc = id ? find_character(r, &c, id, req->tenant, &f)
                : FAIL(&f, ERR_NOMEM, "no memory for a character");
        server_give(s, req, r);
    }
    if (rc == ERR_NOT_FOUND)
        request_reply_error(req, PROBLEM_NOT_FOUND, "id", "there is no character with this id");
    else
        reply_character(req, &c, rc, &f);
}

/* ---- use ---- */

/* The prompt with the description in the place of each mention of the name. */
static enum err describe(struct job *job, const struct character *c, struct fail *f) {
    enum err rc = ERR_OK;
    struct buf text;
    const char *rest = job->prompt;
    size_t n_name = strlen(c->name);
    if (!c->words[0]) return ERR_OK;
    buf_make(&text, LIMIT_SPEC_BYTES / 2);
    for (const char *at; rc == ERR_OK && (at = strstr(rest, c->name)); rest = at + n_name) {
        rc = buf_add(&text, rest, (size_t)(at - rest), f);
        if (rc == ERR_OK) rc = buf_add_str(&text, c->words, f);
    }
    if (rc == ERR_OK) rc = buf_add_str(&text, rest, f);
    if (rc == ERR_OK) job->revised_prompt = job_keep(job, buf_str(&text), text.len);
    if (rc == ERR_OK && !job->revised_prompt) rc = FAIL(f, ERR_NOMEM, "no memory for the prompt");
    if (rc != ERR_OK) job->revised_prompt = "";
    buf_free(&text);
    return rc;
}

enum err characters_resolve(struct server *s, struct request *req, struct validate_result *asked,
                            struct problem *p) {
    struct character c;
    struct redis *r = NULL;
    struct fail f = {0};
    if (asked->n_characters == 0) return ERR_OK;
    if (asked->n_characters > 1 || asked->source[VALIDATE_FIRST_FRAME].is_given)
        return problem_set(p, PROBLEM_UNSUPPORTED_OPERATION, "characters",
                           "this model is shown a character by the first frame: send one, and no "
                           "input_reference beside it");
    enum err rc = server_lend(s, req, &r, &f);
    if (rc == ERR_OK) rc = find_character(r, &c, asked->character, req->tenant, &f);
    server_give(s, req, r);
    if (rc == ERR_NOT_FOUND)
        return problem_set(p, PROBLEM_NOT_FOUND, "characters", "there is no character %s",
                           asked->character);
    if (rc == ERR_OK) rc = describe(&asked->job, &c, &f);
    if (rc != ERR_OK) {
        server_note_fail(req, &f, p);
        return ERR_INPUT;
    }
    asked->job.input_reference = c.clip;
    if (asked->n_warnings < VALIDATE_WARNINGS_MAX)
        snprintf(asked->warnings[asked->n_warnings++], VALIDATE_WARNING_SIZE,
                 "the video begins with the first frame of the character's clip");
    return ERR_OK;
}
