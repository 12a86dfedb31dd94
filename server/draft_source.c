/* draft_source.c - pictures and clips of a request: a file part, a data: URL, an earlier video or
 * an uploaded file. Here they are only named; server/source.c looks at them. */
#include <string.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/limits.h"
#include "server/draft.h"
#include "server/field.h"

/* How a field may say where its bytes are: member -> what it holds. */
enum way { WAY_URL, WAY_VIDEO, WAY_FILE };

static const struct member {
    const char *name;
    enum way way;
    bool of_picture, of_video;
} members[] = {
    {"image_url", WAY_URL, true, false},
    {"url", WAY_URL, false, true},
    {"id", WAY_VIDEO, false, true},
    {"file_id", WAY_FILE, true, true},
};

static enum err take(struct draft *d, enum validate_slot slot, struct validate_source in,
                     const char *name) {
    struct validate_source *have = &d->out->source[slot];
    in.param = draft_keep(d, str_of(name));
    if (!in.param) return draft_no_memory(d);
    if (have->is_given)
        return problem_set(d->p, PROBLEM_INVALID_VALUE, name,
                           "%s is given as %s and as %s; send one", validate_slot_name(slot),
                           have->param, in.param);
    in.is_given = true;
    *have = in;
    return ERR_OK;
}

static enum err take_url(struct draft *d, enum validate_slot slot, const struct body_field *f) {
    struct str s = {0};
    if (field_text(f, LIMIT_DATA_URL_CHARS, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (s.n < 5 || !str_eq_nocase((struct str){s.p, 5}, "data:"))
        return draft_unsupported(d, f,
                                 "addresses are not fetched; send the bytes as a data: URL or as "
                                 "a file part");
    return take(d, slot, (struct validate_source){.file = -1, .url = s}, field_name(f));
}

static enum err take_id(struct draft *d, enum validate_slot slot, const struct body_field *f,
                        enum way way) {
    struct str s = {0};
    const char *prefix = way == WAY_VIDEO ? "video_" : "file-", *name = field_name(f);
    if (field_text(f, 128, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (!id_is_valid(s, prefix))
        return problem_set(d->p, way == WAY_VIDEO ? PROBLEM_VIDEO_NOT_FOUND : PROBLEM_NOT_FOUND,
                           name, "%s is no id: they look like %s and 32 digits", name, prefix);
    const char *id = draft_keep(d, s);
    if (!id) return draft_no_memory(d);
    return take(d, slot, (struct validate_source){.file = -1, .id = id}, name);
}

static const struct member *find_member(const char *name, bool is_video) {
    for (int i = 0; i < COUNT_OF(members); i++)
        if (strcmp(members[i].name, name) == 0 &&
            (is_video ? members[i].of_video : members[i].of_picture))
            return &members[i];
    return NULL;
}

/* {"width","height","seconds"} in the place of a file that is not there yet. */
static enum err take_facts(struct draft *d, enum validate_slot slot, const struct body_field *f,
                           bool *is_taken) {
    struct job_asset *a = validate_slot_asset(&d->out->job, slot);
    struct body_field loose = *f;
    double seconds = 0;
    int64_t side = 0;
    enum err rc = ERR_OK;
    loose.is_loose = true;
    *is_taken = true;
    if (strcmp(f->member, "width") == 0 || strcmp(f->member, "height") == 0) {
        rc = field_int(f, 1, 1 << 16, &side, d->p);
        *(f->member[0] == 'w' ? &a->width : &a->height) = (int)side;
    } else if (strcmp(f->member, "seconds") == 0) {
        rc = field_real(&loose, 0.01, LIMIT_STITCHED_SECONDS, &seconds, d->p);
        a->n_frames = (int)(seconds * 1000);
        a->fps = 1000;
    } else {
        *is_taken = false;
    }
    if (*is_taken)
        d->out->source[slot] = (struct validate_source){
            .is_given = true, .file = -1, .param = validate_slot_name(slot)};
    return rc;
}

static enum err take_field(struct draft *d, enum validate_slot slot, const struct body_field *f) {
    const char *name = field_name(f);
    bool is_video = validate_slot_is_video(slot);
    const char *needs = is_video ? "id, file_id or url" : "image_url or file_id";
    if (f->kind == BODY_FILE && f->shape == BODY_WHOLE)
        return take(d, slot, (struct validate_source){.file = f->file}, name);
    if (f->shape == BODY_MEMBER && d->rules->is_estimate) {
        bool is_taken;
        enum err rc = take_facts(d, slot, f, &is_taken);
        if (rc != ERR_OK || is_taken) return rc;
    }
    if (f->shape == BODY_MEMBER) {
        const struct member *m = find_member(f->member, is_video);
        if (!m)
            return problem_set(d->p, PROBLEM_UNKNOWN_PARAMETER, name,
                               "%.40s has no member %.40s; it takes %s", f->name, f->member, needs);
        return m->way == WAY_URL ? take_url(d, slot, f) : take_id(d, slot, f, m->way);
    }
    if (f->kind == BODY_EMPTY)
        return problem_set(d->p, PROBLEM_MISSING_PARAMETER, name, "%s needs %s", name, needs);
    return problem_set(d->p, PROBLEM_INVALID_TYPE, name,
                       "Invalid type for '%s': expected a file or an object with %s.", name, needs);
}

enum err draft_source_first_frame(struct draft *d, const struct body_field *f) {
    return take_field(d, VALIDATE_FIRST_FRAME, f);
}

enum err draft_source_image_url(struct draft *d, const struct body_field *f) {
    return take_url(d, VALIDATE_FIRST_FRAME, f);
}

enum err draft_source_last_frame(struct draft *d, const struct body_field *f) {
    return take_field(d, VALIDATE_LAST_FRAME, f);
}

enum err draft_source_video(struct draft *d, const struct body_field *f) {
    return take_field(d, VALIDATE_VIDEO, f);
}

enum err draft_source_second_video(struct draft *d, const struct body_field *f) {
    return take_field(d, VALIDATE_SECOND_VIDEO, f);
}

enum err draft_source_mask(struct draft *d, const struct body_field *f) {
    return take_field(d, VALIDATE_MASK, f);
}

enum err draft_source_path(struct draft *d, struct str id) {
    if (!id_is_valid(id, "video_"))
        return problem_set(d->p, PROBLEM_VIDEO_NOT_FOUND, "id", "there is no video with this id");
    const char *kept = draft_keep(d, id);
    if (!kept) return draft_no_memory(d);
    return take(d, VALIDATE_VIDEO, (struct validate_source){.file = -1, .id = kept}, "id");
}

/* A list of {"id"}, or of the ids themselves. */
enum err draft_source_character(struct draft *d, const struct body_field *f) {
    struct body_field plain = *f;
    struct str s = {0};
    if (f->kind == BODY_EMPTY) return ERR_OK;
    plain.shape = BODY_WHOLE;
    if (f->shape != BODY_ELEMENT || (f->member[0] && strcmp(f->member, "id") != 0))
        return problem_set(d->p, PROBLEM_INVALID_TYPE, "characters",
                           "characters must be a list of objects with an id");
    if (field_text(&plain, 128, &s, d->p) != ERR_OK) return ERR_INPUT;
    if (!id_is_valid(s, "char_"))
        return problem_set(d->p, PROBLEM_NOT_FOUND, "characters",
                           "that is no id of a character: they look like char_ and 32 digits");
    const char *id = draft_keep(d, s);
    if (!id) return draft_no_memory(d);
    if (d->out->n_characters++ == 0) d->out->character = id;
    return ERR_OK;
}
