#include "server/video.h"

#include <stdio.h>
#include <string.h>

#include "common/base/now.h"
#include "common/job.h"
#include "common/receipt.h"

/* Milliseconds as whole Unix seconds; 0 is null. */
static void put_time(struct doc_out *o, const char *key, int64_t ms) {
    if (ms > 0)
        doc_put_int(o, key, ms / 1000);
    else
        doc_put_null(o, key);
}

const char *video_error_code(const struct queue_job *q) {
    if (q->error_code[0]) return q->error_code;
    switch (q->state) {
    case JOB_STATE_CANCELED: return "cancelled";
    case JOB_STATE_EXPIRED: return "deadline_exceeded";
    case JOB_STATE_FAILED: return "internal_error";
    default: return NULL;
    }
}

static const char *error_text(const struct queue_job *q) {
    if (q->error_message[0]) return q->error_message;
    switch (q->state) {
    case JOB_STATE_CANCELED: return "The video was cancelled.";
    case JOB_STATE_EXPIRED: return "The video was not started before its deadline.";
    default: return "The video could not be made.";
    }
}

static void put_error(struct doc_out *o, const struct queue_job *q) {
    const char *code = video_error_code(q);
    if (!code) {
        doc_put_null(o, "error");
        return;
    }
    doc_open_object(o, "error");
    doc_put_text(o, "code", code);
    doc_put_text(o, "message", error_text(q));
    doc_close_object(o);
}

/* A clip that was made longer or anew is as long as it came out; before that, as its sources say.
 */
static int shown_seconds(const struct job *job, const struct receipt *r) {
    const struct job_asset *a = &job->task.video, *b = &job->task.second_video;
    double old = (a->fps > 0 ? a->n_frames / a->fps : 0) + (b->fps > 0 ? b->n_frames / b->fps : 0);
    int n_ends = job->task.direction == JOB_BOTH ? 2 : 1;
    if (job->operation == JOB_CREATE || job->operation == JOB_EDIT) return job->seconds;
    if (r->num_frames && r->fps > 0)
        old = r->num_frames / r->fps;
    else if (job->task.is_bare)
        old = job->seconds;
    else
        old += (double)n_ends * job->seconds;
    return old < 1 ? 1 : (int)(old + 0.5);
}

static void put_size(struct doc_out *o, const struct job *job, const struct receipt *r) {
    char text[32];
    int w = job->width > 0 ? job->width : r->width, h = job->width > 0 ? job->height : r->height;
    snprintf(text, sizeof(text), "%dx%d", w, h);
    doc_put_text(o, "size", w > 0 ? text : "auto");
}

/* The thirteen, in OpenAI's order. */
static void put_core(struct doc_out *o, const struct queue_job *q, const struct job *job,
                     const struct receipt *r) {
    char text[32];
    bool is_done = q->state == JOB_STATE_SUCCEEDED;
    doc_put_text(o, "id", q->id);
    doc_put_text(o, "object", "video");
    doc_put_text(o, "model", job->asked_model[0] ? job->asked_model : job->model);
    doc_put_text(o, "status", job_state_status(q->state));
    doc_put_int(o, "progress", is_done ? 100 : q->progress > 99 ? 99 : q->progress);
    doc_put_int(o, "created_at", q->created_ms / 1000);
    put_time(o, "completed_at", is_done ? q->done_ms : 0);
    put_time(o, "expires_at", q->expires_ms);
    doc_put_text(o, "prompt", job->prompt);
    put_size(o, job, r);
    snprintf(text, sizeof(text), "%d", shown_seconds(job, r));
    doc_put_text(o, "seconds", text);
    bool is_remix = job->operation == JOB_EDIT && job->task.video.video_id[0];
    doc_put_text(o, "remixed_from_video_id", is_remix ? job->task.video.video_id : NULL);
    put_error(o, q);
}

static void put_progress(struct doc_out *o, const struct queue_job *q) {
    bool is_running = q->state == JOB_STATE_RUNNING;
    bool is_ended = job_state_is_ended(q->state);
    doc_put_text(o, "phase", is_ended ? "done" : is_running && q->phase[0] ? q->phase : "queued");
    if (is_running && q->n_steps > 0) {
        doc_put_int(o, "step", q->step);
        doc_put_int(o, "total_steps", q->n_steps);
    } else {
        doc_put_null(o, "step");
        doc_put_null(o, "total_steps");
    }
    if (q->queue_position >= 0)
        doc_put_int(o, "queue_position", q->queue_position);
    else
        doc_put_null(o, "queue_position");
    if (is_running && q->eta_ms >= 0)
        doc_put_real(o, "eta_seconds", (double)q->eta_ms / 1000.0);
    else
        doc_put_null(o, "eta_seconds");
    put_time(o, "started_at", q->started_ms);
    put_time(o, "cancelled_at", q->state == JOB_STATE_CANCELED ? q->done_ms : 0);
    put_time(o, "cancel_requested_at", q->cancel_ms);
}

static void put_metadata(struct doc_out *o, const struct value *spec) {
    const struct value *pairs = doc_find(spec, "metadata");
    if (pairs) {
        doc_put_value(o, "metadata", pairs);
        return;
    }
    doc_open_object(o, "metadata");
    doc_close_object(o);
}

static void put_warnings(struct doc_out *o, const struct video_extra *extra,
                         const struct receipt *r) {
    doc_open_array(o, "warnings");
    for (int i = 0; extra && i < extra->n_warnings; i++)
        doc_put_text(o, NULL, extra->warnings[i]);
    for (int i = 0; i < r->n_warnings; i++)
        doc_put_text(o, NULL, r->warnings[i]);
    doc_close_array(o);
}

/* Our keys. What was really made stands in the receipt, and wins over what was asked. */
static void put_extensions(struct doc_out *o, const struct queue_job *q, const struct job *job,
                           const struct receipt *r) {
    int n_frames = r->num_frames ? r->num_frames : job->num_frames;
    double fps = r->fps > 0 ? r->fps : job->fps;
    doc_put_text(o, "operation", job_operation_name(job->operation));
    put_progress(o, q);
    doc_put_text(o, "priority", job_priority_name(job->priority));
    doc_put_int(o, "seed", job->seed);
    if (fps > 0)
        doc_put_real(o, "fps", fps);
    else
        doc_put_null(o, "fps");
    if (n_frames)
        doc_put_int(o, "num_frames", n_frames);
    else
        doc_put_null(o, "num_frames");
    doc_put_text(o, "revised_prompt", job->revised_prompt[0] ? job->revised_prompt : NULL);
    doc_open_array(o, "source_video_ids");
    if (job->task.video.video_id[0]) doc_put_text(o, NULL, job->task.video.video_id);
    if (job->task.second_video.video_id[0]) doc_put_text(o, NULL, job->task.second_video.video_id);
    doc_close_array(o);
    if (r->num_frames) {
        doc_open_object(o, "usage");
        doc_put_real(o, "compute_seconds", (double)r->compute_ms / 1000.0);
        doc_close_object(o);
    } else {
        doc_put_null(o, "usage");
    }
    if (r->seam_usual > 0) {
        doc_open_object(o, "loop");
        doc_put_real(o, "seam_error", r->seam_error);
        doc_put_real(o, "neighbour_error", r->seam_usual);
        doc_close_object(o);
    }
    doc_put_null(o, "url");
}

static enum err put_all(struct doc_out *o, const char *key, const struct queue_job *q,
                        const struct job *job, const struct video_extra *extra, struct fail *f) {
    struct receipt receipt = {0};
    struct doc *spec = NULL;
    enum err rc = ERR_OK;
    if (q->result[0]) TRY(receipt_parse(&receipt, q->result, strlen(q->result), f));
    TRY(doc_parse(&spec, str_of(q->spec), JOB_JSON_MAX, f));
    doc_open_object(o, key);
    put_core(o, q, job, &receipt);
    put_extensions(o, q, job, &receipt);
    put_metadata(o, doc_root(spec));
    put_warnings(o, extra, &receipt);
    doc_close_object(o);
out:
    doc_free(spec);
    return rc;
}

enum err video_put(struct doc_out *o, const char *key, const struct queue_job *q,
                   const struct video_extra *extra, struct fail *f) {
    struct job job;
    enum err rc = job_parse(&job, q->spec, strlen(q->spec), f);
    if (rc == ERR_OK) rc = put_all(o, key, q, &job, extra, f);
    job_free(&job);
    return rc;
}
