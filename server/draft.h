/* draft.h - a job while the fields of its request pass by; the functions of validate.c's table.
 *
 * Each fills its part of the draft or says what to change. Pure; files are only named. */
#ifndef SERVER_DRAFT_H
#define SERVER_DRAFT_H

#include "server/operation.h"
#include "server/validate.h"

struct draft {
    struct validate_result *out;
    const struct body *body;
    const struct validate_rules *rules;
    struct problem *p;
    bool has_prompt, has_model, has_size, has_seconds;
    int64_t width, height; /* of the fields width and height; 0: not given */
    double shape;          /* of aspect_ratio; 0: not given */
    int n_lines;           /* of resolution */
};

/* A copy in the memory of the job; NULL when that is used up. */
const char *draft_keep(struct draft *d, struct str s);
MUST_CHECK enum err draft_keep_text(struct draft *d, const struct body_field *f, size_t max_chars,
                                    const char **out);
enum err draft_no_memory(struct draft *d);
/* An optional feature that does not exist here, at any value but its neutral one. */
enum err draft_unsupported(struct draft *d, const struct body_field *f, const char *advice);

/* ---- where pictures and clips come from: draft_source.c ---- */
enum err draft_source_first_frame(struct draft *d, const struct body_field *f);
enum err draft_source_image_url(struct draft *d, const struct body_field *f);
enum err draft_source_last_frame(struct draft *d, const struct body_field *f);
enum err draft_source_video(struct draft *d, const struct body_field *f);
enum err draft_source_second_video(struct draft *d, const struct body_field *f);
enum err draft_source_mask(struct draft *d, const struct body_field *f);
enum err draft_source_character(struct draft *d, const struct body_field *f);
/* The clip that the path of the request names. */
enum err draft_source_path(struct draft *d, struct str id);

/* ---- what to do with them: draft_task.c ---- */
enum err draft_task_direction(struct draft *d, const struct body_field *f);
enum err draft_task_context(struct draft *d, const struct body_field *f);
enum err draft_task_stitch(struct draft *d, const struct body_field *f);
enum err draft_task_strength(struct draft *d, const struct body_field *f);
enum err draft_task_method(struct draft *d, const struct body_field *f);
enum err draft_task_old_prompt(struct draft *d, const struct body_field *f);
enum err draft_task_start(struct draft *d, const struct body_field *f);
enum err draft_task_end(struct draft *d, const struct body_field *f);
enum err draft_task_loop(struct draft *d, const struct body_field *f);
/* ---- draft_size.c ---- */
enum err draft_size_aspect(struct draft *d, const struct body_field *f);
enum err draft_size_resolution(struct draft *d, const struct body_field *f);
/* Both together become width and height. */
enum err draft_size_settle(struct draft *d);

/* ---- stills: draft_image.c ---- */
enum err draft_image_n(struct draft *d, const struct body_field *f);
enum err draft_image_reply(struct draft *d, const struct body_field *f);
enum err draft_image_format(struct draft *d, const struct body_field *f);
enum err draft_image_background(struct draft *d, const struct body_field *f);
enum err draft_image_stream(struct draft *d, const struct body_field *f);
/* What no field can see alone. */
enum err draft_task_check(struct draft *d);

#endif
