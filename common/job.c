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
};

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
                        .width = 720,
                        .height = 1280,
                        .seconds = 4,
                        .guidance_scale = -1,
                        .webhook_url = "",
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
    doc_put_text(o, "size", text);
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
}

static void put_delivery(struct doc_out *o, const struct job *job) {
    if (job->webhook_url[0]) doc_put_text(o, "webhook_url", job->webhook_url);
    if (job->n_webhook_events) {
        doc_open_array(o, "webhook_events");
        for (int i = 0; i < job->n_webhook_events; i++)
            doc_put_text(o, NULL, job->webhook_events[i]);
        doc_close_array(o);
    }
    if (job->deadline_seconds) doc_put_int(o, "deadline_seconds", job->deadline_seconds);
    doc_put_int(o, "expires_after_seconds", job->expires_after_seconds);
    if (job->crf >= 0) {
        doc_open_object(o, "output");
        doc_put_int(o, "crf", job->crf);
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
out:
    return rc;
}

static enum err read_size(struct job *job, const struct value *v, struct fail *f) {
    struct str s = {0}, w;
    int64_t width, height;
    enum err rc = doc_get_text(v, "size", &s, f);
    if (rc != ERR_OK) return rc;
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
    TRY(read_events(job, v, f));
    TRY(doc_may_int(v, "deadline_seconds", 1, INT64_MAX, &job->deadline_seconds, f));
    TRY(doc_may_int(v, "expires_after_seconds", 1, INT64_MAX, &job->expires_after_seconds, f));
    if (output && doc_type(output) == DOC_OBJECT) TRY(read_int(output, "crf", 0, 63, &job->crf, f));
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
