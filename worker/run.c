/* run.c - see run.h. The order of the lines in run_job is the flow of the whole product. */
#include "worker/run.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/now.h"
#include "worker/clip.h"
#include "worker/known.h"
#include "worker/plan.h"

/* Each phase has its name on the wire and its share of the bar. */
static const struct {
    const char *name;
    int from, to;
} phases[ENGINE_PHASE_COUNT] = {
    [ENGINE_PHASE_TEXT] = {"encode_prompt", 0, 3},
    [ENGINE_PHASE_ENCODE] = {"encode_media", 3, 5},
    [ENGINE_PHASE_DENOISE] = {"denoise", 5, 75},
    [ENGINE_PHASE_DECODE] = {"decode", 75, 98},
};

/* The job while it runs: what the hooks of the engine and the frames need. */
struct job_run {
    struct run *run;
    struct plan plan;
    struct clip *clip;
};

/* Each phase fills its own part of the bar; a long clip goes to and fro between the last two. */
static int percent_of(struct run *r, const struct engine_progress *p) {
    int sum = 0;
    if (p->total > 0) r->done[p->phase] = (double)p->step / p->total;
    for (int i = 0; i < ENGINE_PHASE_COUNT; i++) {
        bool is_over = i < (int)p->phase && i < ENGINE_PHASE_DENOISE;
        double share = phases[i].to - phases[i].from;
        sum += (int)(share * (is_over ? 1 : r->done[i]));
    }
    return sum > r->last_percent ? sum : r->last_percent;
}

static void report(struct run *r, const struct engine_progress *e) {
    struct wire_progress p = {.step = e->step, .n_steps = e->total, .eta_ms = -1};
    p.percent = r->last_percent = percent_of(r, e);
    if (e->eta_s >= 0) p.eta_ms = (int64_t)(e->eta_s * 1000);
    snprintf(p.phase, sizeof(p.phase), "%s", phases[e->phase].name);
    if (r->hooks.report) r->hooks.report(r->hooks.ctx, &p);
}

static void on_progress(void *ctx, const struct engine_progress *p) {
    struct job_run *j = ctx;
    report(j->run, p);
}

static bool on_ask(void *ctx) {
    struct job_run *j = ctx;
    return j->run->hooks.is_cancelled && j->run->hooks.is_cancelled(j->run->hooks.ctx);
}

static void on_log(void *ctx, const char *event, const char *text) {
    struct job_run *j = ctx;
    if (j->run->hooks.log) j->run->hooks.log(j->run->hooks.ctx, event, text);
}

static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct job_run *j = ctx;
    (void)index;
    return clip_frame(j->clip, rgb, f);
}

static struct plan_model model_of(const struct engine_caps *caps) {
    return (struct plan_model){.multiple_px = caps->multiple_px,
                               .frame_step = caps->frame_step,
                               .fps = caps->fps,
                               .width = caps->default_width,
                               .height = caps->default_height,
                               .has_image_encoder = caps->has_image_encoder};
}

static struct engine_params params_of(const struct job *job) {
    return (struct engine_params){
        .seed = job->seed, .n_steps = job->steps, .guidance = job->guidance_scale};
}

static void add_facts(struct receipt *out, const struct plan *p, const struct job *job,
                      int64_t started_ms) {
    out->seed = job->seed;
    out->compute_ms = now_mono_ms() - started_ms;
    for (int i = 0; i < p->n_warnings && out->n_warnings < RECEIPT_WARNINGS_MAX; i++)
        snprintf(out->warnings[out->n_warnings++], RECEIPT_WARNING_SIZE, "%s", p->warning[i]);
}

/* Frames go into the encoder as they are decoded; the clip is never whole in memory. */
static enum err write_clip(struct job_run *j, struct receipt *out,
                           const struct engine_render_in *in, const char *dir, int crf,
                           struct fail *f) {
    enum err rc = clip_open(&j->clip, dir, &j->plan, crf, f);
    if (rc != ERR_OK) return rc;
    rc = engine_render(j->run->engine, in, on_frame, j, f);
    if (rc == ERR_OK) return clip_close(j->clip, out, f);
    clip_drop(j->clip);
    return rc;
}

enum err run_job(struct run *r, struct receipt *out, const struct job *job, const char *dir,
                 struct fail *f) {
    enum err rc = ERR_OK;
    struct job_run j = {.run = r};
    struct engine_hooks hooks = {
        .ctx = &j, .progress = on_progress, .is_cancelled = on_ask, .log = on_log};
    struct plan_model model = model_of(engine_caps(r->engine));
    struct known_source source = {r->store, r->decode_program};
    struct engine_words words;
    struct known known = {0};
    int64_t started_ms = now_mono_ms();
    *out = (struct receipt){0};
    r->last_percent = 0;
    memset(r->done, 0, sizeof(r->done));
    engine_hooks_set(r->engine, &hooks);

    TRY(plan_make(&j.plan, job, &model, f));
    TRY(engine_canvas_check(r->engine, &j.plan.canvas, f));
    TRY(known_fetch(&known, &source, &j.plan, f)); /* assets -> frames on the canvas */
    TRY(engine_encode_text(r->engine, &words, job->prompt, job->negative_prompt, f));
    struct engine_render_in in = {.canvas = j.plan.canvas,
                                  .given = known.given.n_spans > 0 ? &known.given : NULL,
                                  .words = &words,
                                  .params = params_of(job)};
    TRY(write_clip(&j, out, &in, dir, job->crf, f));
    add_facts(out, &j.plan, job, started_ms);
out:
    known_free(&known);
    engine_job_end(r->engine); /* all that this job took from the pools */
    engine_hooks_set(r->engine, &(struct engine_hooks){0});
    return rc;
}
