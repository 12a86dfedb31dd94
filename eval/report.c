#include "eval/report.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/doc.h"
#include "eval/pair.h"

static const char *const names[REPORT_FIGURE_COUNT] = {
    "environment", "colour",     "class",       "camera",     "action",     "layout",
    "held_out",    "permanence", "persistence", "ego_motion", "stable_60s", "few_step"};

/* Figures that one head answers, or a coarser one where the first is not sure enough on renders. */
static const struct asked {
    enum report_figure figure;
    enum label_head head, coarser;
} asked[] = {
    {REPORT_ENVIRONMENT, LABEL_ENVIRONMENT, LABEL_ENVIRONMENT},
    {REPORT_COLOUR, LABEL_COLOUR, LABEL_COLOUR},
    {REPORT_CLASS, LABEL_CLASS, LABEL_CLASS},
    {REPORT_CAMERA, LABEL_CAMERA_KIND, LABEL_CAMERA},
    {REPORT_ACTION, LABEL_ACTION, LABEL_MOTION},
    {REPORT_LAYOUT, LABEL_LAYOUT, LABEL_LAYOUT},
};

const char *report_name(enum report_figure figure) {
    return names[figure];
}

int report_is_usable(const struct report_tally *t) {
    return t->n >= REPORT_COUNT_MIN && t->render >= REPORT_USABLE * t->n;
}

static enum report_state state_of(const struct report_tally *t) {
    if (t->n < REPORT_COUNT_MIN) return REPORT_TOO_FEW;
    return report_is_usable(t) ? REPORT_GOOD : REPORT_NOT_USABLE;
}

double report_relative(const struct report_value *v) {
    return v->state == REPORT_GOOD ? (double)v->tally.made / v->tally.render : NAN;
}

static int is_held_out(const struct score *s) {
    return s->row->opts.split == WORLD_SPLIT_HELD_OUT;
}

static void count(struct report_tally *t, const struct score *s, enum label_head h) {
    if (s->want.value[h] == LABEL_OPEN) return;
    t->n++;
    t->render += s->render.view.label.value[h] == s->want.value[h];
    t->made += s->made.view.label.value[h] == s->want.value[h];
}

static void set(struct report *r, enum report_figure figure, const struct report_tally *t,
                const char *judge) {
    r->figure[figure] = (struct report_value){state_of(t), *t, judge};
}

/* The head that answers row i of `asked`. */
static enum label_head head_of(const struct report *r, int i) {
    return report_is_usable(&r->head[asked[i].head]) ? asked[i].head : asked[i].coarser;
}

static void set_heads(struct report *r) {
    for (int i = 0; i < r->n_scores; i++)
        for (int h = 0; h < LABEL_HEAD_COUNT; h++)
            if (r->score[i].row->task == SUITE_TEXT && !is_held_out(&r->score[i]))
                count(&r->head[h], &r->score[i], (enum label_head)h);
    for (int i = 0; i < COUNT_OF(asked); i++) {
        enum label_head h = head_of(r, i);
        set(r, asked[i].figure, &r->head[h], label_head_name(h));
    }
}

/* All heads that can be used, taken together, on pairs that training never showed. */
static void set_held_out(struct report *r) {
    struct report_tally t = {0};
    for (int i = 0; i < r->n_scores; i++)
        for (int k = 0; k < COUNT_OF(asked); k++)
            if (r->score[i].row->task == SUITE_TEXT && is_held_out(&r->score[i]) &&
                report_is_usable(&r->head[head_of(r, k)]))
                count(&t, &r->score[i], head_of(r, k));
    set(r, REPORT_HELD_OUT, &t, "all usable heads");
}

/* Here many steps stand where the render stands elsewhere. */
static void set_few(struct report *r) {
    struct report_tally t = {0};
    for (int i = 0; i < r->n_scores; i++) {
        const struct score *s = &r->score[i];
        for (int k = 0; k < COUNT_OF(asked) && s->has_few; k++) {
            enum label_head h = head_of(r, k);
            if (s->want.value[h] == LABEL_OPEN || !report_is_usable(&r->head[h])) continue;
            t.n++;
            t.render += s->many.value[h] == s->want.value[h];
            t.made += s->few.value[h] == s->want.value[h];
        }
    }
    set(r, REPORT_FEW_STEP, &t, "all usable heads");
    if (t.n >= REPORT_COUNT_MIN && t.render > 0) r->figure[REPORT_FEW_STEP].state = REPORT_GOOD;
}

/* A question that no head answers well enough on renders goes to a judge that was calibrated on
 * more of them than stand here. */
static void set_calibrated(struct report *r, enum report_figure figure,
                           const struct report_tally *t, const char *judge, double accuracy) {
    set(r, figure, t, judge);
    if (r->figure[figure].state != REPORT_TOO_FEW)
        r->figure[figure].state = accuracy >= REPORT_USABLE ? REPORT_GOOD : REPORT_NOT_USABLE;
}

static void set_geometry(struct report *r, enum report_figure figure, enum judge_name name) {
    const struct judge *j = judge_get(name);
    set_calibrated(r, figure, &r->geometry[name], j->name, j->accuracy);
}

static void set_judges(struct report *r) {
    for (int i = 0; i < r->n_scores; i++) {
        r->pair.n += r->score[i].made.pair.n;
        r->pair.render += r->score[i].render.pair.n_right;
        r->pair.made += r->score[i].made.pair.n_right;
        for (int k = 0; k < JUDGE_COUNT; k++) {
            const struct score_verdicts *render = &r->score[i].render.geometry[k];
            const struct score_verdicts *made = &r->score[i].made.geometry[k];
            r->geometry[k].n += made->n;
            r->geometry[k].made += made->n_right;
            /* Of a policy there is no render: what each move shows is certain. */
            r->geometry[k].render += render->n ? render->n_right : made->n;
        }
    }
    set_geometry(r, REPORT_PERMANENCE, JUDGE_PERMANENCE);
    set_geometry(r, REPORT_PERSISTENCE, JUDGE_PERSISTENCE);
    set_geometry(r, REPORT_EGO_MOTION, JUDGE_EGO_MOTION);
    if (r->figure[REPORT_CAMERA].state == REPORT_NOT_USABLE)
        set_geometry(r, REPORT_CAMERA, JUDGE_CAMERA);
    if (r->figure[REPORT_LAYOUT].state != REPORT_GOOD && r->pair.n >= REPORT_COUNT_MIN)
        set_calibrated(r, REPORT_LAYOUT, &r->pair, "pair", PAIR_ACCURACY);
}

static void set_stable(struct report *r) {
    struct report_tally t = {0};
    for (int i = 0; i < r->n_scores; i++) {
        t.n += r->score[i].made.n_windows;
        t.render += r->score[i].render.n_stable;
        t.made += r->score[i].made.n_stable;
    }
    set(r, REPORT_STABLE, &t, "environment and colour");
}

static void set_quality(struct report *r) {
    double sharp_made = 0, sharp_render = 0;
    int n = 0;
    for (int i = 0; i < r->n_scores; i++) {
        const struct score *s = &r->score[i];
        if (s->row->task != SUITE_TEXT) continue;
        sharp_made += s->made.sharpness;
        sharp_render += s->render.sharpness;
        if (isnan(s->made.flicker)) continue;
        n++;
        r->flicker_made += s->made.flicker;
        r->flicker_render += s->render.flicker;
    }
    r->sharpness = sharp_render > 0 ? sharp_made / sharp_render : NAN;
    r->flicker_made = n ? r->flicker_made / n : NAN;
    r->flicker_render = n ? r->flicker_render / n : NAN;
}

/* Features of made clips against those of renders, and of every other render against the rest:
 * what the distance of two sets is when nothing is wrong. */
static enum err set_frechet(struct report *r, struct fail *f) {
    enum err rc = ERR_OK;
    int d = r->n_features, n = 0, n_even = 0, n_odd = 0;
    float *room = mem_take((size_t)r->n_scores * 4 + 1, (size_t)d * sizeof *room);
    if (!room) return FAIL(f, ERR_NOMEM, "no memory for the features of %d clips", r->n_scores);
    float *made = room, *render = made + r->n_scores * d, *even = render + r->n_scores * d;
    float *odd = even + r->n_scores * d;
    size_t bytes = (size_t)d * sizeof *room;
    for (int i = 0; i < r->n_scores; i++) {
        const struct score *s = &r->score[i];
        if (s->row->task != SUITE_TEXT) continue;
        memcpy(made + n * d, s->made.view.feature, bytes);
        memcpy(render + n * d, s->render.view.feature, bytes);
        if (n % 2)
            memcpy(odd + n_odd++ * d, s->render.view.feature, bytes);
        else
            memcpy(even + n_even++ * d, s->render.view.feature, bytes);
        n++;
    }
    r->frechet = r->frechet_floor = NAN;
    if (n < 2 * REPORT_COUNT_MIN) goto out;
    TRY(stat_frechet(&r->frechet, made, n, render, n, d, f));
    TRY(stat_frechet(&r->frechet_floor, even, n_even, odd, n_odd, d, f));
out:
    mem_free(room);
    return rc;
}

enum err report_make(struct report *r, const struct score *scores, int n_scores, int n_features,
                     struct fail *f) {
    *r = (struct report){.score = scores, .n_scores = n_scores, .n_features = n_features};
    for (int i = 0; i < REPORT_FIGURE_COUNT; i++)
        r->figure[i].state = REPORT_TOO_FEW;
    set_heads(r);
    set_held_out(r);
    set_judges(r);
    set_stable(r);
    set_few(r);
    set_quality(r);
    return set_frechet(r, f);
}

static double share(int k, int n) {
    return n ? round(1000.0 * k / n) / 1000 : NAN;
}

static double rounded(double v) {
    return round(1000 * v) / 1000;
}

static void put_relative(struct doc_out *o, const struct report *r) {
    doc_open_object(o, "relative");
    for (int i = 0; i < REPORT_FIGURE_COUNT; i++) {
        const struct report_value *v = &r->figure[i];
        if (v->state == REPORT_NOT_USABLE)
            doc_put_text(o, names[i], "not usable");
        else
            doc_put_real(o, names[i], rounded(report_relative(v)));
    }
    doc_close_object(o);
}

enum column { COLUMN_RENDER, COLUMN_GENERATED, COLUMN_COUNT, COLUMN_CI95, COLUMN_JUDGE };

static void put_column(struct doc_out *o, const struct report *r, const char *key,
                       enum column column) {
    doc_open_object(o, key);
    for (int i = 0; i < REPORT_FIGURE_COUNT; i++) {
        const struct report_value *v = &r->figure[i];
        const struct report_tally *t = &v->tally;
        switch (column) {
        case COLUMN_RENDER: doc_put_real(o, names[i], share(t->render, t->n)); break;
        case COLUMN_GENERATED: doc_put_real(o, names[i], share(t->made, t->n)); break;
        case COLUMN_COUNT: doc_put_int(o, names[i], t->n); break;
        case COLUMN_CI95: doc_put_real(o, names[i], rounded(stat_wilson(t->made, t->n))); break;
        case COLUMN_JUDGE: doc_put_text(o, names[i], v->judge); break;
        }
    }
    doc_close_object(o);
}

static void put_heads(struct doc_out *o, const struct report *r) {
    doc_open_object(o, "heads");
    for (int h = 0; h < LABEL_HEAD_COUNT; h++) {
        const struct report_tally *t = &r->head[h];
        doc_open_object(o, label_head_name((enum label_head)h));
        doc_put_real(o, "render", share(t->render, t->n));
        doc_put_real(o, "generated", share(t->made, t->n));
        doc_put_int(o, "count", t->n);
        doc_put_bool(o, "is_usable", report_is_usable(t));
        doc_close_object(o);
    }
    doc_close_object(o);
}

static void put_geometry(struct doc_out *o, const struct report *r) {
    doc_open_object(o, "geometry");
    for (int k = 0; k < JUDGE_COUNT; k++) {
        const struct judge *j = judge_get((enum judge_name)k);
        const struct report_tally *t = &r->geometry[k];
        doc_open_object(o, j->name);
        doc_put_text(o, "what", j->what);
        doc_put_real(o, "render", share(t->render, t->n));
        doc_put_real(o, "generated", share(t->made, t->n));
        doc_put_int(o, "count", t->n);
        doc_put_real(o, "accuracy", j->accuracy);
        doc_put_int(o, "calibrated_on", j->n_calibrated);
        doc_put_bool(o, "is_usable", j->accuracy >= JUDGE_USABLE);
        doc_close_object(o);
    }
    doc_close_object(o);
}

/* Mean of a figure over the rows of a task, where it applies. */
static double mean_of(const struct report *r, enum suite_task task, size_t field, int is_made) {
    double sum = 0;
    int n = 0;
    for (int i = 0; i < r->n_scores; i++) {
        const struct score_side *side = is_made ? &r->score[i].made : &r->score[i].render;
        double v = *(const double *)((const char *)side + field);
        if (r->score[i].row->task != task || isnan(v)) continue;
        sum += v;
        n++;
    }
    return n ? sum / n : NAN;
}

static void put_ability(struct doc_out *o, const struct report *r, enum suite_task task) {
    static const struct {
        const char *key;
        size_t field;
    } figures[] = {{"seam_drop_db", offsetof(struct score_side, seam_drop)},
                   {"loop_drop_db", offsetof(struct score_side, loop_drop)},
                   {"given_psnr_db", offsetof(struct score_side, given_psnr)}};
    struct report_tally right[LABEL_HEAD_COUNT] = {0};
    int n = 0;
    for (int i = 0; i < r->n_scores; i++) {
        if (r->score[i].row->task != task) continue;
        n++;
        for (int h = 0; h < LABEL_HEAD_COUNT; h++)
            count(&right[h], &r->score[i], (enum label_head)h);
    }
    if (n == 0) return;
    doc_open_object(o, suite_task_name(task));
    doc_put_int(o, "count", n);
    for (int h = 0; h < LABEL_HEAD_COUNT; h++)
        if (right[h].n > 0 && report_is_usable(&r->head[h]))
            doc_put_real(o, label_head_name((enum label_head)h), share(right[h].made, right[h].n));
    for (int i = 0; i < COUNT_OF(figures); i++) {
        double made = mean_of(r, task, figures[i].field, 1);
        if (!isnan(made)) doc_put_real(o, figures[i].key, rounded(made));
    }
    doc_close_object(o);
}

static void put_quality(struct doc_out *o, const struct report *r, const struct report_memory *m) {
    doc_open_object(o, "quality");
    doc_put_real(o, "frechet", rounded(r->frechet));
    doc_put_real(o, "frechet_of_renders", rounded(r->frechet_floor));
    doc_put_real(o, "sharpness_over_renders", rounded(r->sharpness));
    doc_put_real(o, "flicker", rounded(r->flicker_made));
    doc_put_real(o, "flicker_of_renders", rounded(r->flicker_render));
    doc_open_object(o, "nearest_training_clip");
    doc_put_int(o, "training_clips", m->n_trained);
    doc_put_real(o, "median_distance", rounded(m->made));
    doc_put_real(o, "median_distance_of_renders", rounded(m->render));
    doc_put_real(o, "share_nearer_than_99_percent_of_renders", rounded(m->share_nearer));
    doc_close_object(o);
    doc_close_object(o);
}

static void put_about(struct doc_out *o, const struct report *r, const struct report_about *a) {
    doc_open_object(o, "model");
    doc_put_text(o, "name", a->name);
    doc_put_text(o, "hash", a->hash);
    doc_put_int(o, "steps", a->n_steps);
    doc_put_real(o, "guidance", a->guidance);
    doc_put_text(o, "few_step_compares", a->few_what);
    doc_close_object(o);
    doc_open_object(o, "suite");
    doc_put_int(o, "world", a->world);
    doc_put_text(o, "set", a->set);
    doc_put_int(o, "prompts", r->n_scores);
    doc_put_text(o, "seeds", "eval/suite.txt");
    doc_put_real(o, "usable_from", REPORT_USABLE);
    doc_close_object(o);
}

enum err report_json(const struct report *r, const struct report_about *about, struct buf *out,
                     struct fail *f) {
    struct doc_out o;
    doc_out_make(&o, out);
    doc_open_object(&o, NULL);
    put_about(&o, r, about);
    put_relative(&o, r);
    put_column(&o, r, "render", COLUMN_RENDER);
    put_column(&o, r, "generated", COLUMN_GENERATED);
    put_column(&o, r, "count", COLUMN_COUNT);
    put_column(&o, r, "ci95", COLUMN_CI95);
    put_column(&o, r, "judge", COLUMN_JUDGE);
    put_heads(&o, r);
    put_geometry(&o, r);
    doc_open_object(&o, "abilities");
    for (int t = SUITE_STILL; t < SUITE_TASK_COUNT; t++)
        put_ability(&o, r, (enum suite_task)t);
    doc_close_object(&o);
    put_quality(&o, r, &about->memory);
    doc_close_object(&o);
    return doc_done(&o, f);
}
