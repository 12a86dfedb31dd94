#include "common/receipt.h"

#include <stddef.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/str.h"
#include "common/doc.h"

static const char *const variants[RECEIPT_VARIANT_COUNT] = {
    [RECEIPT_VIDEO] = "video",
    [RECEIPT_THUMBNAIL] = "thumbnail",
    [RECEIPT_SPRITESHEET] = "spritesheet",
};

const char *receipt_variant_name(enum receipt_variant v) {
    ASSERT(v >= 0 && v < RECEIPT_VARIANT_COUNT);
    return variants[v];
}

static void put_object(struct doc_out *o, const char *name, const struct receipt_object *obj) {
    if (!obj->key[0]) return;
    doc_open_object(o, name);
    doc_put_text(o, "key", obj->key);
    doc_put_int(o, "bytes", obj->n_bytes);
    doc_put_text(o, "sha256", obj->sha256);
    doc_put_text(o, "type", obj->type);
    doc_close_object(o);
}

/* Every figure is a row, so that writing and reading cannot differ. */
static const struct {
    const char *key;
    size_t at;
    bool is_wide;
} figures[] = {
#define FIGURE(name, is_wide) \
    { #name, offsetof(struct estimate_work, name), is_wide }
    FIGURE(width, false),       FIGURE(height, false),      FIGURE(n_frames, false),
    FIGURE(n_steps, false),     FIGURE(n_passes, false),    FIGURE(denoise_ms, true),
    FIGURE(decode_ms, true),    FIGURE(other_ms, true),     FIGURE(memory_bytes, true),
    FIGURE(multiple_px, false), FIGURE(frame_step, false),  FIGURE(fps, false),
    FIGURE(home_width, false),  FIGURE(home_height, false), FIGURE(home_steps, false),
#undef FIGURE
};

static void put_work(struct doc_out *o, const struct estimate_work *w) {
    doc_open_object(o, "work");
    for (int i = 0; i < COUNT_OF(figures); i++) {
        const char *at = (const char *)w + figures[i].at;
        doc_put_int(o, figures[i].key,
                    figures[i].is_wide ? *(const int64_t *)at : *(const int *)at);
    }
    doc_put_real(o, "guidance", w->guidance);
    doc_close_object(o);
}

static enum err read_work(struct estimate_work *w, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    if (!v) return ERR_OK;
    if (doc_type(v) != DOC_OBJECT) return FAIL(f, ERR_CORRUPT, "work is not an object");
    for (int i = 0; i < COUNT_OF(figures); i++) {
        char *at = (char *)w + figures[i].at;
        int64_t n = 0;
        TRY(doc_get_int(v, figures[i].key, 0, figures[i].is_wide ? INT64_MAX : 1 << 24, &n, f));
        if (figures[i].is_wide)
            *(int64_t *)at = n;
        else
            *(int *)at = (int)n;
    }
    TRY(doc_may_real(v, "guidance", 0, 1e6, &w->guidance, f));
out:
    return rc;
}

enum err receipt_write(const struct receipt *r, struct buf *out, struct fail *f) {
    struct doc_out o;
    ASSERT(r->objects[RECEIPT_VIDEO].key[0]);
    ASSERT(r->n_warnings >= 0 && r->n_warnings <= RECEIPT_WARNINGS_MAX);
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    for (int i = 0; i < RECEIPT_VARIANT_COUNT; i++)
        put_object(&o, variants[i], &r->objects[i]);
    doc_put_int(&o, "width", r->width);
    doc_put_int(&o, "height", r->height);
    doc_put_real(&o, "fps", r->fps);
    doc_put_int(&o, "num_frames", r->num_frames);
    doc_put_int(&o, "seed", r->seed);
    doc_put_int(&o, "compute_ms", r->compute_ms);
    if (r->seam_usual > 0) {
        doc_open_object(&o, "seam");
        doc_put_real(&o, "error", r->seam_error);
        doc_put_real(&o, "usual", r->seam_usual);
        doc_close_object(&o);
    }
    if (r->work.width > 0) put_work(&o, &r->work);
    doc_open_array(&o, "warnings");
    for (int i = 0; i < r->n_warnings; i++)
        doc_put_text(&o, NULL, r->warnings[i]);
    doc_close_array(&o);
    doc_close_object(&o);
    return doc_done(&o, f);
}

static enum err read_object(struct receipt_object *out, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    struct str key = {0}, sha = {0}, type = {0};
    if (doc_type(v) != DOC_OBJECT) return FAIL(f, ERR_CORRUPT, "a stored file is not an object");
    TRY(doc_get_text(v, "key", &key, f));
    TRY(doc_get_text(v, "sha256", &sha, f));
    TRY(doc_get_text(v, "type", &type, f));
    TRY(doc_get_int(v, "bytes", 0, INT64_MAX, &out->n_bytes, f));
    if (key.n == 0 || !str_copy(out->key, sizeof(out->key), key) ||
        !str_is_hex(sha, sizeof(out->sha256) - 1) ||
        !str_copy(out->sha256, sizeof(out->sha256), sha) ||
        !str_copy(out->type, sizeof(out->type), type))
        rc = FAIL(f, ERR_CORRUPT, "a stored file has a bad key, hash or type");
out:
    return rc;
}

static enum err read_warnings(struct receipt *r, const struct value *list, struct fail *f) {
    size_t n = list && doc_type(list) == DOC_ARRAY ? doc_size(list) : 0;
    if (n > RECEIPT_WARNINGS_MAX) return FAIL(f, ERR_CORRUPT, "there are %zu warnings", n);
    for (size_t i = 0; i < n; i++) {
        const struct value *w = doc_at(list, i);
        if (doc_type(w) != DOC_TEXT) return FAIL(f, ERR_CORRUPT, "a warning is not a text");
        (void)str_copy(r->warnings[r->n_warnings++], RECEIPT_WARNING_SIZE, doc_text(w));
    }
    return ERR_OK;
}

static enum err read_receipt(struct receipt *r, const struct value *v, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t width = 0, height = 0, n_frames = 0, seed = 0;
    if (doc_type(v) != DOC_OBJECT) return FAIL(f, ERR_CORRUPT, "the result is not an object");
    for (int i = 0; i < RECEIPT_VARIANT_COUNT; i++) {
        const struct value *obj = doc_find(v, variants[i]);
        if (obj) TRY(read_object(&r->objects[i], obj, f));
    }
    if (!r->objects[RECEIPT_VIDEO].key[0]) return FAIL(f, ERR_CORRUPT, "the result names no video");
    TRY(doc_get_int(v, "width", 1, 1 << 16, &width, f));
    TRY(doc_get_int(v, "height", 1, 1 << 16, &height, f));
    TRY(doc_get_int(v, "num_frames", 1, 1 << 24, &n_frames, f));
    TRY(doc_may_real(v, "fps", 0, 1e6, &r->fps, f));
    TRY(doc_may_int(v, "seed", 0, UINT32_MAX, &seed, f));
    TRY(doc_may_int(v, "compute_ms", 0, INT64_MAX, &r->compute_ms, f));
    r->width = (int)width;
    r->height = (int)height;
    r->num_frames = (int)n_frames;
    r->seed = (uint32_t)seed;
    const struct value *seam = doc_find(v, "seam");
    if (seam && doc_type(seam) == DOC_OBJECT) {
        TRY(doc_may_real(seam, "error", 0, 1, &r->seam_error, f));
        TRY(doc_may_real(seam, "usual", 0, 1, &r->seam_usual, f));
    }
    TRY(read_work(&r->work, doc_find(v, "work"), f));
    TRY(read_warnings(r, doc_find(v, "warnings"), f));
out:
    return rc;
}

enum err receipt_parse(struct receipt *r, const char *json, size_t n, struct fail *f) {
    struct doc *d = NULL;
    *r = (struct receipt){0};
    enum err rc = doc_parse(&d, (struct str){json, n}, RECEIPT_JSON_MAX, f);
    if (rc == ERR_OK) rc = read_receipt(r, doc_root(d), f);
    doc_free(d);
    if (rc == ERR_INPUT || rc == ERR_LIMIT) rc = ERR_CORRUPT;
    if (rc != ERR_OK && f) f->code = rc;
    return rc;
}
