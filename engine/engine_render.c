#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "engine/engine_own.h"
#include "engine/window.h"

/* A clip in the making, and the window that is being made. */
struct render {
    struct engine *engine;
    const struct engine_render_in *in;
    engine_frame_fn each;
    void *ctx;
    struct engine_clip_state state;
    struct window_plan plan;
    struct window window;
    int64_t frame_bytes;
    int n_frames, n_head_frames; /* of the window; the head is out already */
    int n_out;                   /* frames of the clip so far */
    int n_fade;                  /* frames over which a window goes over into the next */
    bool is_last;
    struct tensor tail; /* u8 [frames,H,W,3]: the last ones, for the next head */
    double seam;        /* sum of squares: the head as decoded minus what it was made from */
};

/* Time is booked on the phase that the engine was in since it last told something. */
bool engine_render_place(const struct engine *e, struct engine_progress *p) {
    struct engine_clip_state *c = e->clip;
    if (!c) return true;
    const struct engine_pace *all[] = {&c->pace[ENGINE_PHASE_DENOISE],
                                       &c->pace[ENGINE_PHASE_DECODE]};
    struct engine_pace *mine = &c->pace[p->phase];
    int64_t now = device_now_ns();
    if (p->step > 0) mine->spent_ns += now - c->told_ns;
    c->told_ns = now;
    if (mine->n_total == 0) return false; /* the encoding of a head is no phase of the clip */
    mine->n_now = p->step > mine->n_skipped ? p->step - mine->n_skipped : 0;
    p->step = mine->n_before + mine->n_now;
    p->total = mine->n_total;
    p->eta_s = 0;
    for (int i = 0; i < COUNT_OF(all); i++) {
        int n_done = all[i]->n_before + all[i]->n_now;
        double each_ns = n_done > 0 ? (double)all[i]->spent_ns / n_done : all[i]->guess_ns;
        p->eta_s += each_ns * 1e-9 * (all[i]->n_total - n_done);
    }
    if (all[0]->n_before + all[0]->n_now == 0) p->eta_s = -1;
    return true;
}

static int64_t pixels_of(const struct render *r) {
    return (int64_t)r->in->canvas.width * r->in->canvas.height;
}

static void begin_paces(struct render *r, int64_t n_windows) {
    struct engine_pace *p = r->state.pace;
    const struct engine_params *params = &r->in->params;
    int n_steps = params->n_steps > 0 ? params->n_steps : r->engine->caps.n_steps;
    if (params->n_sigmas > 0) n_steps = params->n_sigmas;
    p[ENGINE_PHASE_DENOISE].n_total = n_steps * (int)n_windows;
    p[ENGINE_PHASE_DECODE].n_total = r->in->canvas.n_frames;
    p[ENGINE_PHASE_DECODE].guess_ns = r->engine->frame_ns_per_px * (double)pixels_of(r);
    r->engine->clip = &r->state;
}

static void end_window_paces(struct render *r) {
    for (int i = 0; i < ENGINE_PHASE_COUNT; i++) {
        struct engine_pace *p = &r->state.pace[i];
        p->n_before += p->n_now;
        p->n_now = 0;
    }
}

static void end_paces(struct render *r) {
    const struct engine_pace *p = &r->state.pace[ENGINE_PHASE_DECODE];
    if (p->n_before > 0)
        r->engine->frame_ns_per_px = (double)p->spent_ns / p->n_before / (double)pixels_of(r);
    r->engine->clip = NULL;
}

/* The canvas of the window. */
static struct canvas window_canvas(const struct render *r) {
    return (struct canvas){r->n_frames, r->in->canvas.width, r->in->canvas.height};
}

/* What is known of the window: the caller's share, and the head in its place. */
static enum err fill_known(struct render *r, struct engine_known *known, struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_known *all = r->in->known;
    struct canvas canvas = window_canvas(r), head = canvas;
    struct tensor latent;
    TRY(engine_known_make(r->engine, known, &canvas, f));
    if (all) {
        struct tensor z = tensor_rows(&all->latent, r->window.first, r->window.n);
        struct tensor level = tensor_rows(&all->level, r->window.first, r->window.n);
        memcpy(known->latent.data, z.data, tensor_bytes(&z));
        memcpy(known->level.data, level.data, tensor_bytes(&level));
    }
    if (r->window.n_head == 0) return ERR_OK;
    head.n_frames = r->n_head_frames;
    struct engine_clip clip = {r->tail.data, head};
    struct tensor head_level = tensor_rows(&known->level, 0, r->window.n_head);
    TRY(engine_encode_video(r->engine, &latent, &clip, f));
    memcpy(known->latent.data, latent.data, tensor_bytes(&latent));
    memset(head_level.data, 0, tensor_bytes(&head_level)); /* 0.0f: known and exact */
out:
    return rc;
}

static double sum_of_squares(const uint8_t *a, const uint8_t *b, int64_t n) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return (double)sum;
}

/* out = the frame of the former window, going over into that of this one; k is 1 .. n. */
static void fade(uint8_t *out, const uint8_t *rgb, int64_t n_bytes, int k, int n) {
    for (int64_t i = 0; i < n_bytes; i++)
        out[i] = (uint8_t)((out[i] * (n + 1 - k) + rgb[i] * k) / (n + 1));
}

/* Frames of the head are compared with what they were made from and dropped, but for the last few:
 * those were held back, and go over from the one decoding into the other. */
static enum err on_head_frame(struct render *r, int index, const uint8_t *rgb, struct fail *f) {
    uint8_t *former = (uint8_t *)r->tail.data + index * r->frame_bytes;
    int k = index - (r->n_head_frames - r->n_fade) + 1;
    r->seam += sum_of_squares(rgb, former, r->frame_bytes);
    if (k < 1) return ERR_OK;
    fade(former, rgb, r->frame_bytes, k, r->n_fade);
    return r->each(r->ctx, r->n_out++, former, f);
}

/* The tail is read as a head before it is overwritten: a window is longer than its head. */
static enum err on_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    enum err rc = ERR_OK;
    struct render *r = ctx;
    int n_held = r->is_last ? 0 : r->n_fade;
    if (index < r->n_head_frames)
        TRY(on_head_frame(r, index, rgb, f));
    else if (index < r->n_frames - n_held)
        TRY(r->each(r->ctx, r->n_out++, rgb, f));
    if (r->is_last) return ERR_OK;
    int64_t at = index - (r->n_frames - r->tail.dim[0]);
    if (at >= 0) memcpy((char *)r->tail.data + at * r->frame_bytes, rgb, (size_t)r->frame_bytes);
out:
    return rc;
}

static void say_seam(const struct render *r, int64_t i) {
    char line[96];
    double mean = r->seam / (double)(r->n_head_frames * r->frame_bytes);
    if (r->window.n_head == 0 || !r->engine->hooks.log) return;
    snprintf(line, sizeof line, "window %lld of %lld: its head came back at %.1f dB",
             (long long)i + 1, (long long)window_count(&r->plan),
             10 * log10(255 * 255 / (mean > 0 ? mean : 1e-4)));
    r->engine->hooks.log(r->engine->hooks.ctx, "render.seam", line);
}

static enum err make_window(struct render *r, int64_t i, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = r->engine;
    struct pool_mark mark = pool_mark(&e->host);
    struct engine_params params = r->in->params;
    struct engine_known known;
    struct tensor latent;
    r->window = window_at(&r->plan, i);
    r->n_frames = grid_pixel_frames(&e->grid, (int)r->window.n);
    r->n_head_frames =
        r->window.n_head > 0 ? grid_pixel_frames(&e->grid, (int)r->window.n_head) : 0;
    r->state.pace[ENGINE_PHASE_DECODE].n_skipped = r->n_head_frames;
    r->is_last = i == window_count(&r->plan) - 1;
    r->seam = 0;
    struct canvas canvas = window_canvas(r);
    TRY(fill_known(r, &known, f));
    params.first_latent = r->window.first;
    if (params.noise) params.noise += r->window.first * tensor_count(&known.latent) / r->window.n;
    TRY(engine_denoise(e, &latent, &canvas, &known, r->in->words, &params, f));
    TRY(engine_decode(e, &latent, on_frame, r, f));
    end_window_paces(r);
    say_seam(r, i);
out:
    pool_rewind(&e->host, mark);
    return rc;
}

static enum err take_tail(struct render *r, struct fail *f) {
    const struct canvas *c = &r->in->canvas;
    int n = grid_pixel_frames(&r->engine->grid, (int)r->plan.overlap);
    r->n_fade = n < r->engine->grid.factor_t ? n : r->engine->grid.factor_t;
    return pool_take(&r->engine->host, &r->tail, DTYPE_U8, 4,
                     (int64_t[]){n, c->height, c->width, 3}, f);
}

enum err engine_render(struct engine *e, const struct engine_render_in *in, engine_frame_fn each,
                       void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->host);
    struct render r = {.engine = e, .in = in, .each = each, .ctx = ctx};
    TRY(engine_canvas_check(e, &in->canvas, f));
    r.plan = engine_window_plan(e, grid_latent_frames(&e->grid, in->canvas.n_frames));
    r.frame_bytes = pixels_of(&r) * 3;
    int64_t n_windows = window_count(&r.plan);
    begin_paces(&r, n_windows);
    if (n_windows > 1) TRY(take_tail(&r, f));
    for (int64_t i = 0; i < n_windows; i++)
        TRY(make_window(&r, i, f));
    ASSERT(r.n_out == in->canvas.n_frames);
out:
    end_paces(&r);
    pool_rewind(&e->host, mark);
    return rc;
}
