#include "eval/floor.h"

#include <math.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "common/doc.h"
#include "engine/file.h"

enum { FILE_BYTES_MAX = 1 << 16 };

static struct report_tally tally(const struct score *scores, int n_scores, enum label_head h) {
    struct report_tally t = {0};
    for (int i = 0; i < n_scores; i++) {
        const struct score *s = &scores[i];
        if (!s->row->in_ci || s->want.value[h] == LABEL_OPEN) continue;
        t.n++;
        t.made += s->made.view.label.value[h] == s->want.value[h];
    }
    return t;
}

enum err floor_json(const struct score *scores, int n_scores, const struct report *report,
                    const char *hash, struct buf *out, struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "model", hash);
    doc_put_real(&o, "share", FLOOR_SHARE);
    doc_open_object(&o, "floors");
    for (int h = 0; h < LABEL_HEAD_COUNT; h++) {
        struct report_tally t = tally(scores, n_scores, (enum label_head)h);
        if (t.n < REPORT_COUNT_MIN || !report_is_usable(&report->head[h])) continue;
        doc_put_real(&o, label_head_name((enum label_head)h),
                     floor(1000 * FLOOR_SHARE * t.made / t.n) / 1000);
    }
    doc_close_object(&o);
    doc_close_object(&o);
    enum err rc = doc_done(&o, f);
    return rc == ERR_OK ? buf_add_str(out, "\n", f) : rc;
}

struct check {
    const struct score *scores;
    int n_scores, n_heads;
};

static enum err check_head(void *ctx, const char *key, const struct value *v, struct fail *f) {
    struct check *c = ctx;
    int h = label_head_find(key);
    if (h < 0 || (doc_type(v) != DOC_REAL && doc_type(v) != DOC_INT))
        return FAIL(f, ERR_CORRUPT, "floors: %.40s is no head with a number", key);
    struct report_tally t = tally(c->scores, c->n_scores, (enum label_head)h);
    double share = t.n ? (double)t.made / t.n : 0, least = doc_real(v);
    printf("%-12s %.3f (%d of %d), at least %.3f\n", key, share, t.made, t.n, least);
    c->n_heads++;
    if (share >= least) return ERR_OK;
    return FAIL(f, ERR_CONFLICT, "%s is %.3f over %d prompts, at least %.3f is needed", key, share,
                t.n, least);
}

static enum err check_doc(const struct value *root, const char *path, struct check *c,
                          const char *hash, struct fail *f) {
    enum err rc = ERR_OK;
    struct str model;
    TRY(doc_get_text(root, "model", &model, f));
    if (!str_eq(model, hash))
        return FAIL(f, ERR_CONFLICT,
                    "%.80s has the floors of model %.*s, this is %s: run `make eval` (or "
                    "EVAL=ci for the floors alone)",
                    path, (int)model.n, model.p, hash);
    const struct value *floors = doc_find(root, "floors");
    if (!floors || doc_type(floors) != DOC_OBJECT)
        return FAIL(f, ERR_CORRUPT, "%.120s has no floors", path);
    TRY(doc_each(floors, check_head, c, f));
    if (c->n_heads == 0) rc = FAIL(f, ERR_CORRUPT, "%.120s has no floors", path);
out:
    return rc;
}

enum err floor_check(const char *path, const struct score *scores, int n_scores, const char *hash,
                     struct fail *f) {
    enum err rc = ERR_OK;
    char *text = NULL;
    size_t n;
    struct doc *doc = NULL;
    struct check c = {scores, n_scores, 0};
    TRY(file_take(&text, &n, path, FILE_BYTES_MAX, f));
    TRY(doc_parse(&doc, (struct str){text, n}, FILE_BYTES_MAX, f));
    TRY(check_doc(doc_root(doc), path, &c, hash, f));
out:
    doc_free(doc);
    mem_free(text);
    return rc;
}
