#include "worker/plan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/limits.h"

/* Where known frames sit on the canvas. */
enum place { PLACE_NONE, PLACE_HEAD, PLACE_TAIL, PLACE_BOTH };

/* What each operation means, in one place: how many of its assets are known frames, where, and how
 * many frames each gives. Assets come in the order input_reference, last_frame. A new kind is a new
 * row; a row that is not open yet is refused in words. */
static const struct rule {
    bool is_open;
    bool has_first, has_last; /* assets that the job must carry, neither more nor less */
    enum place known;
    int n_known;
    const char *name;
} rules[] = {
    {true, false, false, PLACE_NONE, 0, "text to video"},
    {true, true, false, PLACE_HEAD, 1, "image to video"},
    {false, false, true, PLACE_TAIL, 1, "last frame to video"},
    {false, true, true, PLACE_BOTH, 1, "first and last frame to video"},
};

static void warn(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void warn(struct plan *p, const char *fmt, ...) {
    ASSERT(p->n_warnings < PLAN_WARNINGS_MAX);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->warning[p->n_warnings++], PLAN_WARNING_SIZE, fmt, ap);
    va_end(ap);
}

static enum err find_rule(const struct rule **out, const struct job *job, struct fail *f) {
    bool has_first = job->input_reference.sha256[0], has_last = job->last_frame.sha256[0];
    if (job->operation != JOB_CREATE)
        return FAIL(f, ERR_UNSUPPORTED, "this worker cannot do %s yet",
                    job_operation_name(job->operation));
    for (int i = 0; i < COUNT_OF(rules); i++) {
        if (rules[i].has_first != has_first || rules[i].has_last != has_last) continue;
        *out = &rules[i];
        return rules[i].is_open
                   ? ERR_OK
                   : FAIL(f, ERR_UNSUPPORTED, "this worker cannot do %s yet", rules[i].name);
    }
    return FAIL(f, ERR_BUG, "no rule for this job");
}

static void add_span(struct plan *p, const struct job_asset *asset, int to, int n) {
    ASSERT(p->n_spans < PLAN_SPANS_MAX);
    p->span[p->n_spans++] = (struct plan_span){.asset = asset, .to = to, .n_frames = n};
}

static void place_spans(struct plan *p, const struct rule *rule, const struct job *job) {
    int tail = p->canvas.n_frames - rule->n_known;
    if (rule->known == PLACE_HEAD || rule->known == PLACE_BOTH)
        add_span(p, &job->input_reference, 0, rule->n_known);
    if (rule->known == PLACE_TAIL || rule->known == PLACE_BOTH)
        add_span(p, &job->last_frame, tail, rule->n_known);
}

/* The model keeps its own pace: a second stays a second, and frames are repeated or dropped to meet
 * the asked rate. */
static enum err plan_frames(struct plan *p, const struct job *job, const struct plan_model *m,
                            struct fail *f) {
    int64_t step = m->frame_step, fps = job->fps > 0 ? job->fps : m->fps;
    int64_t asked = job->num_frames > 0 ? job->num_frames : (int64_t)job->seconds * fps;
    int64_t need = (asked * m->fps + fps - 1) / fps;
    if (need < 1) need = 1;
    int64_t n = 1 + (need - 1 + step - 1) / step * step;
    if (n > LIMIT_FRAMES_MAX)
        return FAIL(f, ERR_LIMIT, "%lld frames are asked, %d are possible", (long long)n,
                    LIMIT_FRAMES_MAX);
    p->model_fps = m->fps;
    p->out_fps = (int)fps;
    p->canvas.n_frames = (int)n;
    p->n_out_frames = (int)((n - 1) * fps / m->fps) + 1;
    if (job->num_frames > 0 && p->n_out_frames != job->num_frames)
        warn(p, "%d frames became %d: the model makes %d*n+1", job->num_frames, p->n_out_frames,
             m->frame_step);
    if (fps != m->fps)
        warn(p, "rendered at %d frames per second, frames were repeated or dropped for %d", m->fps,
             (int)fps);
    return ERR_OK;
}

/* How far a canvas is from what was asked: its shape first, then the pixels the model is used to.
 */
static double distance(int w, int h, double shape, double budget) {
    return fabs(log((double)w / h / shape)) + 0.5 * fabs(log((double)w * h / budget));
}

/* Near enough to the home canvas to be rendered as it is asked. */
static bool is_at_home(int w, int h, const struct plan_model *m) {
    double budget = (double)m->width * m->height, pixels = (double)w * h;
    return w % m->multiple_px == 0 && h % m->multiple_px == 0 && pixels <= 1.05 * budget &&
           pixels >= 0.5 * budget;
}

/* The model is at its best on its home canvas, also turned by a quarter: a cut of this share of a
 * side is worth it. */
static const double shape_slack = 0.12;

static void nearest_canvas(struct canvas *c, double shape, const struct plan_model *m) {
    double budget = (double)m->width * m->height, best = HUGE_VAL;
    double home = (double)m->width / m->height;
    if (fabs(log(shape / home)) <= shape_slack || fabs(log(shape * home)) <= shape_slack) {
        bool is_turned = fabs(log(shape * home)) < fabs(log(shape / home));
        c->width = is_turned ? m->height : m->width;
        c->height = is_turned ? m->width : m->height;
        return;
    }
    int k = m->multiple_px, side_max = (int)(budget / k);
    for (int w = 2 * k; w <= side_max; w += k)
        for (int h = 2 * k; (double)w * h <= 1.05 * budget; h += k) {
            double d = distance(w, h, shape, budget);
            if (d >= best) continue;
            best = d;
            c->width = w;
            c->height = h;
        }
}

static void plan_canvas(struct plan *p, const struct job *job, const struct plan_model *m) {
    p->out_width = p->canvas.width = job->width;
    p->out_height = p->canvas.height = job->height;
    if (is_at_home(job->width, job->height, m)) return;
    nearest_canvas(&p->canvas, (double)job->width / job->height, m);
    warn(p, "rendered at %dx%d, scaled to %dx%d", p->canvas.width, p->canvas.height, p->out_width,
         p->out_height);
}

enum err plan_make(struct plan *out, const struct job *job, const struct plan_model *m,
                   struct fail *f) {
    enum err rc = ERR_OK;
    const struct rule *rule = NULL;
    ASSERT(m->multiple_px > 0 && m->frame_step > 0 && m->fps > 0 &&
           m->width >= 2 * m->multiple_px && m->height >= 2 * m->multiple_px);
    *out = (struct plan){0};

    TRY(find_rule(&rule, job, f));
    if (rule->n_known > 0 && !m->has_image_encoder)
        return FAIL(f, ERR_UNSUPPORTED, "this model cannot start from a picture");
    TRY(plan_frames(out, job, m, f));
    plan_canvas(out, job, m);
    place_spans(out, rule, job);
out:
    return rc;
}

int plan_copies(const struct plan *p, int i) {
    /* Output frame k shows rendered frame floor(k * model_fps / out_fps). */
    int64_t a = p->model_fps, b = p->out_fps;
    int64_t from = (i * b + a - 1) / a, to = ((i + 1) * b + a - 1) / a;
    if (to > p->n_out_frames) to = p->n_out_frames;
    return to > from ? (int)(to - from) : 0;
}
