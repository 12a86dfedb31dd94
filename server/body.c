#include "server/body.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/base64.h"
#include "common/base/log.h"
#include "common/base/mem.h"

enum { BODY_MEMORY_MAX = 64 * 1024 * 1024 };

static bool is_listed(const char *const *list, const char *name) {
    for (; *list; list++)
        if (strcmp(*list, name) == 0) return true;
    return false;
}

static bool has_listed_prefix(const char *const *list, const char *name) {
    for (; *list; list++)
        if (strncmp(*list, name, strlen(*list)) == 0) return true;
    return false;
}

/* The name as a client would write it: steps, metadata[k], webhook_events[]. */
static const char *full_name(char out[BODY_NAME_MAX], const struct body_field *f) {
    snprintf(out, BODY_NAME_MAX, "%s%s%s%s", f->name, f->shape == BODY_WHOLE ? "" : "[", f->member,
             f->shape == BODY_WHOLE ? "" : "]");
    return out;
}

static enum err add_field(struct body *b, const struct body_field *f, struct problem *p) {
    char name[BODY_NAME_MAX];
    if (b->n_fields == BODY_FIELDS_MAX)
        return problem_set(p, PROBLEM_INVALID_VALUE, "", "there are more than %d fields",
                           BODY_FIELDS_MAX);
    if (!f->name[0])
        return problem_set(p, PROBLEM_INVALID_VALUE, "", "a field has an empty name; leave it out");
    for (int i = 0; i < b->n_fields; i++) {
        const struct body_field *g = &b->fields[i];
        if (f->shape == BODY_ELEMENT || g->shape != f->shape || strcmp(g->name, f->name) != 0 ||
            strcmp(g->member, f->member) != 0)
            continue;
        full_name(name, f);
        return problem_set(p, PROBLEM_INVALID_VALUE, name, "%s is given twice; send it once", name);
    }
    b->fields[b->n_fields++] = *f;
    return ERR_OK;
}

/* ---- JSON ---- */

static void set_scalar(struct body_field *f, const struct value *v) {
    switch (doc_type(v)) {
    case DOC_NULL: f->kind = BODY_NULL; break;
    case DOC_BOOL: f->kind = BODY_BOOL, f->boolean = doc_bool(v); break;
    case DOC_INT: f->kind = BODY_INT, f->integer = doc_int(v); break;
    case DOC_REAL: f->kind = BODY_REAL, f->real = doc_real(v); break;
    case DOC_TEXT: f->kind = BODY_TEXT, f->text = doc_text(v); break;
    case DOC_ARRAY:
    case DOC_OBJECT: f->kind = BODY_DEEP; break;
    }
}

struct flatten {
    struct body *b;
    struct problem *p;
    const char *name; /* NULL at the top */
};

static enum err flatten_member(void *ctx, const char *key, const struct value *v, struct fail *f) {
    struct flatten *fl = ctx;
    struct body_field field = {.name = fl->name, .shape = BODY_MEMBER, .member = key};
    (void)f;
    set_scalar(&field, v);
    return add_field(fl->b, &field, fl->p);
}

/* A member of an object in a list: an element that has a name. */
static enum err flatten_listed(void *ctx, const char *key, const struct value *v, struct fail *f) {
    struct flatten *fl = ctx;
    struct body_field field = {.name = fl->name, .shape = BODY_ELEMENT, .member = key};
    (void)f;
    set_scalar(&field, v);
    return add_field(fl->b, &field, fl->p);
}

static enum err flatten_array(struct body *b, const char *name, const struct value *v,
                              struct problem *p) {
    struct flatten fl = {b, p, name};
    for (size_t i = 0; i < doc_size(v); i++) {
        if (doc_type(doc_at(v, i)) == DOC_OBJECT && doc_size(doc_at(v, i))) {
            if (doc_each(doc_at(v, i), flatten_listed, &fl, NULL) != ERR_OK) return ERR_INPUT;
            continue;
        }
        struct body_field field = {.name = name, .shape = BODY_ELEMENT, .member = ""};
        set_scalar(&field, doc_at(v, i));
        if (add_field(b, &field, p) != ERR_OK) return ERR_INPUT;
    }
    return ERR_OK;
}

static enum err flatten_top(void *ctx, const char *key, const struct value *v, struct fail *f);

/* Adds a value under `name`: a scalar, the members of an object or the elements of an array. */
static enum err flatten_value(struct body *b, const char *name, const struct value *v,
                              struct problem *p) {
    enum doc_type type = doc_type(v);
    struct flatten fl = {b, p, name};
    struct body_field field = {.name = name, .member = "", .kind = BODY_EMPTY};
    if (type == DOC_OBJECT && is_listed(b->schema->merged, name))
        return doc_each(v, flatten_top, &fl, NULL);
    if (type == DOC_OBJECT && doc_size(v)) return doc_each(v, flatten_member, &fl, NULL);
    if (type == DOC_ARRAY && doc_size(v)) return flatten_array(b, name, v, p);
    if (type != DOC_OBJECT && type != DOC_ARRAY) set_scalar(&field, v);
    return add_field(b, &field, p);
}

/* One level only: what is merged may not hold another merged object. */
static enum err flatten_top(void *ctx, const char *key, const struct value *v, struct fail *f) {
    struct flatten *fl = ctx;
    (void)f;
    if (is_listed(fl->b->schema->merged, key) && fl->name)
        return problem_set(fl->p, PROBLEM_INVALID_VALUE, key, "%s may not stand inside %s", key,
                           fl->name);
    return flatten_value(fl->b, key, v, fl->p);
}

/* Bytes of a JSON text that are not inside a "data:.." string: large only in hostile bodies. */
static size_t count_outside_data(const char *s, size_t n) {
    size_t outside = 0;
    bool in_string = false, is_data = false;
    for (size_t i = 0; i < n; i++) {
        if (in_string && s[i] == '\\') {
            outside += is_data ? 0 : 2;
            i++;
            continue;
        }
        if (s[i] == '"') {
            in_string = !in_string;
            is_data = in_string && n - i > 5 && memcmp(s + i + 1, "data:", 5) == 0;
        }
        outside += is_data ? 0 : 1;
    }
    return outside;
}

static enum err parse_json(struct body *b, struct str text, const char *param,
                           const struct value **out, struct problem *p) {
    struct fail f = {0};
    if (count_outside_data(text.p, text.n) > LIMIT_JSON_BODY_BYTES)
        return problem_set(p, PROBLEM_PAYLOAD_TOO_LARGE, param,
                           "the JSON is larger than %d bytes, not counting a data: URL; a long "
                           "prompt may come as multipart/form-data",
                           LIMIT_JSON_BODY_BYTES);
    if (b->n_docs == BODY_DOCS_MAX)
        return problem_set(p, PROBLEM_INVALID_VALUE, param, "too many fields hold JSON text");
    if (doc_parse(&b->docs[b->n_docs], text, LIMIT_MEDIA_BODY_BYTES, &f) != ERR_OK)
        return problem_set(p, PROBLEM_INVALID_JSON, param, "%s", f.text);
    *out = doc_root(b->docs[b->n_docs++]);
    return ERR_OK;
}

static enum err close_json(struct body *b, struct problem *p) {
    const struct value *root = NULL;
    struct flatten fl = {b, p, NULL};
    struct str text = {buf_str(&b->text), b->text.len};
    if (str_trim(text).n == 0)
        return problem_set(p, PROBLEM_INVALID_JSON, "", "the body is empty; send a JSON object");
    if (parse_json(b, text, "", &root, p) != ERR_OK) return ERR_INPUT;
    if (doc_type(root) != DOC_OBJECT)
        return problem_set(p, PROBLEM_INVALID_JSON, "", "the body is a JSON %s; send an object",
                           doc_type_name(root));
    return doc_each(root, flatten_top, &fl, NULL);
}

/* Texts that hold JSON, such as input_reference={"image_url":".."}, become their members. */
static enum err expand_texts(struct body *b, struct problem *p) {
    int n = b->n_fields;
    for (int i = 0; i < n; i++) {
        struct body_field f = b->fields[i];
        bool is_json =
            f.kind == BODY_TEXT && f.shape == BODY_WHOLE && str_trim(f.text).n &&
            strchr("{[", str_trim(f.text).p[0]) &&
            (is_listed(b->schema->nested, f.name) || is_listed(b->schema->merged, f.name));
        const struct value *v = NULL;
        if (!is_json) continue;
        if (parse_json(b, f.text, f.name, &v, p) != ERR_OK) return ERR_INPUT;
        b->fields[i].kind = BODY_NULL; /* its members follow */
        b->fields[i].name = "";
        if (flatten_value(b, f.name, v, p) != ERR_OK) return ERR_INPUT;
    }
    return ERR_OK;
}

/* ---- files ---- */

static enum err upload_problem(enum err rc, const struct fail *f, const char *param,
                               int64_t max_bytes, struct problem *p) {
    if (rc == ERR_LIMIT)
        return problem_set(p, PROBLEM_PAYLOAD_TOO_LARGE, param,
                           "the file is larger than %lld bytes", (long long)max_bytes);
    log_fail(LOG_ERROR, "upload.failed", f);
    problem_from(p, f);
    return ERR_INPUT;
}

static enum err open_file(struct body *b, const char *param, int *index, struct problem *p) {
    struct fail f = {0};
    int64_t max = is_listed(b->schema->videos, param) ? LIMIT_VIDEO_BYTES : LIMIT_IMAGE_BYTES;
    if (b->n_files == BODY_FILES_MAX)
        return problem_set(p, PROBLEM_INVALID_VALUE, param, "there are more than %d files",
                           BODY_FILES_MAX);
    int64_t room = store_free_bytes(b->store);
    if (room >= 0 && room < b->min_free_bytes)
        return problem_set(p, PROBLEM_UNAVAILABLE, param, "there is no room for uploads now");
    struct body_file *file = &b->files[b->n_files];
    enum err rc = store_upload_begin(b->store, &file->upload, (uint64_t)max, &f);
    if (rc != ERR_OK) return upload_problem(rc, &f, param, max, p);
    file->is_open = true;
    *index = b->n_files++;
    return ERR_OK;
}

static enum err add_to_file(struct body *b, int index, const char *param, const void *bytes,
                            size_t n, struct problem *p) {
    struct fail f = {0};
    struct body_file *file = &b->files[index];
    size_t room = sizeof(file->head) - file->n_head, n_copy = n < room ? n : room;
    memcpy(file->head + file->n_head, bytes, n_copy);
    file->n_head += n_copy;
    enum err rc = store_upload_add(&file->upload, bytes, n, &f);
    if (rc == ERR_OK) return ERR_OK;
    return upload_problem(rc, &f, param, (int64_t)file->upload.max_bytes, p);
}

/* data:[type][;base64],... - the type is ignored, the bytes decide. */
enum err body_data_url(struct body *b, struct str url, const char *param, int *index,
                       struct problem *p) {
    struct str data = url, head;
    size_t n = 0;
    if (url.n > LIMIT_DATA_URL_CHARS)
        return problem_set(p, PROBLEM_PAYLOAD_TOO_LARGE, param,
                           "the data: URL is longer than %d characters", LIMIT_DATA_URL_CHARS);
    if (!str_split(&data, ',', &head) || !data.p || head.n < 12 ||
        !str_eq_nocase((struct str){head.p + head.n - 7, 7}, ";base64"))
        return problem_set(p, PROBLEM_INVALID_VALUE, param,
                           "%s is not a base64 data: URL; write data:image/png;base64,..", param);
    char *bytes = mem_take(1, data.n / 4 * 3 + 4);
    if (!bytes) return problem_set(p, PROBLEM_UNAVAILABLE, param, "no memory for the image now");
    enum err rc = ERR_OK;
    if (data.n == 0 || !base64_decode(data, bytes, &n))
        rc = problem_set(p, PROBLEM_INVALID_VALUE, param,
                         "%s holds bad base64: standard alphabet, padded, no blanks", param);
    if (rc == ERR_OK) rc = open_file(b, param, index, p);
    if (rc == ERR_OK) rc = add_to_file(b, *index, param, bytes, n, p);
    mem_free(bytes);
    return rc;
}

/* ---- forms ---- */

/* Cuts name[member] and name[] apart; deeper brackets are refused. */
static enum err read_name(struct body *b, struct body_field *f, const char *text,
                          struct problem *p) {
    size_t n = strlen(text), n_name = strcspn(text, "[");
    char *copy = arena_copy(&b->mem, text, n);
    if (!copy) return problem_set(p, PROBLEM_UNAVAILABLE, "", "no memory for the form now");
    *f = (struct body_field){.name = copy, .member = "", .is_loose = true};
    if (n_name == n) return ERR_OK;
    copy[n_name] = 0;
    char *member = copy + n_name + 1, *close = strchr(member, ']');
    bool is_listed = close == member && close[1] == '[' && close[2]; /* name[][member] */
    if (is_listed) {
        member = close + 2;
        close = strchr(member, ']');
    }
    if (n_name == 0 || !close || close[1] || strchr(member, '['))
        return problem_set(
            p, PROBLEM_INVALID_MULTIPART, text,
            "the name of a part must be name, name[], name[member] or name[][member]");
    *close = 0;
    f->shape = *member && !is_listed ? BODY_MEMBER : BODY_ELEMENT;
    f->member = member;
    return ERR_OK;
}

/* Never a path: what stands behind the last slash, without odd characters. A quote may come
 * behind a backslash, which is then no slash. */
static void keep_file_name(struct body_file *file, struct str name) {
    size_t n = 0, from = 0;
    for (size_t i = 0; i < name.n; i++) {
        bool is_escape = name.p[i] == '\\' && i + 1 < name.n && name.p[i + 1] == '"';
        if ((name.p[i] == '/' || name.p[i] == '\\') && !is_escape) from = i + 1;
    }
    for (size_t i = from; i < name.n && n < sizeof(file->name) - 1; i++)
        if ((unsigned char)name.p[i] >= 0x20 && !strchr("\\\"<>:|?*%\x7f", name.p[i]))
            file->name[n++] = name.p[i];
    while (n > 0 && !str_is_utf8((struct str){file->name, n}, NULL))
        n--; /* a character that was cut, or no text at all */
    file->name[n] = 0;
    if (n == 0) snprintf(file->name, sizeof(file->name), "file");
}

static enum err on_part(void *ctx, const struct multipart_part *part, struct problem *p) {
    struct body *b = ctx;
    char name[BODY_NAME_MAX];
    if (read_name(b, &b->part, part->name, p) != ERR_OK) return ERR_INPUT;
    b->is_large_part = has_listed_prefix(b->schema->large, part->name);
    buf_clear(&b->text);
    b->part.kind = part->is_file ? BODY_FILE : BODY_TEXT;
    if (!part->is_file) return ERR_OK;
    enum err rc = open_file(b, full_name(name, &b->part), &b->part.file, p);
    if (rc == ERR_OK) keep_file_name(&b->files[b->part.file], part->file_name);
    return rc;
}

static enum err on_part_data(void *ctx, const char *bytes, size_t n, struct problem *p) {
    struct body *b = ctx;
    char name[BODY_NAME_MAX];
    full_name(name, &b->part);
    if (b->part.kind == BODY_FILE) return add_to_file(b, b->part.file, name, bytes, n, p);
    if (!b->is_large_part) b->n_small_text += n;
    if (b->n_small_text > LIMIT_SPEC_BYTES || buf_add(&b->text, bytes, n, NULL) != ERR_OK)
        return problem_set(p, PROBLEM_PAYLOAD_TOO_LARGE, name,
                           "the texts of the form are larger than %d bytes", LIMIT_SPEC_BYTES);
    return ERR_OK;
}

static enum err on_part_end(void *ctx, struct problem *p) {
    struct body *b = ctx;
    char name[BODY_NAME_MAX];
    full_name(name, &b->part);
    if (b->part.kind == BODY_TEXT) {
        struct str text = {buf_str(&b->text), b->text.len};
        if (!str_is_utf8(text, NULL))
            return problem_set(p, PROBLEM_INVALID_VALUE, name, "%s is not UTF-8 or holds a NUL",
                               name);
        b->part.text = (struct str){arena_copy(&b->mem, text.p, text.n), text.n};
        if (!b->part.text.p) return problem_set(p, PROBLEM_UNAVAILABLE, name, "no memory now");
    } else if (b->files[b->part.file].upload.size_bytes == 0) {
        return problem_set(p, PROBLEM_INVALID_MEDIA, name, "the file in %s has no bytes", name);
    }
    return add_field(b, &b->part, p);
}

/* ---- life ---- */

static bool is_json_type(struct str type) {
    struct str params = type, bare, charset;
    if (!str_split(&params, ';', &bare) || !str_eq_nocase(str_trim(bare), "application/json"))
        return false;
    params = str_trim(params);
    if (params.n == 0) return true;
    charset = params;
    struct str key;
    if (!str_split(&charset, '=', &key) || !str_eq_nocase(str_trim(key), "charset")) return false;
    return str_eq_nocase(str_trim(charset), "utf-8") ||
           str_eq_nocase(str_trim(charset), "\"utf-8\"");
}

enum err body_open(struct body *b, const struct body_schema *schema, struct store *store,
                   struct str content_type, int64_t max_bytes, struct problem *p) {
    struct str params = content_type, bare = {0};
    *b = (struct body){.schema = schema, .store = store, .max_bytes = max_bytes};
    arena_make(&b->mem, BODY_MEMORY_MAX);
    buf_make(&b->text, LIMIT_MEDIA_BODY_BYTES);
    if (is_json_type(content_type)) {
        if (max_bytes > LIMIT_MEDIA_BODY_BYTES) b->max_bytes = LIMIT_MEDIA_BODY_BYTES;
        return ERR_OK;
    }
    (void)str_split(&params, ';', &bare);
    if (!store || !str_eq_nocase(str_trim(bare), "multipart/form-data"))
        return problem_set(p, PROBLEM_UNSUPPORTED_MEDIA_TYPE, "",
                           "send Content-Type: application/json (UTF-8)%s",
                           store ? " or multipart/form-data" : "");
    b->is_form = true;
    const struct multipart_sink sink = {b, on_part, on_part_data, on_part_end};
    return multipart_open(&b->form, content_type, &sink, p);
}

enum err body_feed(struct body *b, const char *bytes, size_t n, struct problem *p) {
    b->n_bytes += (int64_t)n;
    if (b->n_bytes > b->max_bytes)
        return problem_set(p, PROBLEM_PAYLOAD_TOO_LARGE, "", "the body is larger than %lld bytes",
                           (long long)b->max_bytes);
    if (b->is_form) return multipart_feed(&b->form, bytes, n, p);
    if (buf_add(&b->text, bytes, n, NULL) == ERR_OK) return ERR_OK;
    return problem_set(p, PROBLEM_UNAVAILABLE, "", "no memory for the body now");
}

enum err body_close(struct body *b, struct problem *p) {
    enum err rc = b->is_form ? multipart_close(&b->form, p) : close_json(b, p);
    return rc == ERR_OK ? expand_texts(b, p) : rc;
}

void body_free(struct body *b) {
    for (int i = 0; i < b->n_files; i++)
        if (b->files[i].is_open) store_upload_drop(&b->files[i].upload);
    for (int i = 0; i < b->n_docs; i++)
        doc_free(b->docs[i]);
    buf_free(&b->text);
    arena_free(&b->mem);
    *b = (struct body){0};
}
