#include "worker/plan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/assert.h"
#include "common/base/limits.h"

/* Assets that a row takes, in this order. */
enum { FIRST = 1, LAST = 2, VIDEO = 4, SECOND = 8 };

/* What each operation means, in one place. `variant` tells rows of one operation apart: see
 * variant_of(). A new kind is a new row. */
static const struct rule {
    enum job_operation operation;
    int variant;
    unsigned assets;
    enum task_kind kind;
    bool is_ring;
    const char *name;
} rules[] = {
    {JOB_CREATE, 0, 0, TASK_TEXT, false, "text to video"},
    {JOB_CREATE, FIRST, FIRST, TASK_KEYFRAMES, false, "image to video"},
    {JOB_CREATE, LAST, LAST, TASK_KEYFRAMES, false, "last frame to video"},
    {JOB_CREATE, FIRST | LAST, FIRST | LAST, TASK_KEYFRAMES, false, "first and last frame"},
    {JOB_EXTEND, JOB_FORWARD, VIDEO, TASK_EXTEND, false, "extend forward"},
    {JOB_EXTEND, JOB_BACKWARD, VIDEO, TASK_PREPEND, false, "extend backward"},
    {JOB_EXTEND, JOB_BOTH, VIDEO, TASK_EXTEND_BOTH, false, "extend both ways"},
    {JOB_CONNECT, 0, VIDEO | SECOND, TASK_CONNECT, false, "connect"},
    {JOB_LOOP, 0, 0, TASK_TEXT, true, "a clip that loops"},
    {JOB_LOOP, VIDEO, VIDEO, TASK_LOOP, false, "make a clip loop"},
    {JOB_IMAGE, 0, 0, TASK_TEXT, false, "text to image"},
    {JOB_EDIT, JOB_SDEDIT, VIDEO, TASK_VIDEO, false, "edit a clip"},
    {JOB_EDIT, JOB_FLOWEDIT, VIDEO, TASK_VIDEO, false, "edit a clip by words"},
    {JOB_EDIT, JOB_METHOD_COUNT, VIDEO, TASK_EDIT, false, "edit a part of a clip"},
};

static void warn(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void warn(struct plan *p, const char *fmt, ...) {
    ASSERT(p->n_warnings < PLAN_WARNINGS_MAX);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->warning[p->n_warnings++], PLAN_WARNING_SIZE, fmt, ap);
    va_end(ap);
}

/* ---- which row ---- */

static bool has(const struct job_asset *a) {
    return a->sha256[0];
}

static bool edits_a_part(const struct job *job) {
    const struct job_task *t = &job->task;
    return has(&t->mask) || t->from_seconds > 0 || t->to_seconds > 0;
}

static int variant_of(const struct job *job) {
    const struct job_task *t = &job->task;
    switch (job->operation) {
    case JOB_CREATE:
        return (has(&job->input_reference) ? FIRST : 0) | (has(&job->last_frame) ? LAST : 0);
    case JOB_EXTEND: return (int)t->direction;
    case JOB_LOOP: return has(&t->video) ? VIDEO : 0;
    case JOB_EDIT: return edits_a_part(job) ? (int)JOB_METHOD_COUNT : (int)t->method;
    default: return 0;
    }
}

static enum err find_rule(const struct rule **out, const struct job *job, struct fail *f) {
    int variant = variant_of(job);
    for (int i = 0; i < COUNT_OF(rules); i++) {
        if (rules[i].operation != job->operation || rules[i].variant != variant) continue;
        *out = &rules[i];
        return ERR_OK;
    }
    return FAIL(f, ERR_UNSUPPORTED, "this worker cannot do %s yet",
                job_operation_name(job->operation));
}

static void add_asset(struct plan *p, const struct job_asset *asset, bool is_clip) {
    ASSERT(p->n_assets < PLAN_ASSETS_MAX);
    p->asset[p->n_assets++] = (struct plan_asset){.asset = asset, .is_clip = is_clip};
}

static enum err find_assets(struct plan *p, const struct rule *rule, const struct job *job,
                            struct fail *f) {
    const struct {
        unsigned bit;
        const struct job_asset *asset;
        bool is_clip;
    } from[] = {{FIRST, &job->input_reference, false},
                {LAST, &job->last_frame, false},
                {VIDEO, &job->task.video, true},
                {SECOND, &job->task.second_video, true}};
    for (int i = 0; i < COUNT_OF(from); i++) {
        if (!(rule->assets & from[i].bit)) continue;
        if (!has(from[i].asset))
            return FAIL(f, ERR_CORRUPT, "%s: the job names no source", rule->name);
        add_asset(p, from[i].asset, from[i].is_clip);
    }
    if (has(&job->task.mask)) p->mask = &job->task.mask;
    return ERR_OK;
}

/* ---- sizes ---- */

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

static int even_side(double v) {
    int n = (int)(v / 2 + 0.5) * 2;
    return n < LIMIT_SIDE_MIN_PX   ? LIMIT_SIDE_MIN_PX
           : n > LIMIT_SIDE_MAX_PX ? LIMIT_SIDE_MAX_PX
                                   : n;
}

/* A size that was left to the source: its own, as far as we deliver such sizes. */
static void plan_out_size(struct plan *p, const struct job *job, const struct plan_model *m) {
    const struct job_asset *source = p->n_assets > 0 ? p->asset[0].asset : NULL;
    p->out_width = job->width;
    p->out_height = job->height;
    if (job->width > 0) return;
    double w = m->width, h = m->height, shrink = 1;
    if (source && source->width > 0) w = source->width, h = source->height;
    if (w * h > LIMIT_PIXELS_MAX) shrink = sqrt(LIMIT_PIXELS_MAX / (w * h));
    shrink = fmin(shrink, fmin(LIMIT_SIDE_MAX_PX / w, LIMIT_SIDE_MAX_PX / h));
    p->out_width = even_side(floor(w * shrink));
    p->out_height = even_side(floor(h * shrink));
    if (p->out_width != (int)w || p->out_height != (int)h)
        warn(p, "the source is %dx%d, the result is %dx%d", (int)w, (int)h, p->out_width,
             p->out_height);
}

static void plan_canvas(struct plan *p, const struct job *job, const struct plan_model *m) {
    plan_out_size(p, job, m);
    p->canvas.width = p->out_width;
    p->canvas.height = p->out_height;
    if (is_at_home(p->out_width, p->out_height, m)) return;
    nearest_canvas(&p->canvas, (double)p->out_width / p->out_height, m);
    warn(p, "rendered at %dx%d, scaled to %dx%d", p->canvas.width, p->canvas.height, p->out_width,
         p->out_height);
}

/* The rate of the result: asked, or that of the source, or the model's own. */
static void plan_rate(struct plan *p, const struct job *job, const struct plan_model *m) {
    const struct job_asset *source = p->n_assets > 0 ? p->asset[0].asset : NULL;
    int own = source && p->asset[0].is_clip ? (int)(source->fps + 0.5) : 0;
    p->model_fps = m->fps;
    p->out_fps = job->fps > 0 ? job->fps : own > 0 ? own : m->fps;
    if (p->out_fps > LIMIT_FPS_MAX) p->out_fps = LIMIT_FPS_MAX;
    if (p->out_fps != m->fps)
        warn(p, "rendered at %d frames per second, frames were repeated or dropped for %d", m->fps,
             p->out_fps);
}

/* ---- frames ---- */

static enum err check_frames(int64_t n, struct fail *f) {
    if (n <= LIMIT_FRAMES_MAX) return ERR_OK;
    return FAIL(f, ERR_LIMIT, "%lld frames are asked, %d are possible", (long long)n,
                LIMIT_FRAMES_MAX);
}

/* Frames at the model's rate that show what is asked. A second stays a second. */
static int64_t asked_frames(const struct plan *p, const struct job *job) {
    int64_t fps = p->out_fps;
    int64_t asked = job->num_frames > 0 ? job->num_frames : (int64_t)job->seconds * fps;
    int64_t need = (asked * p->model_fps + fps - 1) / fps;
    return need < 1 ? 1 : need;
}

static void count_out(struct plan *p, int n) {
    p->n_out_frames = (int)((int64_t)(n - 1) * p->out_fps / p->model_fps) + 1;
}

/* A clip that is made as a whole has as many frames as the model likes best. */
static enum err whole_frames(struct plan *p, const struct job *job, const struct plan_model *m,
                             int *n_frames, struct fail *f) {
    int64_t step = m->frame_step, need = asked_frames(p, job);
    int64_t n = 1 + (need - 1 + step - 1) / step * step;
    enum err rc = check_frames(n, f);
    if (rc != ERR_OK) return rc;
    *n_frames = (int)n;
    count_out(p, *n_frames);
    if (job->num_frames > 0 && p->n_out_frames != job->num_frames)
        warn(p, "%d frames became %d: the model makes %d*n+1", job->num_frames, p->n_out_frames,
             m->frame_step);
    return ERR_OK;
}

static int context_latents(const struct job *job, const struct plan_model *m) {
    double frames = job->task.context_seconds * m->fps;
    int n = 1 + (int)ceil((frames - 1) / m->frame_step);
    if (job->task.context_seconds <= 0) return m->overlap > 0 ? m->overlap : 1;
    return n < 1 ? 1 : n;
}

/* A clip that only goes on is not read as a whole. */
static void plan_reach(struct plan *p, const struct job *job, const struct plan_model *m) {
    int n_latents = context_latents(job, m), step = m->frame_step;
    if (p->kind == TASK_EXTEND || p->kind == TASK_CONNECT)
        p->asset[0].n_tail = step * (n_latents - 1) + 1;
    if (p->kind == TASK_PREPEND) p->asset[0].n_head = step * n_latents;
    if (p->kind == TASK_CONNECT) p->asset[1].n_head = step * n_latents;
}

/* Of what was made only the new part is delivered: what was given at its ends is left out. */
static void drop_given(struct plan *p) {
    const struct task_plan *t = &p->task;
    int from = 0, to = p->canvas.n_frames;
    for (int i = 0; i < t->n_spans; i++) {
        const struct task_span *s = &t->span[i];
        if (s->at == 0)
            from = s->n;
        else
            to = s->at;
    }
    for (int i = 0; i < t->n_pieces; i++) {
        struct task_piece piece = t->piece[i];
        if (piece.asset != TASK_CANVAS) continue;
        int end = piece.from + piece.n < to ? piece.from + piece.n : to;
        if (piece.from < from) piece.from = from;
        piece.n = end - piece.from;
        p->task.piece[0] = piece;
    }
    p->task.n_pieces = 1;
}

/* Adds a piece of a clip, to the one before it where it goes on there. */
static void add_piece(struct task_plan *t, struct task_piece piece) {
    struct task_piece *last = t->n_pieces > 0 ? &t->piece[t->n_pieces - 1] : NULL;
    if (piece.n <= 0) return;
    if (last && last->asset == piece.asset && piece.asset != TASK_CANVAS &&
        last->from + last->n == piece.from) {
        last->n += piece.n;
        return;
    }
    ASSERT(t->n_pieces < TASK_PIECES_MAX);
    t->piece[t->n_pieces++] = piece;
}

/* Given frames come out of the engine as they went in, but in the size of the canvas. Only those
 * next to what is new, where the engine fades, are taken from there; the others from their clip. */
static void prefer_sources(struct plan *p, int fade) {
    struct task_plan *t = &p->task, old = *t;
    t->n_pieces = 0;
    for (int i = 0; i < old.n_pieces; i++) {
        struct task_piece piece = old.piece[i], after = {0};
        for (int k = 0; k < old.n_spans && piece.asset == TASK_CANVAS; k++) {
            const struct task_span *s = &old.span[k];
            int n = s->n - fade;
            if (n <= 0) continue;
            if (s->at == 0 && piece.from == 0) {
                add_piece(t, (struct task_piece){s->asset, s->from, n});
                piece.from = n;
                piece.n -= n;
            } else if (s->at > 0 && piece.from + piece.n == s->at + s->n) {
                after = (struct task_piece){s->asset, s->from + fade, n};
                piece.n -= n;
            }
        }
        add_piece(t, piece);
        add_piece(t, after);
    }
}

static bool joins_clips(enum task_kind kind) {
    return kind == TASK_EXTEND || kind == TASK_PREPEND || kind == TASK_CONNECT || kind == TASK_LOOP;
}

static int frame_at(double seconds, int fps, int n) {
    int i = (int)(seconds * fps + 0.5);
    return i < n ? i : n;
}

static void place_edit(struct plan *p, const struct job *job) {
    const struct job_task *t = &job->task;
    int n = p->canvas.n_frames;
    p->is_flow = t->method == JOB_FLOWEDIT;
    p->level = t->strength > 0 ? t->strength : 1;
    p->anew_from = frame_at(t->from_seconds, p->model_fps, n);
    p->anew_to = t->to_seconds > 0 ? frame_at(t->to_seconds, p->model_fps, n) : n;
}

static enum err place_task(struct plan *p, const struct job *job, const struct plan_model *m,
                           const int n_frames[PLAN_ASSETS_MAX], int n_new, struct fail *f) {
    struct fail why = {0};
    struct task_ask ask = {.kind = p->kind,
                           .grid = {m->multiple_px, m->frame_step, 1},
                           .n_assets = p->n_assets,
                           .n_frames = n_new,
                           .n_context = context_latents(job, m)};
    if (job->task.strength > 0 && job->task.method == JOB_SDEDIT) ask.strength = job->task.strength;
    for (int i = 0; i < p->n_assets; i++)
        ask.asset[i] = (struct task_asset){.n_frames = n_frames[i]};
    /* The one picture of the end stands there; of two, the second one. */
    if (p->kind == TASK_KEYFRAMES && p->asset[p->n_assets - 1].asset == &job->last_frame)
        ask.asset[p->n_assets - 1].at = n_new - 1;
    enum err rc = task_plan_make(&p->task, &ask, &why);
    return rc == ERR_OK ? ERR_OK : FAIL(f, ERR_MEDIA, "%s", why.text);
}

/* The engine's ring of L latents gives frame_step * L frames. */
static void place_ring(struct plan *p, const struct plan_model *m) {
    if (p->canvas.n_frames > m->frame_step) p->canvas.n_frames -= m->frame_step;
    p->task.n_frames = p->canvas.n_frames;
    p->task.piece[0].n = p->canvas.n_frames + m->frame_step - 1;
}

enum err plan_place(struct plan *p, const struct job *job, const struct plan_model *m,
                    const int n_frames[PLAN_ASSETS_MAX], struct fail *f) {
    enum err rc = ERR_OK;
    bool is_whole = p->kind == TASK_TEXT || p->kind == TASK_KEYFRAMES;
    int n_new = (int)asked_frames(p, job);
    if (is_whole) TRY(whole_frames(p, job, m, &n_new, f));
    TRY(place_task(p, job, m, n_frames, n_new, f));
    p->canvas.n_frames = p->task.n_frames;
    if (p->is_ring) place_ring(p, m);
    if (job->task.is_bare)
        drop_given(p);
    else if (joins_clips(p->kind))
        prefer_sources(p, m->frame_step);
    if (job->operation == JOB_EDIT) place_edit(p, job);
    TRY(check_frames(task_plan_frames(&p->task), f));
    count_out(p, task_plan_frames(&p->task));
    if (job->operation == JOB_EDIT && p->anew_from >= p->anew_to)
        rc = FAIL(f, ERR_MEDIA, "start_seconds is %g, the clip is %.2f seconds long",
                  job->task.from_seconds, (double)p->canvas.n_frames / p->model_fps);
out:
    return rc;
}

enum err plan_make(struct plan *out, const struct job *job, const struct plan_model *m,
                   struct fail *f) {
    enum err rc = ERR_OK;
    const struct rule *rule = NULL;
    ASSERT(m->multiple_px > 0 && m->frame_step > 0 && m->fps > 0 &&
           m->width >= 2 * m->multiple_px && m->height >= 2 * m->multiple_px);
    *out = (struct plan){0};

    TRY(find_rule(&rule, job, f));
    out->kind = rule->kind;
    out->format = job->format;
    out->is_ring = rule->is_ring || (job->operation == JOB_CREATE && job->task.is_loop);
    TRY(find_assets(out, rule, job, f));
    if (out->n_assets > 0 && !m->has_image_encoder)
        return FAIL(f, ERR_UNSUPPORTED, "this model cannot start from a %s",
                    out->asset[0].is_clip ? "clip" : "picture");
    plan_canvas(out, job, m);
    plan_rate(out, job, m);
    plan_reach(out, job, m);
    TRY(check_frames(asked_frames(out, job), f));
out:
    return rc;
}

int plan_first_out(const struct plan *p, int i) {
    /* Output frame k shows rendered frame floor(k * model_fps / out_fps). */
    int64_t a = p->model_fps, b = p->out_fps, k = (i * b + a - 1) / a;
    return k < p->n_out_frames ? (int)k : p->n_out_frames;
}

int plan_copies(const struct plan *p, int i) {
    return plan_first_out(p, i + 1) - plan_first_out(p, i);
}
