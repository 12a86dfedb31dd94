#include "server/validate.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "server/draft.h"
#include "server/field.h"

typedef enum err (*apply_fn)(struct draft *d, const struct body_field *f);

/* ---- what to make ---- */

static enum err set_prompt(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    d->has_prompt = true;
    if (field_text(f, LIMIT_PROMPT_CHARS, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (str_trim(s).n == 0)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "prompt",
                           "prompt is empty; describe the video in words");
    d->out->job.prompt = draft_keep(d, s);
    return d->out->job.prompt ? ERR_OK : draft_no_memory(d);
}

static enum err set_negative(struct draft *d, const struct body_field *f) {
    return draft_keep_text(d, f, LIMIT_PROMPT_CHARS, &d->out->job.negative_prompt);
}

static enum err choose_model(struct draft *d, struct str name) {
    const struct models_row *row = models_find(d->rules->models, name);
    if (name.n == 0 || name.n >= MODELS_ID_MAX)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "model",
                           "model must have 1 to %d characters; GET /v1/models lists them",
                           MODELS_ID_MAX - 1);
    if (!row)
        return problem_set(d->p, PROBLEM_MODEL_NOT_FOUND, "model",
                           "there is no model \"%.*s\"; GET /v1/models lists them", (int)name.n,
                           name.p);
    d->has_model = true;
    d->out->job.asked_model = draft_keep(d, name);
    d->out->job.model = draft_keep(d, str_of(models_real_id(row)));
    return d->out->job.model && d->out->job.asked_model ? ERR_OK : draft_no_memory(d);
}

static enum err set_model(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    if (field_text(f, LIMIT_PROMPT_CHARS, &s, d->p) != ERR_OK) return ERR_INPUT;
    return choose_model(d, s);
}

static enum err check_sides(struct draft *d, const char *param, int64_t w, int64_t h) {
    struct problem *p = d->p;
    if (w < LIMIT_SIDE_MIN_PX || w > LIMIT_SIDE_MAX_PX || h < LIMIT_SIDE_MIN_PX ||
        h > LIMIT_SIDE_MAX_PX)
        return problem_set(p, PROBLEM_INVALID_VALUE, param,
                           "%s is %lldx%lld; each side must be from %d to %d pixels", param,
                           (long long)w, (long long)h, LIMIT_SIDE_MIN_PX, LIMIT_SIDE_MAX_PX);
    if (w % 2 || h % 2)
        return problem_set(p, PROBLEM_INVALID_VALUE, param,
                           "%s is %lldx%lld; both sides must be even", param, (long long)w,
                           (long long)h);
    if (w * h > LIMIT_PIXELS_MAX)
        return problem_set(p, PROBLEM_INVALID_VALUE, param,
                           "%s is %lldx%lld; at most %d pixels are allowed", param, (long long)w,
                           (long long)h, LIMIT_PIXELS_MAX);
    d->out->job.width = (int)w;
    d->out->job.height = (int)h;
    return ERR_OK;
}

static enum err set_size(struct draft *d, const struct body_field *f) {
    struct str s = {0}, w;
    int64_t width, height;
    d->has_size = d->out->has_size = true;
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    struct str rest = s;
    if (d->rules->op->job == JOB_IMAGE && str_eq(s, "auto")) return ERR_OK;
    if (!str_split(&rest, 'x', &w) || !str_parse_i64(w, 0, 1000000, &width) ||
        !str_parse_i64(rest, 0, 1000000, &height))
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "size",
                           "size must be WIDTHxHEIGHT in pixels, such as 1280x720");
    return check_sides(d, "size", width, height);
}

static enum err set_width(struct draft *d, const struct body_field *f) {
    return field_int(f, LIMIT_SIDE_MIN_PX, LIMIT_SIDE_MAX_PX, &d->width, d->p);
}

static enum err set_height(struct draft *d, const struct body_field *f) {
    return field_int(f, LIMIT_SIDE_MIN_PX, LIMIT_SIDE_MAX_PX, &d->height, d->p);
}

/* The API says a string; whole numbers are taken too and echoed as a string. */
static enum err set_seconds(struct draft *d, const struct body_field *f) {
    int64_t v = 0;
    struct body_field loose = *f;
    d->has_seconds = true;
    loose.is_loose = true;
    if (field_int(&loose, 1, LIMIT_SECONDS_MAX, &v, d->p) != ERR_OK) return ERR_INPUT;
    d->out->job.seconds = (int)v;
    return ERR_OK;
}

static enum err set_int(struct draft *d, const struct body_field *f, int64_t max, int *out) {
    int64_t v = 0;
    if (field_int(f, 1, max, &v, d->p) != ERR_OK) return ERR_INPUT;
    *out = (int)v;
    return ERR_OK;
}

static enum err set_fps(struct draft *d, const struct body_field *f) {
    return set_int(d, f, LIMIT_FPS_MAX, &d->out->job.fps);
}

static enum err set_num_frames(struct draft *d, const struct body_field *f) {
    return set_int(d, f, LIMIT_FRAMES_MAX, &d->out->job.num_frames);
}

static enum err set_steps(struct draft *d, const struct body_field *f) {
    return set_int(d, f, LIMIT_STEPS_MAX, &d->out->job.steps);
}

static enum err set_guidance(struct draft *d, const struct body_field *f) {
    return field_real(f, 0, LIMIT_GUIDANCE_MAX, &d->out->job.guidance_scale, d->p);
}

static enum err set_seed(struct draft *d, const struct body_field *f) {
    int64_t v = 0;
    if (field_int(f, 0, UINT32_MAX, &v, d->p) != ERR_OK) return ERR_INPUT;
    d->out->job.has_seed = true;
    d->out->job.seed = (uint32_t)v;
    return ERR_OK;
}

/* ---- delivery ---- */

static enum err set_priority_text(struct draft *d, const char *param, struct str s) {
    char name[16];
    static const struct {
        const char *alias, *name;
    } aliases[] = {{"flex", "low"},        {"default", "normal"}, {"auto", "normal"},
                   {"standard", "normal"}, {"priority", "high"},  {"fast", "high"}};
    bool is_whole = str_copy(name, sizeof(name), s);
    for (int i = 0; i < COUNT_OF(aliases); i++)
        if (str_eq(s, aliases[i].alias))
            (void)str_copy(name, sizeof(name), str_of(aliases[i].name));
    if (is_whole && job_priority_find(name, &d->out->job.priority)) return ERR_OK;
    return problem_set(d->p, PROBLEM_INVALID_VALUE, param, "%s must be low, normal or high", param);
}

static enum err set_priority(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    return set_priority_text(d, f->name, s);
}

static enum err read_url(struct draft *d, const struct body_field *f, const char **out) {
    struct fail fail = {0};
    if (field_text(f, LIMIT_URL_BYTES, &(struct str){0}, d->p) != ERR_OK) return ERR_INPUT;
    if (draft_keep_text(d, f, LIMIT_URL_BYTES, out) != ERR_OK) return ERR_INPUT;
    if (strlen(*out) > LIMIT_URL_BYTES)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, f->name, "%s is longer than %d bytes",
                           f->name, LIMIT_URL_BYTES);
    enum err rc = guard_url(NULL, *out, d->rules->hooks, &fail);
    if (rc == ERR_OK) return ERR_OK;
    return problem_set(d->p, rc == ERR_FORBIDDEN ? PROBLEM_URL_NOT_ALLOWED : PROBLEM_INVALID_VALUE,
                       f->name, "%s: %s", f->name, fail.text);
}

static enum err set_webhook_url(struct draft *d, const struct body_field *f) {
    return read_url(d, f, &d->out->job.webhook_url);
}

static enum err set_upload_url(struct draft *d, const struct body_field *f) {
    return read_url(d, f, &d->out->job.upload_url);
}

/* The queue's own words; the API's names carry "video." in front. */
static const char *const hook_events[] = {"completed", "failed", "cancelled", "in_progress"};

static enum err set_webhook_event(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    struct job *job = &d->out->job;
    struct body_field plain = *f;
    if (f->kind == BODY_EMPTY) return ERR_OK;
    plain.shape = BODY_WHOLE;
    if (field_text(&plain, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (str_starts(s, "video.")) s = (struct str){s.p + 6, s.n - 6};
    for (int i = 0; i < COUNT_OF(hook_events); i++) {
        if (!str_eq(s, hook_events[i])) continue;
        for (int j = 0; j < job->n_webhook_events; j++)
            if (job->webhook_events[j] == hook_events[i]) return ERR_OK;
        job->webhook_events[job->n_webhook_events++] = hook_events[i];
        return ERR_OK;
    }
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "webhook_events",
                       "webhook_events may hold video.completed, video.failed, video.cancelled and "
                       "video.in_progress");
}

static enum err set_metadata(struct draft *d, const struct body_field *f) {
    struct job *job = &d->out->job;
    size_t n_key = 0;
    if (f->kind == BODY_EMPTY) return ERR_OK;
    if (f->shape != BODY_MEMBER)
        return problem_set(d->p, PROBLEM_INVALID_TYPE, "metadata",
                           "metadata must be an object of texts");
    if (job->n_metadata == JOB_METADATA_MAX)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "metadata",
                           "metadata has more than %d pairs", JOB_METADATA_MAX);
    if (!str_is_utf8(str_of(f->member), &n_key) || n_key > LIMIT_METADATA_KEY_CHARS || n_key == 0)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "metadata",
                           "a metadata key must have 1 to %d characters", LIMIT_METADATA_KEY_CHARS);
    struct job_pair *pair = &job->metadata[job->n_metadata];
    pair->key = draft_keep(d, str_of(f->member));
    if (!pair->key) return draft_no_memory(d);
    if (draft_keep_text(d, f, LIMIT_METADATA_VALUE_CHARS, &pair->value) != ERR_OK) return ERR_INPUT;
    job->n_metadata++;
    return ERR_OK;
}

static enum err set_deadline(struct draft *d, const struct body_field *f) {
    return field_int(f, 1, 7 * 86400, &d->out->job.deadline_seconds, d->p);
}

static enum err set_expiry(struct draft *d, const struct body_field *f) {
    return field_int(f, 60, 30 * 86400, &d->out->job.expires_after_seconds, d->p);
}

/* ---- output and what is not here ---- */

static enum err need_text(struct draft *d, const struct body_field *f, const char *only) {
    struct str s = {0};
    const char *name = field_name(f);
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (str_eq(s, only)) return ERR_OK;
    return problem_set(d->p, PROBLEM_UNSUPPORTED_OPERATION, name, "%s can only be %s", name, only);
}

static enum err set_output(struct draft *d, const struct body_field *f) {
    int64_t crf = 0;
    bool audio = false;
    const char *name = field_name(f);
    if (f->kind == BODY_EMPTY) return ERR_OK;
    if (f->shape != BODY_MEMBER)
        return problem_set(d->p, PROBLEM_INVALID_TYPE, "output", "output must be an object");
    if (strcmp(f->member, "container") == 0) return need_text(d, f, "mp4");
    if (strcmp(f->member, "codec") == 0) return need_text(d, f, "h264");
    if (strcmp(f->member, "crf") == 0) {
        if (field_int(f, 0, 51, &crf, d->p) != ERR_OK) return ERR_INPUT;
        d->out->job.crf = (int)crf;
        return ERR_OK;
    }
    if (strcmp(f->member, "audio") == 0) {
        if (field_bool(f, &audio, d->p) != ERR_OK) return ERR_INPUT;
        return audio ? draft_unsupported(d, f, "the models make no sound") : ERR_OK;
    }
    return problem_set(d->p, PROBLEM_UNKNOWN_PARAMETER, name,
                       "output has no member %.40s; it takes container, codec, crf and audio",
                       f->member);
}

static enum err set_n(struct draft *d, const struct body_field *f) {
    int64_t n = 0;
    if (d->rules->op->job == JOB_IMAGE) return draft_image_n(d, f);
    return field_int(f, 1, 1, &n, d->p);
}

static enum err set_upsampling(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    bool *on = &d->out->job.wants_upsampling;
    if (f->kind == BODY_BOOL) return field_bool(f, on, d->p);
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    *on = str_eq(s, "on") || str_eq(s, "true");
    if (*on || str_eq(s, "off") || str_eq(s, "false")) return ERR_OK;
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "prompt_upsampling",
                       "prompt_upsampling must be off or on");
}

static enum err ignore(struct draft *d, const struct body_field *f) {
    (void)d, (void)f;
    return ERR_OK;
}

/* ---- the table ---- */

/* Names of other services stand below ours and lead to the same row's function. */
static const struct rule {
    const char *name;
    apply_fn apply;
    unsigned of;         /* operations that it belongs to */
    bool takes_parts;    /* members, elements, or a file are its business */
    const char *same_as; /* both names may not be given at once */
} rules[] = {
    {"prompt", set_prompt, OPERATION_ALL, false, NULL},
    {"model", set_model, OPERATION_ALL, false, NULL},
    {"seconds", set_seconds, OPERATION_VIDEOS & ~OPERATION_EDITS, false, NULL},
    {"size", set_size, OPERATION_ALL, false, NULL},
    {"aspect_ratio", draft_size_aspect, OPERATION_ALL, false, NULL},
    {"resolution", draft_size_resolution, OPERATION_ALL, false, NULL},
    {"width", set_width, OPERATION_ALL, false, NULL},
    {"height", set_height, OPERATION_ALL, false, NULL},
    {"input_reference", draft_source_first_frame, OPERATION_CREATE, true, NULL},
    {"image_reference", draft_source_first_frame, OPERATION_CREATE, true, NULL},
    {"reference_url", draft_source_image_url, OPERATION_CREATE, false, NULL},
    {"last_frame", draft_source_last_frame, OPERATION_CREATE, true, NULL},
    {"end_image", draft_source_last_frame, OPERATION_CREATE, true, NULL},
    {"loop", draft_task_loop, OPERATION_CREATE, false, NULL},
    {"video", draft_source_video, OPERATION_EDIT | OPERATION_EXTEND | OPERATION_LOOP, true, NULL},
    {"video_reference", draft_source_video, OPERATION_EDIT | OPERATION_EXTEND | OPERATION_LOOP,
     true, NULL},
    {"first_video", draft_source_video, OPERATION_CONNECT, true, NULL},
    {"second_video", draft_source_second_video, OPERATION_CONNECT, true, NULL},
    {"mask", draft_source_mask, OPERATION_EDITS, true, NULL},
    {"strength", draft_task_strength, OPERATION_EDITS, false, NULL},
    {"method", draft_task_method, OPERATION_EDITS, false, NULL},
    {"source_prompt", draft_task_old_prompt, OPERATION_EDITS, false, NULL},
    {"start_seconds", draft_task_start, OPERATION_EDITS, false, NULL},
    {"end_seconds", draft_task_end, OPERATION_EDITS, false, NULL},
    {"direction", draft_task_direction, OPERATION_EXTEND, false, NULL},
    {"context_seconds", draft_task_context, OPERATION_EXTEND | OPERATION_CONNECT | OPERATION_LOOP,
     false, NULL},
    {"stitch", draft_task_stitch, OPERATION_EXTEND | OPERATION_CONNECT, false, NULL},
    {"negative_prompt", set_negative, OPERATION_ALL, false, NULL},
    {"seed", set_seed, OPERATION_ALL, false, NULL},
    {"steps", set_steps, OPERATION_ALL, false, NULL},
    {"num_inference_steps", set_steps, OPERATION_ALL, false, "steps"},
    {"guidance_scale", set_guidance, OPERATION_ALL, false, NULL},
    {"fps", set_fps, OPERATION_VIDEOS, false, NULL},
    {"num_frames", set_num_frames, OPERATION_CREATE | OPERATION_LOOP, false, NULL},
    {"priority", set_priority, OPERATION_ALL, false, NULL},
    {"service_tier", set_priority, OPERATION_ALL, false, "priority"},
    {"webhook_url", set_webhook_url, OPERATION_VIDEOS, false, NULL},
    {"callback_url", set_webhook_url, OPERATION_VIDEOS, false, "webhook_url"},
    {"webhook", set_webhook_url, OPERATION_VIDEOS, false, "webhook_url"},
    {"webhook_events", set_webhook_event, OPERATION_VIDEOS, true, NULL},
    {"webhook_events_filter", set_webhook_event, OPERATION_VIDEOS, true, "webhook_events"},
    {"metadata", set_metadata, OPERATION_ALL, true, NULL},
    {"deadline_seconds", set_deadline, OPERATION_ALL, false, NULL},
    {"expires_after_seconds", set_expiry, OPERATION_VIDEOS, false, NULL},
    {"output", set_output, OPERATION_VIDEOS, true, NULL},
    {"prompt_upsampling", set_upsampling, OPERATION_ALL, false, NULL},
    {"n", set_n, OPERATION_ALL, false, NULL},
    {"response_format", draft_image_reply, OPERATION_IMAGE, false, NULL},
    {"output_format", draft_image_format, OPERATION_IMAGE, false, NULL},
    {"output_compression", ignore, OPERATION_IMAGE, false, NULL},
    {"background", draft_image_background, OPERATION_IMAGE, false, NULL},
    {"stream", draft_image_stream, OPERATION_IMAGE, false, NULL},
    {"partial_images", ignore, OPERATION_IMAGE, false, NULL},
    {"style", ignore, OPERATION_IMAGE, false, NULL},
    {"moderation", ignore, OPERATION_IMAGE, false, NULL},
    {"characters", draft_source_character, OPERATION_CREATE, true, NULL},
    {"upload_url", set_upload_url, OPERATION_VIDEOS, false, NULL},
    {"extra_body", ignore, OPERATION_ALL, true, NULL}, /* {} only: members were merged */
    {"extra_json", ignore, OPERATION_ALL, true, NULL},
    {"extra_params", ignore, OPERATION_ALL, true, NULL},
    {"user", ignore, OPERATION_ALL, true, NULL},
    {"quality", ignore, OPERATION_ALL, true, NULL},
    {"generator_device", ignore, OPERATION_ALL, true, NULL},
};

static const char *const nested[] = {
    "input_reference",       "image_reference", "metadata",     "output",    "webhook_events",
    "webhook_events_filter", "characters",      "last_frame",   "end_image", "video",
    "video_reference",       "first_video",     "second_video", "mask",      NULL};
static const char *const merged[] = {"extra_body", "extra_json", "extra_params", NULL};
static const char *const large[] = {
    "input_reference", "image_reference", "reference_url", "last_frame", "end_image", "video",
    "first_video",     "second_video",    "mask",          "extra_",     NULL};
static const char *const videos[] = {
    "video", "video_reference", "first_video", "second_video", "file", NULL};
const struct body_schema validate_schema = {nested, merged, large, videos};

static const struct rule *find_rule(const char *name) {
    for (int i = 0; i < COUNT_OF(rules); i++)
        if (strcmp(rules[i].name, name) == 0) return &rules[i];
    return NULL;
}

static bool is_given(const struct body *b, const char *name) {
    for (int i = 0; i < b->n_fields; i++)
        if (strcmp(b->fields[i].name, name) == 0) return true;
    return false;
}

static enum err unknown_field(struct draft *d, const struct body_field *f) {
    struct validate_result *out = d->out;
    const char *name = field_name(f);
    if (!d->rules->is_lenient)
        return problem_set(
            d->p, PROBLEM_UNKNOWN_PARAMETER, name,
            "Unknown parameter: '%s'. Leave it out, or send Prefer: handling=lenient "
            "to have it ignored.",
            name);
    if (out->n_warnings < VALIDATE_WARNINGS_MAX)
        snprintf(out->warnings[out->n_warnings++], VALIDATE_WARNING_SIZE,
                 "unknown parameter '%s' was ignored", name);
    return ERR_OK;
}

/* A field of ours, but of another route. */
static enum err foreign_field(struct draft *d, const struct body_field *f) {
    const char *name = field_name(f);
    if (field_is_empty(f)) return ERR_OK;
    if (d->rules->is_lenient) return unknown_field(d, f);
    return problem_set(d->p, PROBLEM_UNKNOWN_PARAMETER, name,
                       "'%s' is no field of this operation (%s); leave it out", name,
                       d->rules->op->name);
}

static enum err apply_field(struct draft *d, const struct body_field *f) {
    const char *name = field_name(f);
    const struct rule *r = find_rule(f->name);
    if (!f->name[0]) return ERR_OK; /* a text of JSON whose members follow */
    if (d->rules->is_estimate && strcmp(f->name, "operation") == 0) return ERR_OK;
    if (!r) return unknown_field(d, f);
    if (!(r->of & d->rules->op->bit)) return foreign_field(d, f);
    if (r->same_as && is_given(d->body, r->same_as))
        return problem_set(d->p, PROBLEM_INVALID_VALUE, name, "%s and %s are the same; send one",
                           f->name, r->same_as);
    bool says_empty = (f->kind == BODY_TEXT && r->apply == set_prompt) ||
                      (f->shape == BODY_MEMBER && r->apply == set_metadata);
    if (field_is_empty(f) && !says_empty) return ERR_OK;
    if (!r->takes_parts && (f->shape != BODY_WHOLE || f->kind == BODY_FILE)) {
        const char *got = f->kind == BODY_FILE       ? "a file"
                          : f->shape == BODY_ELEMENT ? "a list"
                                                     : "an object";
        return problem_set(d->p, PROBLEM_INVALID_TYPE, name,
                           "Invalid type for '%s': expected a plain value, but got %s instead.",
                           f->name, got);
    }
    return r->apply(d, f);
}

/* ---- rules over several fields ---- */

static enum err check_canvas(struct draft *d) {
    if (!d->width != !d->height)
        return problem_set(d->p, PROBLEM_MISSING_PARAMETER, d->width ? "height" : "width",
                           "width and height go together");
    if (d->width && d->has_size)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "size",
                           "send size, or width and height, not both");
    return d->width ? check_sides(d, "size", d->width, d->height) : ERR_OK;
}

static enum err check_length(struct draft *d) {
    const struct job *job = &d->out->job;
    int64_t n_frames =
        job->num_frames ? job->num_frames : (int64_t)job->seconds * (job->fps ? job->fps : 1);
    if (n_frames > LIMIT_FRAMES_MAX)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "seconds",
                           "%d seconds at %d frames a second are %lld frames; at most %d are "
                           "allowed",
                           job->seconds, job->fps, (long long)n_frames, LIMIT_FRAMES_MAX);
    return ERR_OK;
}

/* Equal requests must have equal bytes, whatever the order of their metadata. */
static void sort_metadata(struct job *job) {
    for (int i = 1; i < job->n_metadata; i++)
        for (int j = i; j > 0 && strcmp(job->metadata[j - 1].key, job->metadata[j].key) > 0; j--) {
            struct job_pair t = job->metadata[j];
            job->metadata[j] = job->metadata[j - 1];
            job->metadata[j - 1] = t;
        }
}

static enum err missing(struct draft *d, const char *param) {
    return problem_set(d->p, PROBLEM_MISSING_PARAMETER, param, "Missing required parameter: '%s'.",
                       param);
}

static enum err check_needs(struct draft *d) {
    const struct operation *op = d->rules->op;
    const struct validate_source *source = d->out->source;
    bool has_video = source[VALIDATE_VIDEO].is_given;
    if ((op->needs & OPERATION_VIDEO) && !has_video) return missing(d, op->first_video);
    if ((op->needs & OPERATION_SECOND_VIDEO) && !source[VALIDATE_SECOND_VIDEO].is_given)
        return missing(d, "second_video");
    if ((op->needs & OPERATION_PROMPT) && !d->has_prompt) return missing(d, "prompt");
    if ((op->needs & OPERATION_SECONDS) && !d->has_seconds) return missing(d, "seconds");
    if ((op->needs & OPERATION_VIDEO_OR_PROMPT) && !has_video && !d->has_prompt)
        return problem_set(d->p, PROBLEM_MISSING_PARAMETER, "video",
                           "send a video that shall loop, or a prompt for a new one");
    return ERR_OK;
}

/* What the operation means before any field has spoken. */
static void set_defaults(struct job *job, const struct operation *op) {
    job->operation = op->job;
    job->seconds = op->seconds;
    if (!op->has_size) job->width = job->height = 0;
    if (op->job != JOB_IMAGE) return;
    job->num_frames = 1;
    job->format = JOB_PNG;
    job->priority = JOB_HIGH; /* somebody waits on the line */
}

/* A loop from words alone is a clip like any other, of the usual size and length. */
static void settle_loop(struct draft *d) {
    struct job *job = &d->out->job;
    struct job usual;
    if (job->operation != JOB_LOOP || d->out->source[VALIDATE_VIDEO].is_given) return;
    job_make(&usual);
    job->task.is_loop = true;
    if (!d->has_seconds) job->seconds = usual.seconds;
    if (job->width == 0) job->width = usual.width, job->height = usual.height;
    job_free(&usual);
}

enum err validate_create(struct validate_result *out, const struct body *body,
                         const struct validate_rules *validate_rules, struct problem *p) {
    struct draft d = {.out = out, .body = body, .rules = validate_rules, .p = p};
    *out = (struct validate_result){.n_images = 1};
    job_make(&out->job);
    set_defaults(&out->job, validate_rules->op);
    if (validate_rules->path_id.n && draft_source_path(&d, validate_rules->path_id) != ERR_OK)
        return ERR_INPUT;
    for (int i = 0; i < body->n_fields; i++)
        if (apply_field(&d, &body->fields[i]) != ERR_OK) return ERR_INPUT;
    if (check_needs(&d) != ERR_OK) return ERR_INPUT;
    if (!d.has_model && choose_model(&d, str_of(validate_rules->models->rows[0].id)) != ERR_OK)
        return ERR_INPUT;
    if (draft_size_settle(&d) != ERR_OK || check_canvas(&d) != ERR_OK) return ERR_INPUT;
    settle_loop(&d);
    if (check_length(&d) != ERR_OK || draft_task_check(&d) != ERR_OK) return ERR_INPUT;
    sort_metadata(&out->job);
    return ERR_OK;
}

/* ---- slots ---- */

static const struct {
    const char *name;
    bool is_video;
    size_t at; /* of the asset in struct job */
} slots[VALIDATE_SLOT_COUNT] = {
    [VALIDATE_FIRST_FRAME] = {"input_reference", false, offsetof(struct job, input_reference)},
    [VALIDATE_LAST_FRAME] = {"last_frame", false, offsetof(struct job, last_frame)},
    [VALIDATE_VIDEO] = {"video", true, offsetof(struct job, task.video)},
    [VALIDATE_SECOND_VIDEO] = {"second_video", true, offsetof(struct job, task.second_video)},
    [VALIDATE_MASK] = {"mask", false, offsetof(struct job, task.mask)},
};

const char *validate_slot_name(enum validate_slot slot) {
    return slots[slot].name;
}

bool validate_slot_is_video(enum validate_slot slot) {
    return slots[slot].is_video;
}

struct job_asset *validate_slot_asset(struct job *job, enum validate_slot slot) {
    return (struct job_asset *)((char *)job + slots[slot].at);
}

/* ---- pictures and headers ---- */

enum err validate_image(struct job_asset *asset, const struct body_file *file, const char *param,
                        const char **extension, struct problem *p) {
    struct sniff_image img;
    if (!sniff_image(&img, file->head, file->n_head))
        return problem_set(p, PROBLEM_INVALID_MEDIA, param,
                           "the file in %s is %s; send a PNG, JPEG or WebP picture", param,
                           sniff_describe(file->head, file->n_head));
    bool is_known = img.width && img.height;
    if (is_known && (img.width > SNIFF_SIDE_MAX || img.height > SNIFF_SIDE_MAX ||
                     (int64_t)img.width * img.height > SNIFF_PIXELS_MAX))
        return problem_set(p, PROBLEM_INVALID_MEDIA, param,
                           "the picture in %s is %dx%d; at most %d pixels a side and %d in all",
                           param, img.width, img.height, SNIFF_SIDE_MAX, SNIFF_PIXELS_MAX);
    (void)str_copy(asset->type, sizeof(asset->type), str_of(img.type));
    asset->n_bytes = (int64_t)file->upload.size_bytes;
    *extension = img.extension;
    return ERR_OK;
}

enum err validate_video(struct job_asset *asset, const struct body_file *file, const char *param,
                        const char **extension, struct problem *p) {
    const struct sniff_video *kind = sniff_video(file->head, file->n_head);
    if (!kind)
        return problem_set(p, PROBLEM_INVALID_MEDIA, param,
                           "the file in %s is %s; send an MP4, MOV, WebM or Matroska video", param,
                           sniff_describe(file->head, file->n_head));
    (void)str_copy(asset->type, sizeof(asset->type), str_of(kind->type));
    asset->n_bytes = (int64_t)file->upload.size_bytes;
    *extension = kind->extension;
    return ERR_OK;
}

/* 90, 90s, 1m, 2h */
static bool parse_duration(struct str s, int64_t *seconds) {
    int64_t unit = 1;
    if (s.n && strchr("smh", s.p[s.n - 1])) {
        unit = s.p[s.n - 1] == 'h' ? 3600 : s.p[s.n - 1] == 'm' ? 60 : 1;
        s.n--;
    }
    if (!str_parse_i64(s, 1, 7 * 86400 / unit, seconds)) return false;
    *seconds *= unit;
    return true;
}

enum err validate_headers(struct job *job, const struct request *req, struct problem *p) {
    struct str after = request_header(req, "cancel-after");
    struct str priority = request_header(req, "x-fal-queue-priority");
    char name[16];
    if (after.n && !parse_duration(after, &job->deadline_seconds))
        return problem_set(p, PROBLEM_INVALID_VALUE, "Cancel-After",
                           "Cancel-After must be 1 s to 7 days, such as 90, 10m or 2h");
    if (priority.n &&
        (!str_copy(name, sizeof(name), priority) || !job_priority_find(name, &job->priority)))
        return problem_set(p, PROBLEM_INVALID_VALUE, "X-Fal-Queue-Priority",
                           "X-Fal-Queue-Priority must be low, normal or high");
    return ERR_OK;
}
