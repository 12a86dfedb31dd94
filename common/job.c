#include "common/job.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/sha256.h"
#include "common/doc.h"

enum { JOB_MEMORY_MAX = 2 * JOB_JSON_MAX + 64 * 1024 };

static const char *const operations[JOB_OPERATION_COUNT] = {
    [JOB_CREATE] = "create",   [JOB_EDIT] = "edit", [JOB_EXTEND] = "extend",
    [JOB_CONNECT] = "connect", [JOB_LOOP] = "loop", [JOB_VIEWS] = "views",
    [JOB_IMAGE] = "image",
};

static const char *const directions[JOB_DIRECTION_COUNT] = {
    [JOB_FORWARD] = "forward", [JOB_BACKWARD] = "backward", [JOB_BOTH] = "both"};
static const char *const methods[JOB_METHOD_COUNT] = {
    [JOB_SDEDIT] = "sdedit", [JOB_FLOWEDIT] = "flowedit"};

static const char *const formats[JOB_FORMAT_COUNT] = {
    [JOB_MP4] = "mp4", [JOB_PNG] = "png", [JOB_WEBP] = "webp"};
static const char *const format_types[JOB_FORMAT_COUNT] = {
    [JOB_MP4] = "video/mp4", [JOB_PNG] = "image/png", [JOB_WEBP] = "image/webp"};

static const struct {
    const char *name;
    int rank;
} priorities[JOB_PRIORITY_COUNT] = {
    [JOB_LOW] = {"low", 2},
    [JOB_NORMAL] = {"normal", 5},
    [JOB_HIGH] = {"high", 8},
};

const char *job_operation_name(enum job_operation op) {
    ASSERT(op >= 0 && op < JOB_OPERATION_COUNT);
    return operations[op];
}

/* Its place in a list of names, -1 when it is not there. */
static int place_of(const char *name, const char *const *names, int n) {
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

bool job_direction_find(const char *name, enum job_direction *out) {
    int i = place_of(name, directions, JOB_DIRECTION_COUNT);
    if (i >= 0) *out = (enum job_direction)i;
    return i >= 0;
}

bool job_method_find(const char *name, enum job_method *out) {
    int i = place_of(name, methods, JOB_METHOD_COUNT);
    if (i >= 0) *out = (enum job_method)i;
    return i >= 0;
}

bool job_format_find(const char *name, enum job_format *out) {
    int i = place_of(name, formats, JOB_FORMAT_COUNT);
    if (i >= 0) *out = (enum job_format)i;
    return i >= 0;
}

const char *job_format_type(enum job_format f) {
    ASSERT(f >= 0 && f < JOB_FORMAT_COUNT);
    return format_types[f];
}

const char *job_priority_name(enum job_priority p) {
    ASSERT(p >= 0 && p < JOB_PRIORITY_COUNT);
    return priorities[p].name;
}

bool job_priority_find(const char *name, enum job_priority *out) {
    for (int i = 0; i < JOB_PRIORITY_COUNT; i++) {
        if (strcmp(priorities[i].name, name) != 0) continue;
        *out = (enum job_priority)i;
        return true;
    }
    return false;
}

int job_priority_rank(enum job_priority p) {
    ASSERT(p >= 0 && p < JOB_PRIORITY_COUNT);
    return priorities[p].rank;
}

void job_make(struct job *job) {
    *job = (struct job){.operation = JOB_CREATE,
                        .priority = JOB_NORMAL,
                        .model = "",
                        .asked_model = "",
                        .prompt = "",
                        .negative_prompt = "",
                        .revised_prompt = "",
                        .width = 720,
                        .height = 1280,
                        .seconds = 4,
                        .guidance_scale = -1,
                        .task = {.old_prompt = "", .strength = -1},
                        .webhook_url = "",
                        .upload_url = "",
                        .expires_after_seconds = LIMIT_ASSET_EXPIRY_SECONDS,
                        .crf = -1};
    arena_make(&job->mem, JOB_MEMORY_MAX);
}

void job_free(struct job *job) {
    arena_free(&job->mem);
    *job = (struct job){0};
}

const char *job_keep(struct job *job, const char *text, size_t n) {
    return arena_copy(&job->mem, text, n);
}

/* ---- writing ---- */

static void put_asset(struct doc_out *o, const char *key, const struct job_asset *a) {
    if (!a->sha256[0]) return;
    doc_open_object(o, key);
    doc_put_text(o, "sha256", a->sha256);
    doc_put_text(o, "type", a->type);
    doc_put_int(o, "bytes", a->n_bytes);
    if (a->video_id[0]) {
        doc_put_text(o, "video_id", a->video_id);
        doc_put_text(o, "key", a->key);
        doc_put_int(o, "width", a->width);
        doc_put_int(o, "height", a->height);
        doc_put_int(o, "frames", a->n_frames);
        doc_put_real(o, "fps", a->fps);
    }
    doc_close_object(o);
}

/* Written only where it differs from what job_make() left: most jobs have no such object. */
static void put_task(struct doc_out *o, const struct job *job) {
    const struct job_task *t = &job->task;
    bool has_none = job->operation == JOB_CREATE || job->operation == JOB_IMAGE;
    if (has_none && !t->is_loop) return;
    doc_open_object(o, "task");
    put_asset(o, "video", &t->video);
    put_asset(o, "second_video", &t->second_video);
    put_asset(o, "mask", &t->mask);
    if (t->direction != JOB_FORWARD) doc_put_text(o, "direction", directions[t->direction]);
    if (t->method != JOB_SDEDIT) doc_put_text(o, "method", methods[t->method]);
    if (t->old_prompt[0]) doc_put_text(o, "old_prompt", t->old_prompt);
    if (t->strength >= 0) doc_put_real(o, "strength", t->strength);
    if (t->context_seconds > 0) doc_put_real(o, "context_seconds", t->context_seconds);
    if (t->from_seconds > 0) doc_put_real(o, "from_seconds", t->from_seconds);
    if (t->to_seconds > 0) doc_put_real(o, "to_seconds", t->to_seconds);
    if (t->is_bare) doc_put_bool(o, "bare", true);
    if (t->is_loop) doc_put_bool(o, "loop", true);
    doc_close_object(o);
}

/* The keys are a stranger's, so they are escaped like texts. */
static enum err write_metadata(const struct job *job, struct buf *out, struct fail *f) {
    enum err rc = buf_add_str(out, "{", f);
    for (int i = 0; rc == ERR_OK && i < job->n_metadata; i++) {
        struct doc_out o;
        if (i) TRY(buf_add_str(out, ",", f));
        doc_out_make(&o, out);
        doc_put_text(&o, NULL, job->metadata[i].key);
        TRY(buf_add_str(out, ":", f));
        doc_out_make(&o, out);
        doc_put_text(&o, NULL, job->metadata[i].value);
        TRY(doc_done(&o, f));
    }
    if (rc == ERR_OK) rc = buf_add_str(out, "}", f);
out:
    return rc;
}

static enum err put_metadata(struct doc_out *o, const struct job *job, struct fail *f) {
    struct buf pairs;
    if (!job->n_metadata) return ERR_OK;
    buf_make(&pairs, JOB_JSON_MAX);
    enum err rc = write_metadata(job, &pairs, f);
    if (rc == ERR_OK) doc_put_json(o, "metadata", (struct str){pairs.data, pairs.len});
    buf_free(&pairs);
    return rc;
}

static void put_choices(struct doc_out *o, const struct job *job) {
    char text[40];
    snprintf(text, sizeof(text), "%dx%d", job->width, job->height);
    doc_put_text(o, "size", job->width > 0 ? text : "auto");
    snprintf(text, sizeof(text), "%d", job->seconds);
    doc_put_text(o, "seconds", text);
    if (job->fps > 0) doc_put_int(o, "fps", job->fps);
    if (job->num_frames > 0) doc_put_int(o, "num_frames", job->num_frames);
    if (job->steps > 0) doc_put_int(o, "steps", job->steps);
    if (job->guidance_scale >= 0) doc_put_real(o, "guidance_scale", job->guidance_scale);
    if (job->has_seed) doc_put_int(o, "seed", job->seed);
    doc_put_text(o, "priority", job_priority_name(job->priority));
    put_asset(o, "input_reference", &job->input_reference);
    put_asset(o, "last_frame", &job->last_frame);
    put_task(o, job);
}

static void put_delivery(struct doc_out *o, const struct job *job) {
    if (job->webhook_url[0]) doc_put_text(o, "webhook_url", job->webhook_url);
    if (job->upload_url[0]) doc_put_text(o, "upload_url", job->upload_url);
    if (job->n_webhook_events) {
        doc_open_array(o, "webhook_events");
        for (int i = 0; i < job->n_webhook_events; i++)
            doc_put_text(o, NULL, job->webhook_events[i]);
        doc_close_array(o);
    }
    if (job->deadline_seconds) doc_put_int(o, "deadline_seconds", job->deadline_seconds);
    doc_put_int(o, "expires_after_seconds", job->expires_after_seconds);
    if (job->crf >= 0 || job->format != JOB_MP4) {
        doc_open_object(o, "output");
        if (job->crf >= 0) doc_put_int(o, "crf", job->crf);
        if (job->format != JOB_MP4) doc_put_text(o, "format", formats[job->format]);
        doc_close_object(o);
    }
}

enum err job_write(const struct job *job, struct buf *out, struct fail *f) {
    enum err rc = ERR_OK;
    struct doc_out o;
    size_t before = out->len;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "operation", job_operation_name(job->operation));
    doc_put_text(&o, "model", job->model);
    doc_put_text(&o, "asked_model", job->asked_model);
    doc_put_text(&o, "prompt", job->prompt);
    if (job->negative_prompt[0]) doc_put_text(&o, "negative_prompt", job->negative_prompt);
    if (job->wants_upsampling) doc_put_bool(&o, "upsampling", true);
    if (job->revised_prompt[0]) doc_put_text(&o, "revised_prompt", job->revised_prompt);
    put_choices(&o, job);
    put_delivery(&o, job);
    TRY(put_metadata(&o, job, f));
    doc_close_object(&o);
    TRY(doc_done(&o, f));
    if (out->len - before > JOB_JSON_MAX)
        rc = FAIL(f, ERR_LIMIT, "the request is %zu bytes of JSON, at most %d are kept",
                  out->len - before, JOB_JSON_MAX);
out:
    return rc;
}

enum err job_fingerprint(const struct job *job, char out[65], struct fail *f) {
    struct buf json;
    buf_make(&json, 2 * JOB_JSON_MAX);
    enum err rc = job_write(job, &json, f);
    if (rc == ERR_OK) sha256_hex(json.data, json.len, out);
    buf_free(&json);
    return rc;
}

/* ---- reading what we wrote ---- */

static enum err keep_text(struct job *job, const struct value *v, const char *key, const char **out,
                          struct fail *f) {
    struct str s = {0};
    enum err rc = doc_may_text(v, key, &s, f);
    if (rc != ERR_OK || !s.p) return rc;
    *out = job_keep(job, s.p, s.n);
    return *out ? ERR_OK : FAIL(f, ERR_NOMEM, "no memory for the job's %s", key);
}

static enum err read_int(const struct value *v, const char *key, int min, int max, int *out,
                         struct fail *f) {
    int64_t n = *out;
    enum err rc = doc_may_int(v, key, min, max, &n, f);
    if (rc == ERR_OK) *out = (int)n;
    return rc;
}

/* Only what an earlier job made has it. */
static enum err read_origin(const struct value *a, struct job_asset *out, struct fail *f) {
    enum err rc = ERR_OK;
    struct str id = {0}, key = {0};
    TRY(doc_may_text(a, "video_id", &id, f));
    if (!id.p) return ERR_OK;
    TRY(doc_get_text(a, "key", &key, f));
    TRY(read_int(a, "width", 1, 1 << 16, &out->width, f));
    TRY(read_int(a, "height", 1, 1 << 16, &out->height, f));
    TRY(read_int(a, "frames", 1, 1 << 24, &out->n_frames, f));
    TRY(doc_may_real(a, "fps", 0, 1e6, &out->fps, f));
    if (!str_copy(out->video_id, sizeof(out->video_id), id) ||
        !str_copy(out->key, sizeof(out->key), key))
        rc = FAIL(f, ERR_CORRUPT, "an asset has a bad origin");
out:
    return rc;
}

static enum err read_asset(const struct value *v, const char *key, struct job_asset *out,
                           struct fail *f) {
    enum err rc = ERR_OK;
    const struct value *a = doc_find(v, key);
    struct str sha = {0}, type = {0};
    if (!a) return ERR_OK;
    if (doc_type(a) != DOC_OBJECT) return FAIL(f, ERR_CORRUPT, "%s is not an object", key);
    TRY(doc_get_text(a, "sha256", &sha, f));
    TRY(doc_get_text(a, "type", &type, f));
    TRY(doc_get_int(a, "bytes", 1, INT64_MAX, &out->n_bytes, f));
    if (!str_is_hex(sha, SHA256_HEX) || !str_copy(out->sha256, sizeof(out->sha256), sha) ||
        !str_copy(out->type, sizeof(out->type), type))
        rc = FAIL(f, ERR_CORRUPT, "%s names no stored file", key);
    if (rc == ERR_OK) rc = read_origin(a, out, f);
out:
    return rc;
}

static enum err read_named(const struct value *v, const char *key, const char *const *names, int n,
                           int *out, struct fail *f) {
    struct str s = {0};
    char name[16];
    enum err rc = doc_may_text(v, key, &s, f);
    if (rc != ERR_OK || !s.p) return rc;
    int i = str_copy(name, sizeof(name), s) ? place_of(name, names, n) : -1;
    if (i < 0) return FAIL(f, ERR_CORRUPT, "%s has an unknown value", key);
    *out = i;
    return ERR_OK;
}

static enum err read_task(struct job *job, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    struct job_task *t = &job->task;
    const struct value *a = doc_find(v, "task");
    int direction = JOB_FORWARD, method = JOB_SDEDIT;
    if (!a) return ERR_OK;
    if (doc_type(a) != DOC_OBJECT) return FAIL(f, ERR_CORRUPT, "task is not an object");
    TRY(read_asset(a, "video", &t->video, f));
    TRY(read_asset(a, "second_video", &t->second_video, f));
    TRY(read_asset(a, "mask", &t->mask, f));
    TRY(read_named(a, "direction", directions, JOB_DIRECTION_COUNT, &direction, f));
    TRY(read_named(a, "method", methods, JOB_METHOD_COUNT, &method, f));
    TRY(keep_text(job, a, "old_prompt", &t->old_prompt, f));
    TRY(doc_may_real(a, "strength", 0, 1, &t->strength, f));
    TRY(doc_may_real(a, "context_seconds", 0, 1e6, &t->context_seconds, f));
    TRY(doc_may_real(a, "from_seconds", 0, 1e6, &t->from_seconds, f));
    TRY(doc_may_real(a, "to_seconds", 0, 1e6, &t->to_seconds, f));
    TRY(doc_may_bool(a, "bare", &t->is_bare, f));
    TRY(doc_may_bool(a, "loop", &t->is_loop, f));
    t->direction = (enum job_direction)direction;
    t->method = (enum job_method)method;
out:
    return rc;
}

static enum err read_size(struct job *job, const struct value *v, struct fail *f) {
    struct str s = {0}, w;
    int64_t width, height;
    enum err rc = doc_get_text(v, "size", &s, f);
    if (rc != ERR_OK) return rc;
    job->width = job->height = 0;
    if (str_eq(s, "auto")) return ERR_OK;
    if (!str_split(&s, 'x', &w) || !str_parse_i64(w, 1, 1 << 16, &width) ||
        !str_parse_i64(s, 1, 1 << 16, &height))
        return FAIL(f, ERR_CORRUPT, "size is not WxH");
    job->width = (int)width;
    job->height = (int)height;
    return ERR_OK;
}

static enum err read_operation(struct job *job, const struct value *v, struct fail *f) {
    struct str s = {0};
    enum err rc = doc_get_text(v, "operation", &s, f);
    for (int i = 0; rc == ERR_OK && i < JOB_OPERATION_COUNT; i++) {
        if (!str_eq(s, operations[i])) continue;
        job->operation = (enum job_operation)i;
        return ERR_OK;
    }
    return rc != ERR_OK ? rc : FAIL(f, ERR_CORRUPT, "operation has an unknown value");
}

static enum err read_priority(struct job *job, const struct value *v, struct fail *f) {
    struct str s = {0};
    char name[16];
    enum err rc = doc_get_text(v, "priority", &s, f);
    if (rc != ERR_OK) return rc;
    if (str_copy(name, sizeof(name), s) && job_priority_find(name, &job->priority)) return ERR_OK;
    return FAIL(f, ERR_CORRUPT, "priority has an unknown value");
}

static enum err read_choices(struct job *job, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    struct str seconds = {0};
    int64_t n = 0, seed = -1;
    TRY(read_size(job, v, f));
    TRY(doc_get_text(v, "seconds", &seconds, f));
    if (!str_parse_i64(seconds, 1, 1 << 20, &n))
        return FAIL(f, ERR_CORRUPT, "seconds is no number");
    job->seconds = (int)n;
    TRY(read_int(v, "fps", 1, 1 << 16, &job->fps, f));
    TRY(read_int(v, "num_frames", 1, 1 << 24, &job->num_frames, f));
    TRY(read_int(v, "steps", 1, 1 << 16, &job->steps, f));
    TRY(doc_may_real(v, "guidance_scale", 0, 1e6, &job->guidance_scale, f));
    TRY(doc_may_int(v, "seed", 0, UINT32_MAX, &seed, f));
    job->has_seed = seed >= 0;
    job->seed = seed >= 0 ? (uint32_t)seed : 0;
    TRY(read_priority(job, v, f));
    TRY(read_asset(v, "input_reference", &job->input_reference, f));
    TRY(read_asset(v, "last_frame", &job->last_frame, f));
    TRY(read_task(job, v, f));
out:
    return rc;
}

static enum err read_pair(void *ctx, const char *key, const struct value *v, struct fail *f) {
    struct job *job = ctx;
    if (job->n_metadata == JOB_METADATA_MAX || doc_type(v) != DOC_TEXT)
        return FAIL(f, ERR_CORRUPT, "metadata is not at most %d texts", JOB_METADATA_MAX);
    struct str s = doc_text(v);
    struct job_pair *pair = &job->metadata[job->n_metadata];
    pair->key = job_keep(job, key, strlen(key));
    pair->value = job_keep(job, s.p, s.n);
    if (!pair->key || !pair->value) return FAIL(f, ERR_NOMEM, "no memory for metadata");
    job->n_metadata++;
    return ERR_OK;
}

static enum err read_events(struct job *job, const struct value *v, struct fail *f) {
    const struct value *list = doc_find(v, "webhook_events");
    size_t n = list ? doc_size(list) : 0;
    if (n > JOB_EVENTS_MAX || (list && doc_type(list) != DOC_ARRAY))
        return FAIL(f, ERR_CORRUPT, "webhook_events is not a short list");
    for (size_t i = 0; i < n; i++) {
        const struct value *e = doc_at(list, i);
        if (doc_type(e) != DOC_TEXT) return FAIL(f, ERR_CORRUPT, "webhook_events holds no text");
        const char *kept = job_keep(job, doc_text(e).p, doc_text(e).n);
        if (!kept) return FAIL(f, ERR_NOMEM, "no memory for webhook_events");
        job->webhook_events[job->n_webhook_events++] = kept;
    }
    return ERR_OK;
}

static enum err read_delivery(struct job *job, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    const struct value *output = doc_find(v, "output"), *pairs = doc_find(v, "metadata");
    TRY(keep_text(job, v, "webhook_url", &job->webhook_url, f));
    TRY(keep_text(job, v, "upload_url", &job->upload_url, f));
    TRY(read_events(job, v, f));
    TRY(doc_may_int(v, "deadline_seconds", 1, INT64_MAX, &job->deadline_seconds, f));
    TRY(doc_may_int(v, "expires_after_seconds", 1, INT64_MAX, &job->expires_after_seconds, f));
    int format = JOB_MP4;
    if (output && doc_type(output) == DOC_OBJECT) {
        TRY(read_int(output, "crf", 0, 63, &job->crf, f));
        TRY(read_named(output, "format", formats, JOB_FORMAT_COUNT, &format, f));
        job->format = (enum job_format)format;
    }
    if (pairs && doc_type(pairs) != DOC_OBJECT)
        return FAIL(f, ERR_CORRUPT, "metadata is not an object");
    if (pairs) TRY(doc_each(pairs, read_pair, job, f));
out:
    return rc;
}

static enum err read_job(struct job *job, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    if (doc_type(v) != DOC_OBJECT) return FAIL(f, ERR_CORRUPT, "the job is not an object");
    TRY(read_operation(job, v, f));
    TRY(keep_text(job, v, "model", &job->model, f));
    TRY(keep_text(job, v, "asked_model", &job->asked_model, f));
    TRY(keep_text(job, v, "prompt", &job->prompt, f));
    TRY(keep_text(job, v, "negative_prompt", &job->negative_prompt, f));
    TRY(doc_may_bool(v, "upsampling", &job->wants_upsampling, f));
    TRY(keep_text(job, v, "revised_prompt", &job->revised_prompt, f));
    TRY(read_choices(job, v, f));
    TRY(read_delivery(job, v, f));
out:
    return rc;
}

enum err job_parse(struct job *job, const char *json, size_t n, struct fail *f) {
    struct doc *d = NULL;
    job_make(job);
    enum err rc = doc_parse(&d, (struct str){json, n}, JOB_JSON_MAX, f);
    if (rc == ERR_OK) rc = read_job(job, doc_root(d), f);
    doc_free(d);
    /* Whatever is wrong with it, it is our own text that went bad, not a stranger's. */
    if (rc == ERR_INPUT || rc == ERR_LIMIT) rc = ERR_CORRUPT;
    if (rc != ERR_OK && f) f->code = rc;
    return rc;
}
