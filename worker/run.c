/* run.c - see run.h. The order of the lines in run_job is the flow of the whole product. */
#include "worker/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "common/base/assert.h"
#include "common/base/now.h"
#include "worker/clip.h"
#include "worker/known.h"
#include "worker/plan.h"

/* Of the words that describe a clip as it is; as published for FlowEdit. */
static const double OLD_GUIDANCE = 1.5;

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
    struct footage footage;
    struct known known;
    struct clip *clip;
    struct engine_words words, old_words;
    const struct task_piece *piece; /* of the result, that is being written */
    int at; /* frame of the result, at the model's rate, that it begins with */
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

/* Time since the last sign belongs to the phase that gives this one. */
static void clock_phase(struct run *r, int phase) {
    int64_t now = now_mono_ms();
    r->spent_ms[phase] += now - r->clock_ms;
    r->clock_ms = now;
}

static void report(struct run *r, const struct engine_progress *e) {
    clock_phase(r, (int)e->phase);
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

/* Frames of the canvas that are no part of the result are left out. */
static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct job_run *j = ctx;
    int i = index - j->piece->from;
    if (i < 0 || i >= j->piece->n) return ERR_OK;
    return clip_frame(j->clip, rgb, plan_copies(&j->plan, j->at + i), f);
}

static enum err on_source_frame(void *ctx, const uint8_t *rgb, struct fail *f) {
    struct job_run *j = ctx;
    if (on_ask(j)) return FAIL(f, ERR_CANCELLED, "the job was cancelled");
    return clip_out_frame(j->clip, rgb, f);
}

static struct plan_model model_of(const struct engine_caps *caps) {
    return (struct plan_model){.multiple_px = caps->multiple_px,
                               .frame_step = caps->frame_step,
                               .fps = caps->fps,
                               .width = caps->default_width,
                               .height = caps->default_height,
                               .overlap = caps->overlap_latents,
                               .has_image_encoder = caps->has_image_encoder};
}

static struct engine_params params_of(const struct job *job) {
    return (struct engine_params){
        .seed = job->seed, .n_steps = job->steps, .guidance = job->guidance_scale};
}

static void add_warning(struct receipt *out, const char *text) {
    if (out->n_warnings < RECEIPT_WARNINGS_MAX)
        snprintf(out->warnings[out->n_warnings++], RECEIPT_WARNING_SIZE, "%s", text);
}

/* What the next estimate learns from. */
static void add_work(struct receipt *out, const struct job_run *j, const struct job *job) {
    const struct engine_caps *caps = engine_caps(j->run->engine);
    const int64_t *spent = j->run->spent_ms;
    double guidance = job->guidance_scale >= 0 ? job->guidance_scale : caps->guidance;
    struct rusage usage = {.ru_maxrss = 0};
    getrusage(RUSAGE_SELF, &usage);
    out->work = (struct estimate_work){.width = j->plan.canvas.width,
                                       .height = j->plan.canvas.height,
                                       .n_frames = j->plan.canvas.n_frames,
                                       .n_steps = job->steps > 0 ? job->steps : caps->n_steps,
                                       .n_passes = guidance > 1 ? 2 : 1,
                                       .denoise_ms = spent[ENGINE_PHASE_DENOISE],
                                       .decode_ms = spent[ENGINE_PHASE_DECODE],
                                       .memory_bytes = (int64_t)usage.ru_maxrss * 1024,
                                       .multiple_px = caps->multiple_px,
                                       .frame_step = caps->frame_step,
                                       .fps = caps->fps,
                                       .home_width = caps->default_width,
                                       .home_height = caps->default_height,
                                       .home_steps = caps->n_steps,
                                       .guidance = caps->guidance};
    out->work.other_ms = out->compute_ms - out->work.denoise_ms - out->work.decode_ms;
    if (out->work.other_ms < 0) out->work.other_ms = 0;
}

static void add_facts(struct receipt *out, const struct job_run *j, const struct job *job,
                      int64_t started_ms) {
    out->seed = job->seed;
    out->compute_ms = now_mono_ms() - started_ms;
    add_work(out, j, job);
    for (int i = 0; i < j->plan.n_warnings; i++)
        add_warning(out, j->plan.warning[i]);
    for (int i = 0; i < j->footage.n_notes; i++)
        add_warning(out, j->footage.note[i]);
}

/* What the engine makes. */
static enum err render(struct job_run *j, const struct job *job, struct fail *f) {
    const struct plan *p = &j->plan;
    struct engine_edit edit = {.old = &j->old_words, .old_guidance = OLD_GUIDANCE};
    int n_steps = job->steps > 0 ? job->steps : engine_caps(j->run->engine)->n_steps;
    if (job->task.strength > 0) edit.n_max = (int)(job->task.strength * n_steps + 0.5);
    struct engine_render_in in = {.canvas = p->canvas,
                                  .given = j->known.given.n_spans > 0 ? &j->known.given : NULL,
                                  .words = &j->words,
                                  .params = params_of(job),
                                  .is_loop = p->is_ring,
                                  .edit = p->is_flow ? &edit : NULL};
    return engine_render(j->run->engine, &in, on_frame, j, f);
}

/* What needed no making comes from its source again, in the size and at the rate of the result. */
static enum err copy_piece(struct job_run *j, struct fail *f) {
    const struct plan *p = &j->plan;
    int64_t first = (int64_t)j->piece->from * p->out_fps / p->model_fps;
    int n = plan_first_out(p, j->at + j->piece->n) - plan_first_out(p, j->at);
    const struct footage_want want = {.width = p->out_width,
                                      .height = p->out_height,
                                      .fps = p->out_fps,
                                      .from = (int)first,
                                      .n_max = n};
    if (n == 0) return ERR_OK;
    return footage_each(&j->footage, p->asset[j->piece->asset].asset, &want, on_source_frame, j, f);
}

/* Frames go into the encoder as they come; the clip is never whole in memory. */
static enum err write_clip(struct job_run *j, struct receipt *out, const struct job *job,
                           const char *dir, struct fail *f) {
    enum err rc = clip_open(&j->clip, dir, &j->plan, job->crf, f);
    for (int i = 0; rc == ERR_OK && i < j->plan.task.n_pieces; i++) {
        j->piece = &j->plan.task.piece[i];
        rc = j->piece->asset == TASK_CANVAS ? render(j, job, f) : copy_piece(j, f);
        j->at += j->piece->n;
    }
    if (rc == ERR_OK) return clip_close(j->clip, out, f);
    clip_drop(j->clip);
    return rc;
}

/* Clips that came as uploads have told nobody yet what they are. */
static enum err learn_sources(struct job_run *j, struct job *job, struct fail *f) {
    enum err rc = ERR_OK;
    if (job->task.video.sha256[0]) TRY(footage_learn(&j->footage, &job->task.video, f));
    if (job->task.second_video.sha256[0])
        TRY(footage_learn(&j->footage, &job->task.second_video, f));
out:
    return rc;
}

static enum err encode_words(struct job_run *j, const struct job *job, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = j->run->engine;
    const char *prompt = job->revised_prompt[0] ? job->revised_prompt : job->prompt;
    TRY(engine_encode_text(e, &j->words, prompt, job->negative_prompt, f));
    if (j->plan.is_flow)
        TRY(engine_encode_text(e, &j->old_words, job->task.old_prompt, job->negative_prompt, f));
out:
    return rc;
}

enum err run_job(struct run *r, struct receipt *out, struct job *job, const char *dir,
                 struct fail *f) {
    enum err rc = ERR_OK;
    struct job_run j = {.run = r,
                        .footage = {.store = r->store,
                                    .decode_program = r->decode_program,
                                    .is_cancelled = on_ask}};
    j.footage.ctx = &j;
    struct engine_hooks hooks = {
        .ctx = &j, .progress = on_progress, .is_cancelled = on_ask, .log = on_log};
    struct plan_model model = model_of(engine_caps(r->engine));
    int64_t started_ms = now_mono_ms();
    *out = (struct receipt){0};
    r->last_percent = 0;
    memset(r->done, 0, sizeof(r->done));
    memset(r->spent_ms, 0, sizeof(r->spent_ms));
    r->clock_ms = started_ms;
    engine_hooks_set(r->engine, &hooks);

    TRY(learn_sources(&j, job, f));
    TRY(plan_make(&j.plan, job, &model, f));
    TRY(known_fetch(&j.known, &j.footage, &j.plan, f)); /* assets -> frames of the canvas' size */
    TRY(plan_place(&j.plan, job, &model, j.known.n_whole, f));
    TRY(known_place(&j.known, &j.footage, &j.plan, f)); /* where they stand */
    TRY(engine_canvas_check(r->engine, &j.plan.canvas, f));
    TRY(encode_words(&j, job, f));
    TRY(write_clip(&j, out, job, dir, f));
    add_facts(out, &j, job, started_ms);
out:
    known_free(&j.known);
    engine_job_end(r->engine); /* all that this job took from the pools */
    engine_hooks_set(r->engine, &(struct engine_hooks){0});
    return rc;
}
