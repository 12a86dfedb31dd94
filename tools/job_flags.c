#include "tools/job_flags.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/limits.h"
#include "common/base/str.h"
#include "common/doc.h"

enum { COPY_BYTES = 64 * 1024 };

enum kind { KIND_OWN, KIND_TEXT, KIND_NUMBER, KIND_BOOL, KIND_FILE, KIND_CLIP };

static const struct row {
    const char *name;
    const char *field; /* of the API; NULL: our own */
    enum kind kind;
    const char *help;
} rows[] = {
    {"--prompt", "prompt", KIND_TEXT, "what to show"},
    {"--negative-prompt", "negative_prompt", KIND_TEXT, "what to avoid"},
    {"--image", "input_reference", KIND_FILE, "file with the first frame (png, jpeg, webp)"},
    {"--last-image", "last_frame", KIND_FILE, "file with the last frame"},
    {"--video", "video", KIND_CLIP, "the clip of edit, extend, loop: a file or an id"},
    {"--first-video", "first_video", KIND_CLIP, "of connect: a file or an id"},
    {"--second-video", "second_video", KIND_CLIP, "of connect: a file or an id"},
    {"--mask", "mask", KIND_FILE, "of edit: picture whose white is made anew"},
    {"--size", "size", KIND_TEXT, "WIDTHxHEIGHT"},
    {"--seconds", "seconds", KIND_TEXT, "length, of an extension what is added"},
    {"--fps", "fps", KIND_NUMBER, "frames a second"},
    {"--num-frames", "num_frames", KIND_NUMBER, "frames, in the place of seconds"},
    {"--model", "model", KIND_TEXT, "model id"},
    {"--seed", "seed", KIND_NUMBER, "0..4294967295"},
    {"--steps", "steps", KIND_NUMBER, "denoising steps"},
    {"--guidance", "guidance_scale", KIND_NUMBER, "classifier-free guidance"},
    {"--direction", "direction", KIND_TEXT, "of extend: forward, backward or both"},
    {"--context-seconds", "context_seconds", KIND_NUMBER,
     "how much of a clip the new part is told"},
    {"--stitch", "stitch", KIND_BOOL, "of extend, connect: false gives the new part alone"},
    {"--strength", "strength", KIND_NUMBER, "of edit: 0.01..1, how freely it is made again"},
    {"--method", "method", KIND_TEXT, "of edit: sdedit or flowedit"},
    {"--source-prompt", "source_prompt", KIND_TEXT, "of edit by flowedit: what the clip shows"},
    {"--start-seconds", "start_seconds", KIND_NUMBER, "of edit: where the part begins"},
    {"--end-seconds", "end_seconds", KIND_NUMBER, "of edit: where it ends"},
    {"--upsampling", "prompt_upsampling", KIND_TEXT, "on: the prompt is said in better words"},
    {"--priority", "priority", KIND_TEXT, "low, normal or high"},
    {"--webhook-url", "webhook_url", KIND_TEXT, "called at the end"},
    {"--url", NULL, KIND_OWN, "server (MISORA_URL, else http://127.0.0.1:8080)"},
    {"--output", NULL, KIND_OWN, "where the clip goes"},
    {"--variant", NULL, KIND_OWN, "of download: video, thumbnail or spritesheet"},
    {"--limit", NULL, KIND_OWN, "rows of a list"},
    {"--after", NULL, KIND_OWN, "of list: the last id of the page before"},
};
_Static_assert(COUNT_OF(rows) <= JOB_FLAGS_VALUES, "every flag has a place");

/* ---- the command line ---- */

static int find_row(const char *name) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (strcmp(name, rows[i].name) == 0) return i;
    return -1;
}

const char *job_flags_get(const struct job_flags *o, const char *name) {
    int i = find_row(name);
    ASSERT(i >= 0);
    return o->value[i];
}

static enum err add_word(struct job_flags *o, const char *word, struct fail *f) {
    for (int i = 0; word[0] != '-' && i < JOB_FLAGS_WORDS; i++) {
        if (o->word[i]) continue;
        o->word[i] = word;
        return ERR_OK;
    }
    return FAIL(f, ERR_INPUT, "unknown argument \"%.80s\" (see misora job --help)", word);
}

enum err job_flags_read(struct job_flags *o, int argc, char **argv, struct fail *f) {
    *o = (struct job_flags){.n_sets = 0};
    for (int i = 0; i < argc; i++) {
        int row = find_row(argv[i]);
        bool is_set = strcmp(argv[i], "--set") == 0;
        if (strcmp(argv[i], "--watch") == 0) {
            o->is_watched = true;
        } else if (row < 0 && !is_set) {
            enum err rc = add_word(o, argv[i], f);
            if (rc != ERR_OK) return rc;
        } else if (i + 1 >= argc) {
            return FAIL(f, ERR_INPUT, "%s needs a value", argv[i]);
        } else if (row >= 0) {
            o->value[row] = argv[++i];
        } else if (o->n_sets == JOB_FLAGS_SETS) {
            return FAIL(f, ERR_INPUT, "--set stands more than %d times", JOB_FLAGS_SETS);
        } else {
            o->set[o->n_sets++] = argv[++i];
        }
    }
    return ERR_OK;
}

void job_flags_print(void) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        printf("  %-18s %s\n", rows[i].name, rows[i].help);
    printf("  %-18s any other field of the API; JSON is taken as JSON, else it is text\n",
           "--set NAME=VALUE");
    printf("  %-18s wait for the end, with progress\n", "--watch");
}

/* ---- values ---- */

static bool is_id(const char *text) {
    return id_is_valid(str_of(text), "video_");
}

static bool is_sent_as_file(const struct row *r, const char *value) {
    return r->kind == KIND_FILE || (r->kind == KIND_CLIP && !is_id(value));
}

static enum err check_number(const struct row *r, const char *v, struct fail *f) {
    double n;
    if (str_parse_f64(str_of(v), -1e15, 1e15, &n)) return ERR_OK;
    return FAIL(f, ERR_INPUT, "%s is \"%.60s\"; it must be a number", r->name, v);
}

static enum err check_bool(const struct row *r, const char *v, struct fail *f) {
    if (strcmp(v, "true") == 0 || strcmp(v, "false") == 0) return ERR_OK;
    return FAIL(f, ERR_INPUT, "%s is \"%.60s\"; it must be true or false", r->name, v);
}

/* A value of our own command line, checked before anything is sent. */
static enum err check_value(const struct row *r, const char *v, struct fail *f) {
    struct stat st;
    if (r->kind == KIND_NUMBER) return check_number(r, v, f);
    if (r->kind == KIND_BOOL) return check_bool(r, v, f);
    if (!is_sent_as_file(r, v) || (stat(v, &st) == 0 && S_ISREG(st.st_mode))) return ERR_OK;
    return FAIL(f, ERR_INPUT, "%s: %.200s is no file%s", r->name, v,
                r->kind == KIND_CLIP ? " and no id of a video" : "");
}

static enum err split_set(const char *set, char name[64], const char **value, struct fail *f) {
    struct str rest = str_of(set), key;
    if (str_split(&rest, '=', &key) && rest.p && key.n && str_copy(name, 64, key)) {
        *value = rest.p;
        return ERR_OK;
    }
    return FAIL(f, ERR_INPUT, "--set is \"%.80s\"; write NAME=VALUE", set);
}

/* ---- JSON ---- */

static void put_value(struct doc_out *out, const struct row *r, const char *v) {
    switch (r->kind) {
    case KIND_NUMBER: doc_put_json(out, r->field, str_of(v)); break;
    case KIND_BOOL: doc_put_bool(out, r->field, strcmp(v, "true") == 0); break;
    case KIND_CLIP:
        doc_open_object(out, r->field);
        doc_put_text(out, "id", v);
        doc_close_object(out);
        break;
    default: doc_put_text(out, r->field, v); break;
    }
}

/* A field that has no flag: JSON where it is JSON. */
static enum err put_set(struct doc_out *out, const char *set, struct fail *f) {
    char name[64];
    const char *value;
    struct doc *d = NULL;
    enum err rc = split_set(set, name, &value, f);
    if (rc != ERR_OK) return rc;
    if (doc_parse(&d, str_of(value), LIMIT_MEDIA_BODY_BYTES, NULL) == ERR_OK)
        doc_put_value(out, name, doc_root(d));
    else
        doc_put_text(out, name, value);
    doc_free(d);
    return ERR_OK;
}

static enum err write_json(struct job_flags_body *b, const struct job_flags *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct doc_out out;
    doc_out_make(&out, &b->text);
    doc_open_object(&out, NULL);
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (o->value[i] && rows[i].field) put_value(&out, &rows[i], o->value[i]);
    for (int i = 0; i < o->n_sets; i++)
        TRY(put_set(&out, o->set[i], f));
    doc_close_object(&out);
    TRY(doc_done(&out, f));
    snprintf(b->content_type, sizeof(b->content_type), "application/json");
out:
    return rc;
}

/* ---- a form ---- */

/* The form is written to a file without a name: a clip may be larger than memory. */
struct form {
    int fd;
    char boundary[ID_HEX + 8];
};

static enum err write_all(int fd, const char *p, size_t n, struct fail *f) {
    while (n > 0) {
        ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return FAIL(f, ERR_DISK, "the request cannot be kept: %s", strerror(errno));
        p += put;
        n -= (size_t)put;
    }
    return ERR_OK;
}

static enum err add_head(const struct form *m, const char *name, bool is_file, struct fail *f) {
    char head[256];
    int n = snprintf(head, sizeof(head),
                     "--%s\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n", m->boundary,
                     name, is_file ? "; filename=\"file\"" : "");
    if (n >= (int)sizeof(head)) return FAIL(f, ERR_INPUT, "the name \"%.60s\" is too long", name);
    return write_all(m->fd, head, (size_t)n, f);
}

static enum err add_text(const struct form *m, const char *name, const char *value,
                         struct fail *f) {
    enum err rc = add_head(m, name, false, f);
    if (rc == ERR_OK) rc = write_all(m->fd, value, strlen(value), f);
    return rc == ERR_OK ? write_all(m->fd, "\r\n", 2, f) : rc;
}

static enum err add_file(const struct form *m, const char *name, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    char bytes[COPY_BYTES];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(f, ERR_INPUT, "%.200s cannot be read: %s", path, strerror(errno));
    TRY(add_head(m, name, true, f));
    while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
        if (n < 0) {
            rc = FAIL(f, ERR_INPUT, "%.200s cannot be read: %s", path, strerror(errno));
            goto out;
        }
        TRY(write_all(m->fd, bytes, (size_t)n, f));
    }
    TRY(write_all(m->fd, "\r\n", 2, f));
out:
    close(fd);
    return rc;
}

static enum err add_row(const struct form *m, const struct row *r, const char *v, struct fail *f) {
    char member[80];
    if (is_sent_as_file(r, v)) return add_file(m, r->field, v, f);
    if (r->kind != KIND_CLIP) return add_text(m, r->field, v, f);
    snprintf(member, sizeof(member), "%s[id]", r->field);
    return add_text(m, member, v, f);
}

static enum err write_form(struct job_flags_body *b, const struct job_flags *o, struct fail *f) {
    enum err rc = ERR_OK;
    struct form m = {.fd = open(P_tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    char hex[ID_HEX + 1], end[sizeof(m.boundary) + 8], name[64];
    const char *value;
    struct stat st;
    b->file.fd = m.fd;
    if (m.fd < 0) return FAIL(f, ERR_DISK, "%s takes no file: %s", P_tmpdir, strerror(errno));
    id_uuid7_hex(hex);
    snprintf(m.boundary, sizeof(m.boundary), "misora-%s", hex);
    for (int i = 0; i < COUNT_OF(rows); i++)
        if (o->value[i] && rows[i].field) TRY(add_row(&m, &rows[i], o->value[i], f));
    for (int i = 0; i < o->n_sets; i++) {
        TRY(split_set(o->set[i], name, &value, f));
        TRY(add_text(&m, name, value, f));
    }
    int n = snprintf(end, sizeof(end), "--%s--\r\n", m.boundary);
    TRY(write_all(m.fd, end, (size_t)n, f));
    if (fstat(m.fd, &st) != 0) {
        rc = FAIL(f, ERR_DISK, "the request cannot be measured: %s", strerror(errno));
        goto out;
    }
    b->file.n_bytes = st.st_size;
    snprintf(b->content_type, sizeof(b->content_type), "multipart/form-data; boundary=%s",
             m.boundary);
out:
    return rc;
}

enum err job_flags_body(struct job_flags_body *out, const struct job_flags *o, struct fail *f) {
    bool has_file = false;
    *out = (struct job_flags_body){.file = {.fd = -1}};
    buf_make(&out->text, LIMIT_MEDIA_BODY_BYTES);
    for (int i = 0; i < COUNT_OF(rows); i++) {
        if (!o->value[i] || !rows[i].field) continue;
        enum err rc = check_value(&rows[i], o->value[i], f);
        if (rc != ERR_OK) return rc;
        has_file = has_file || is_sent_as_file(&rows[i], o->value[i]);
    }
    return has_file ? write_form(out, o, f) : write_json(out, o, f);
}

void job_flags_body_free(struct job_flags_body *b) {
    if (b->file.fd >= 0) close(b->file.fd);
    buf_free(&b->text);
    *b = (struct job_flags_body){.file = {.fd = -1}};
}
