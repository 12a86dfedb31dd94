/* draft_task.c - the fields that only some operations have: how a clip goes on, how it is edited.
 */
#include "common/base/limits.h"
#include "server/draft.h"
#include "server/field.h"

enum err draft_task_direction(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    char name[16];
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (str_copy(name, sizeof(name), s) && job_direction_find(name, &d->out->job.task.direction))
        return ERR_OK;
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "direction",
                       "direction is \"%.*s\"; must be forward, backward or both",
                       (int)(s.n < 40 ? s.n : 40), s.p);
}

enum err draft_task_method(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    char name[16];
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (str_copy(name, sizeof(name), s) && job_method_find(name, &d->out->job.task.method))
        return ERR_OK;
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "method",
                       "method is \"%.*s\"; must be sdedit or flowedit", (int)(s.n < 40 ? s.n : 40),
                       s.p);
}

enum err draft_task_context(struct draft *d, const struct body_field *f) {
    return field_real(f, 0.05, 10, &d->out->job.task.context_seconds, d->p);
}

enum err draft_task_stitch(struct draft *d, const struct body_field *f) {
    bool v = true;
    if (field_bool(f, &v, d->p) != ERR_OK) return ERR_INPUT;
    d->out->job.task.is_bare = !v;
    return ERR_OK;
}

enum err draft_task_strength(struct draft *d, const struct body_field *f) {
    return field_real(f, 0.01, 1, &d->out->job.task.strength, d->p);
}

enum err draft_task_old_prompt(struct draft *d, const struct body_field *f) {
    return draft_keep_text(d, f, LIMIT_PROMPT_CHARS, &d->out->job.task.old_prompt);
}

enum err draft_task_start(struct draft *d, const struct body_field *f) {
    return field_real(f, 0, LIMIT_STITCHED_SECONDS, &d->out->job.task.from_seconds, d->p);
}

enum err draft_task_end(struct draft *d, const struct body_field *f) {
    return field_real(f, 0.01, LIMIT_STITCHED_SECONDS, &d->out->job.task.to_seconds, d->p);
}

enum err draft_task_loop(struct draft *d, const struct body_field *f) {
    return field_bool(f, &d->out->job.task.is_loop, d->p);
}

static enum err check_extend(struct draft *d) {
    const struct job_task *t = &d->out->job.task;
    if (t->direction == JOB_BOTH && t->is_bare)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "stitch",
                           "stitch is false with direction both; the two new parts belong to the "
                           "clip between them: ask for each direction by itself");
    return ERR_OK;
}

static enum err check_edit(struct draft *d) {
    const struct job_task *t = &d->out->job.task;
    bool has_part =
        d->out->source[VALIDATE_MASK].is_given || t->from_seconds > 0 || t->to_seconds > 0;
    if (t->to_seconds > 0 && t->to_seconds <= t->from_seconds)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "end_seconds",
                           "end_seconds is %g; must be above start_seconds, which is %g",
                           t->to_seconds, t->from_seconds);
    if (has_part && t->method == JOB_FLOWEDIT)
        return problem_set(
            d->p, PROBLEM_INVALID_VALUE, "method",
            "method flowedit edits the whole clip; leave out mask, start_seconds and "
            "end_seconds, or use sdedit");
    if (t->old_prompt[0] && t->method != JOB_FLOWEDIT)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "source_prompt",
                           "source_prompt is read by method flowedit only");
    return ERR_OK;
}

static enum err check_loop(struct draft *d) {
    const struct validate_result *r = d->out;
    if (r->job.task.is_loop &&
        (r->source[VALIDATE_FIRST_FRAME].is_given || r->source[VALIDATE_LAST_FRAME].is_given))
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "loop",
                           "a clip that loops has no first and no last frame; leave out the "
                           "pictures, or make the finished clip loop with /v1/videos/loops");
    return ERR_OK;
}

enum err draft_task_check(struct draft *d) {
    switch (d->out->job.operation) {
    case JOB_EXTEND: return check_extend(d);
    case JOB_EDIT: return check_edit(d);
    default: return check_loop(d);
    }
}
