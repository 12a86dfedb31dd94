/* draft_image.c - the fields of a request for stills. */
#include "server/draft.h"
#include "server/field.h"

enum err draft_image_n(struct draft *d, const struct body_field *f) {
    int64_t n = 1;
    if (field_int(f, 1, VALIDATE_IMAGES_MAX, &n, d->p) != ERR_OK) return ERR_INPUT;
    d->out->n_images = (int)n;
    return ERR_OK;
}

enum err draft_image_reply(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    d->out->wants_url = str_eq(s, "url");
    if (d->out->wants_url || str_eq(s, "b64_json")) return ERR_OK;
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "response_format",
                       "response_format must be b64_json or url");
}

enum err draft_image_format(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    char name[16];
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (str_eq(s, "jpeg")) return draft_unsupported(d, f, "pictures are made as png or webp");
    if (str_copy(name, sizeof(name), s) && job_format_find(name, &d->out->job.format) &&
        d->out->job.format != JOB_MP4)
        return ERR_OK;
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "output_format",
                       "output_format must be png or webp");
}

enum err draft_image_background(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (str_eq(s, "auto") || str_eq(s, "opaque")) return ERR_OK;
    if (str_eq(s, "transparent")) return draft_unsupported(d, f, "pictures have no alpha channel");
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "background",
                       "background must be auto or opaque");
}

enum err draft_image_stream(struct draft *d, const struct body_field *f) {
    return field_bool(f, &d->out->wants_stream, d->p);
}
