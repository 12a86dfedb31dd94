/* draft_size.c - a size as shape and lines: aspect_ratio 16:9, resolution 720p. */
#include "server/draft.h"
#include "server/field.h"

enum { LINES_USUAL = 720 };

static const struct {
    const char *name;
    int lines; /* of the shorter side */
} resolutions[] = {{"240p", 240}, {"360p", 360}, {"480p", 480},
                   {"540p", 540}, {"720p", 720}, {"1080p", 1080}};

enum err draft_size_aspect(struct draft *d, const struct body_field *f) {
    struct str s = {0}, w;
    int64_t across, down;
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    struct str rest = s;
    if (!str_split(&rest, ':', &w) || !str_parse_i64(w, 1, 100, &across) ||
        !str_parse_i64(rest, 1, 100, &down) || across > 8 * down || down > 8 * across)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "aspect_ratio",
                           "aspect_ratio must be WIDTH:HEIGHT, such as 16:9, 1:1 or 9:16; at most "
                           "8:1 and 1:8");
    d->shape = (double)across / (double)down;
    return ERR_OK;
}

enum err draft_size_resolution(struct draft *d, const struct body_field *f) {
    struct str s = {0};
    if (field_text(f, 64, &s, d->p) != ERR_OK) return ERR_INPUT;
    for (size_t i = 0; i < sizeof(resolutions) / sizeof(resolutions[0]); i++)
        if (str_eq(s, resolutions[i].name)) d->n_lines = resolutions[i].lines;
    if (d->n_lines > 0) return ERR_OK;
    return problem_set(d->p, PROBLEM_INVALID_VALUE, "resolution",
                       "resolution must be 240p, 360p, 480p, 540p, 720p or 1080p");
}

/* The shorter side has the lines; the other one is even. */
enum err draft_size_settle(struct draft *d) {
    double shape = d->shape > 0 ? d->shape : 16.0 / 9;
    int lines = d->n_lines > 0 ? d->n_lines : LINES_USUAL;
    if (d->shape <= 0 && d->n_lines == 0) return ERR_OK;
    if (d->has_size || d->width > 0)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, "size",
                           "send size, or aspect_ratio and resolution, not both");
    double longer = shape >= 1 ? lines * shape : lines / shape;
    int even = (int)(longer / 2 + 0.5) * 2;
    d->width = shape >= 1 ? even : lines;
    d->height = shape >= 1 ? lines : even;
    return ERR_OK;
}
