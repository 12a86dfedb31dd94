#include "server/source.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/queue_view.h"
#include "common/receipt.h"
#include "server/files.h"

/* What the steps share. */
struct resolve {
    struct server *s;
    struct request *req;
    struct body *body;
    struct validate_result *asked;
    struct problem *p;
};

static enum err note_failure(struct resolve *r, const struct fail *f) {
    server_note_fail(r->req, f, r->p);
    return ERR_INPUT;
}

/* ---- earlier videos ---- */

static enum err check_state(const struct queue_job *q, const char *param, struct problem *p) {
    if (q->state == JOB_STATE_SUCCEEDED && !q->gone_ms) return ERR_OK;
    if (q->state == JOB_STATE_SUCCEEDED)
        return problem_set(p, PROBLEM_VIDEO_EXPIRED, param,
                           "the file of %s has expired; make the video again", q->id);
    return problem_set(
        p, PROBLEM_SOURCE_NOT_COMPLETED, param, "%s is %s; %s", q->id, job_state_status(q->state),
        job_state_is_ended(q->state) ? "it can be no source" : "ask again when it is completed");
}

/* Words of the source that the client did not repeat. */
static enum err borrow_words(struct job *job, const struct queue_job *q, struct fail *f) {
    struct job old;
    enum err rc = job_parse(&old, q->spec, strlen(q->spec), f);
    const char *words = rc == ERR_OK ? job_keep(job, old.prompt, strlen(old.prompt)) : NULL;
    job_free(&old);
    if (rc != ERR_OK) return rc;
    if (!words) return FAIL(f, ERR_NOMEM, "no memory for the words of the source");
    bool may_be_silent = job->operation == JOB_CONNECT || job->operation == JOB_LOOP;
    if (may_be_silent && !job->prompt[0]) job->prompt = words;
    if (job->task.method == JOB_FLOWEDIT && !job->task.old_prompt[0]) job->task.old_prompt = words;
    return ERR_OK;
}

static enum err read_result(struct job_asset *a, const struct queue_job *q, struct fail *f) {
    struct receipt receipt;
    enum err rc = receipt_parse(&receipt, q->result, strlen(q->result), f);
    if (rc != ERR_OK) return rc;
    const struct receipt_object *video = &receipt.objects[RECEIPT_VIDEO];
    memcpy(a->sha256, video->sha256, sizeof(a->sha256));
    memcpy(a->type, video->type, sizeof(a->type));
    memcpy(a->key, video->key, sizeof(a->key));
    (void)str_copy(a->video_id, sizeof(a->video_id), str_of(q->id));
    a->n_bytes = video->n_bytes;
    a->width = receipt.width;
    a->height = receipt.height;
    a->n_frames = receipt.num_frames;
    a->fps = receipt.fps;
    return ERR_OK;
}

static enum err take_video(struct resolve *r, struct redis *redis, enum validate_slot slot) {
    const struct validate_source *in = &r->asked->source[slot];
    struct job_asset *asset = validate_slot_asset(&r->asked->job, slot);
    struct queue_view view = {0};
    struct fail f = {0};
    enum err rc = queue_view_get(redis, &view, in->id, r->req->tenant, &f);
    if (rc == ERR_NOT_FOUND)
        rc = problem_set(r->p, PROBLEM_VIDEO_NOT_FOUND, in->param, "there is no video %s", in->id);
    else if (rc != ERR_OK)
        rc = note_failure(r, &f);
    else if ((rc = check_state(&view.job, in->param, r->p)) == ERR_OK) {
        rc = read_result(asset, &view.job, &f);
        if (rc == ERR_OK && slot == VALIDATE_VIDEO)
            rc = borrow_words(&r->asked->job, &view.job, &f);
        if (rc != ERR_OK) rc = note_failure(r, &f);
    }
    queue_view_free(&view);
    return rc;
}

/* An uploaded file must be of the kind that its place needs. */
static enum err take_file(struct resolve *r, struct redis *redis, enum validate_slot slot) {
    const struct validate_source *in = &r->asked->source[slot];
    struct job_asset *asset = validate_slot_asset(&r->asked->job, slot);
    struct fail f = {0};
    enum err rc = files_find(redis, asset, in->id, r->req->tenant, &f);
    if (rc == ERR_NOT_FOUND)
        return problem_set(r->p, PROBLEM_NOT_FOUND, in->param, "there is no file %s", in->id);
    if (rc != ERR_OK) return note_failure(r, &f);
    bool is_video = strncmp(asset->type, "video/", 6) == 0;
    if (is_video == validate_slot_is_video(slot)) return ERR_OK;
    return problem_set(r->p, PROBLEM_INVALID_MEDIA, in->param, "%s is %s; a %s is needed", in->id,
                       asset->type, is_video ? "picture" : "video");
}

static enum err take_ids(struct resolve *r) {
    struct redis *redis = NULL;
    struct fail f = {0};
    enum err rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < VALIDATE_SLOT_COUNT; i++) {
        const struct validate_source *in = &r->asked->source[i];
        if (!in->is_given || !in->id) continue;
        if (!redis && server_lend(r->s, r->req, &redis, &f) != ERR_OK) return note_failure(r, &f);
        bool is_file = strncmp(in->id, "file-", 5) == 0;
        rc = is_file ? take_file(r, redis, (enum validate_slot)i)
                     : take_video(r, redis, (enum validate_slot)i);
    }
    server_give(r->s, r->req, redis);
    return rc;
}

/* ---- files ---- */

static enum err store_file(struct resolve *r, enum validate_slot slot) {
    struct validate_source *in = &r->asked->source[slot];
    struct job_asset *asset = validate_slot_asset(&r->asked->job, slot);
    struct store_object object;
    struct fail f = {0};
    const char *extension = NULL;
    if (!in->is_given || in->id) return ERR_OK;
    if (in->file < 0 && body_data_url(r->body, in->url, in->param, &in->file, r->p) != ERR_OK)
        return ERR_INPUT;
    struct body_file *file = &r->body->files[in->file];
    enum err rc = validate_slot_is_video(slot)
                      ? validate_video(asset, file, in->param, &extension, r->p)
                      : validate_image(asset, file, in->param, &extension, r->p);
    if (rc != ERR_OK) return rc;
    file->is_open = false;
    if (store_upload_end(&file->upload, &object, extension, &f) != ERR_OK)
        return note_failure(r, &f);
    memcpy(asset->sha256, object.sha256, sizeof(asset->sha256));
    return ERR_OK;
}

/* ---- what follows from them ---- */

static double seconds_of(const struct job_asset *a) {
    return a->fps > 0 ? a->n_frames / a->fps : 0;
}

static enum err settle(struct resolve *r) {
    struct job *job = &r->asked->job;
    const struct job_asset *video = &job->task.video;
    double old = seconds_of(video) + seconds_of(&job->task.second_video);
    int n_ends = job->operation == JOB_EXTEND && job->task.direction == JOB_BOTH ? 2 : 1;
    if (job->width == 0 && video->width > 0) job->width = video->width, job->height = video->height;
    if (job->operation == JOB_EDIT && old > 0) job->seconds = (int)fmax(1, round(old));
    if (job->operation == JOB_EDIT || job->operation == JOB_CREATE) return ERR_OK;
    double total = old + (double)n_ends * job->seconds;
    if (total > LIMIT_STITCHED_SECONDS)
        return problem_set(r->p, PROBLEM_INVALID_VALUE, "seconds",
                           "the clip would be %.1f seconds long; at most %d are possible", total,
                           LIMIT_STITCHED_SECONDS);
    return ERR_OK;
}

enum err source_resolve(struct server *s, struct request *req, struct body *body,
                        struct validate_result *asked, struct problem *p) {
    struct resolve r = {s, req, body, asked, p};
    if (take_ids(&r) != ERR_OK) return ERR_INPUT;
    for (int i = 0; i < VALIDATE_SLOT_COUNT; i++)
        if (store_file(&r, (enum validate_slot)i) != ERR_OK) return ERR_INPUT;
    return settle(&r);
}

enum err source_learn(struct server *s, struct request *req, struct validate_result *asked,
                      struct problem *p) {
    struct resolve r = {s, req, NULL, asked, p};
    return take_ids(&r) == ERR_OK ? settle(&r) : ERR_INPUT;
}
