#include "server/draft.h"

#include "server/field.h"

const char *draft_keep(struct draft *d, struct str s) {
    return job_keep(&d->out->job, s.p, s.n);
}

enum err draft_no_memory(struct draft *d) {
    return problem_set(d->p, PROBLEM_UNAVAILABLE, "", "no memory for the request now; try again");
}

enum err draft_keep_text(struct draft *d, const struct body_field *f, size_t max_chars,
                         const char **out) {
    struct str s = {0};
    if (field_text(f, max_chars, &s, d->p) != ERR_OK) return ERR_INPUT;
    *out = draft_keep(d, s);
    return *out ? ERR_OK : draft_no_memory(d);
}

enum err draft_unsupported(struct draft *d, const struct body_field *f, const char *advice) {
    const char *name = field_name(f);
    return problem_set(d->p, PROBLEM_UNSUPPORTED_OPERATION, name, "%s is not supported: %s", name,
                       advice);
}
