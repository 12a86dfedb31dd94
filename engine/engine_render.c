#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine_adapt.h"
#include "engine/engine_decode.h"
#include "engine/engine_edit.h"
#include "engine/engine_encode.h"
#include "engine/engine_paste.h"
#include "engine/slot.h"

/* Latents that a ring is decoded before its first frame, so that the caches know its end. */
enum { RING_WARM_LATENTS = 8 };

/* A clip in the making, and the window that is being made. */
struct render {
    struct engine *engine;
    const struct engine_render_in *in;
    engine_frame_fn each;
    void *ctx;
    struct engine_pace_clip paces;
    struct canvas fit; /* what is made; in->canvas is what comes out of it */
    struct engine_known own;
    const struct engine_known *known; /* of the whole clip, or NULL */
    bool is_by_levels;                /* the model is told what is known by levels of latents */
    struct engine_paste paste;
    uint8_t *frame, *former; /* the wanted part: this frame, the one before */
    struct window_plan plan;
    struct window window;
    int n_frames, n_head_frames; /* of the window; the head is out already */
    int n_out;                   /* frames of the clip so far */
    bool is_last;
    double seam, steps; /* mean difference of neighbours: at the seam, sum over the others */
    int n_steps;
    /* WINDOW_HEAD_CARRY, _ANCHOR: one decoding for the whole clip */
    struct engine_decode_stream stream;
    struct tensor carried; /* host [overlap,h,w,C]: the last latents */
    struct tensor anchor;  /* host u8 [H,W,3]: the frame at which the next window begins; of a loop,
                              its first */
    /* WINDOW_HEAD_ENCODE: a decoding for each window, which go over into each other */
    struct tensor tail; /* u8 [frames,H,W,3]: the last ones, for the next head */
    int n_fade;         /* frames over which a window goes over into the next */
    double head;        /* sum of squares: the head as decoded minus what it was made from */
};

static int64_t pixels_of(const struct canvas *c) {
    return (int64_t)c->width * c->height;
}

static int64_t bytes_of(const struct canvas *c) {
    return pixels_of(c) * 3;
}

static void begin_paces(struct render *r, int64_t n_windows, int n_frames) {
    struct engine_pace *p = r->paces.pace;
    const struct engine_params *params = &r->in->params;
    int n_steps = params->n_steps > 0 ? params->n_steps : r->engine->caps.n_steps;
    if (params->n_sigmas > 0) n_steps = params->n_sigmas;
    p[ENGINE_PHASE_DENOISE].n_total = n_steps * (int)n_windows;
    p[ENGINE_PHASE_DECODE].n_total = n_frames;
    p[ENGINE_PHASE_DECODE].guess_ns = r->engine->frame_ns_per_px * (double)pixels_of(&r->fit);
    r->engine->pace = &r->paces;
}

static void end_paces(struct render *r) {
    const struct engine_pace *p = &r->paces.pace[ENGINE_PHASE_DECODE];
    if (p->n_before > 0)
        r->engine->frame_ns_per_px = (double)p->spent_ns / p->n_before / (double)pixels_of(&r->fit);
    r->engine->pace = NULL;
}

static double difference(const uint8_t *a, const uint8_t *b, int64_t n) {
    int64_t sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
    return (double)sum / (double)n;
}

/* How far the picture moved since the frame before; the first step of a window is its seam. */
static void note_step(struct render *r) {
    if (r->n_out == 0) return;
    double d = difference(r->frame, r->former, bytes_of(&r->in->canvas));
    if (r->seam < 0) {
        r->seam = d;
        return;
    }
    r->steps += d;
    r->n_steps++;
}

/* The wanted part of a made frame, with what was given put back, goes to the caller. */
static enum err emit(struct render *r, const uint8_t *rgb, struct fail *f) {
    const struct canvas *c = &r->in->canvas;
    size_t row = (size_t)c->width * 3, made_row = (size_t)r->fit.width * 3;
    for (int y = 0; y < c->height; y++)
        memcpy(r->frame + (size_t)y * row, rgb + (size_t)y * made_row, row);
    engine_paste_frame(&r->paste, r->frame, r->n_out);
    note_step(r);
    enum err rc = r->each(r->ctx, r->n_out, r->frame, f);
    uint8_t *former = r->former;
    r->former = r->frame;
    r->frame = former;
    r->n_out++;
    return rc;
}

/* The canvas of the window. */
static struct canvas window_canvas(const struct render *r) {
    return (struct canvas){r->n_frames, r->fit.width, r->fit.height};
}

static enum err encode_anchor(struct render *r, struct engine_known *known, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor latent;
    struct engine_clip one = {r->anchor.data, {1, r->fit.width, r->fit.height}};
    TRY(engine_encode_video(r->engine, &latent, &one, f));
    memcpy(known->latent.data, latent.data, tensor_bytes(&latent));
out:
    return rc;
}

static enum err encode_head(struct render *r, struct engine_known *known, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor latent;
    struct engine_clip clip = {r->tail.data, {r->n_head_frames, r->fit.width, r->fit.height}};
    TRY(engine_encode_video(r->engine, &latent, &clip, f));
    memcpy(known->latent.data, latent.data, tensor_bytes(&latent));
out:
    return rc;
}

/* The last latents of the window before, known and exact, in the form that suits the model. */
static enum err fill_head(struct render *r, struct engine_known *known, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor level = tensor_rows(&known->level, 0, r->window.n_head);
    memset(level.data, 0, tensor_bytes(&level)); /* 0.0f: known and exact */
    if (r->engine->head == WINDOW_HEAD_ENCODE) return encode_head(r, known, f);
    memcpy(known->latent.data, r->carried.data, tensor_bytes(&r->carried));
    if (r->engine->head == WINDOW_HEAD_ANCHOR && !r->in->edit) TRY(encode_anchor(r, known, f));
out:
    return rc;
}

/* What is known of the window: the caller's share, and the head in its place. */
static enum err fill_known(struct render *r, struct engine_known *known, struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_known *all = r->known;
    struct canvas canvas = window_canvas(r);
    TRY(engine_known_make(r->engine, known, &canvas, f));
    if (all) {
        struct tensor z = tensor_rows(&all->latent, r->window.first, r->window.n);
        struct tensor level = tensor_rows(&all->level, r->window.first, r->window.n);
        memcpy(known->latent.data, z.data, tensor_bytes(&z));
        memcpy(known->level.data, level.data, tensor_bytes(&level));
    }
    if (r->is_by_levels && r->window.n_head > 0) TRY(fill_head(r, known, f));
    struct engine_adapt_view view = {
        .wanted = {r->n_frames, r->in->canvas.width, r->in->canvas.height},
        .fit = canvas,
        .first = (int)r->window.first * r->engine->grid.factor_t,
        .given = r->in->given,
        .head = r->tail.data,
        .n_head = r->n_head_frames};
    TRY(engine_adapt_fill(r->engine, known, &view, f));
out:
    return rc;
}

/* Frames of the one decoding; the frame that ends the latent before the next window's first new one
 * is where that window begins. */
static enum err on_stream_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct render *r = ctx;
    int next =
        slot_frame(&r->engine->grid, r->window.first + r->window.n - r->plan.overlap + 1) - 1;
    if (!r->is_last && index == next) memcpy(r->anchor.data, rgb, (size_t)bytes_of(&r->fit));
    return emit(r, rgb, f);
}

static enum err decode_carried(struct render *r, const struct tensor *latent, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t n_head = r->window.n_head, overlap = r->plan.overlap;
    struct tensor fresh = tensor_rows(latent, n_head, latent->dim[0] - n_head);
    r->paces.pace[ENGINE_PHASE_DECODE].n_skipped = r->n_out;
    TRY(engine_decode_more(&r->stream, fresh.data, fresh.dim[0], f));
    if (r->is_last) return ERR_OK;
    struct tensor last = tensor_rows(latent, latent->dim[0] - overlap, overlap);
    memcpy(r->carried.data, last.data, tensor_bytes(&last));
out:
    return rc;
}

/* out = the frame of the former window, going over into that of this one; k is 1 .. n. */
static void fade(uint8_t *out, const uint8_t *rgb, int64_t n_bytes, int k, int n) {
    for (int64_t i = 0; i < n_bytes; i++)
        out[i] = (uint8_t)((out[i] * (n + 1 - k) + rgb[i] * k) / (n + 1));
}

/* Frames of the head are compared with what they were made from and dropped, but for the last few:
 * those were held back, and go over from the one decoding into the other. */
static enum err on_head_frame(struct render *r, int index, const uint8_t *rgb, struct fail *f) {
    int64_t n_bytes = bytes_of(&r->fit);
    uint8_t *former = (uint8_t *)r->tail.data + index * n_bytes;
    int k = index - (r->n_head_frames - r->n_fade) + 1;
    for (int64_t i = 0; i < n_bytes; i++)
        r->head += (rgb[i] - former[i]) * (rgb[i] - former[i]);
    if (k < 1) return ERR_OK;
    fade(former, rgb, n_bytes, k, r->n_fade);
    return emit(r, former, f);
}

/* The tail is read as a head before it is overwritten: a window is longer than its head. */
static enum err on_window_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    enum err rc = ERR_OK;
    struct render *r = ctx;
    int64_t n_bytes = bytes_of(&r->fit);
    int n_held = r->is_last ? 0 : r->n_fade;
    if (index < r->n_head_frames)
        TRY(on_head_frame(r, index, rgb, f));
    else if (index < r->n_frames - n_held)
        TRY(emit(r, rgb, f));
    if (r->is_last) return ERR_OK;
    int64_t at = index - (r->n_frames - r->tail.dim[0]);
    if (at >= 0) memcpy((char *)r->tail.data + at * n_bytes, rgb, (size_t)n_bytes);
out:
    return rc;
}

static enum err decode_window(struct render *r, const struct tensor *latent, struct fail *f) {
    r->paces.pace[ENGINE_PHASE_DECODE].n_skipped = r->n_head_frames;
    return engine_decode(r->engine, latent, on_window_frame, r, f);
}

static enum err on_ring_frame(void *ctx, int index, const uint8_t *rgb, struct fail *f) {
    struct render *r = ctx;
    if (index < grid_pixel_frames(&r->engine->grid, RING_WARM_LATENTS)) return ERR_OK;
    enum err rc = emit(r, rgb, f);
    if (r->n_out == 1) memcpy(r->anchor.data, r->former, (size_t)bytes_of(&r->in->canvas));
    return rc;
}

static void say_loop(struct render *r) {
    char line[96];
    double around = r->n_steps > 0 ? (r->seam + r->steps) / (r->n_steps + 1) : 0;
    double seam = difference(r->former, r->anchor.data, bytes_of(&r->in->canvas));
    snprintf(line, sizeof line,
             "a step of %.2f from the last frame to the first, %.2f between others", seam, around);
    engine_say(r->engine, "render.loop", line);
}

/* The end of the ring goes before its beginning, so that frame 0 has the past that it will have. */
static enum err decode_ring(struct render *r, const struct tensor *latent, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = r->engine;
    struct pool_mark mark = pool_mark(&e->job);
    int64_t L = latent->dim[0];
    struct engine_decode_stream d = {0};
    TRY(pool_take(&e->host, &r->anchor, DTYPE_U8, 1, &(int64_t){bytes_of(&r->in->canvas)}, f));
    int64_t dims[] = {L + RING_WARM_LATENTS, latent->dim[1], latent->dim[2], latent->dim[3]};
    TRY(engine_decode_open(&d, e, dims, on_ring_frame, r, f));
    r->paces.pace[ENGINE_PHASE_DECODE].n_skipped = grid_pixel_frames(&e->grid, RING_WARM_LATENTS);
    for (int64_t i = -RING_WARM_LATENTS; i < L; i++) {
        struct tensor one = tensor_rows(latent, ((i % L) + L) % L, 1);
        TRY(engine_decode_more(&d, one.data, 1, f));
    }
    say_loop(r);
out:
    engine_decode_close(&d);
    pool_rewind(&e->job, mark);
    return rc;
}

static void say_seam(struct render *r, int64_t i) {
    char line[128];
    double mean = r->head / ((double)r->n_head_frames * (double)bytes_of(&r->fit));
    double around = r->n_steps > 0 ? r->steps / r->n_steps : 0;
    if (r->window.n_head == 0) return;
    if (r->engine->head == WINDOW_HEAD_ENCODE)
        snprintf(line, sizeof line, "window %lld of %lld: its head came back at %.1f dB",
                 (long long)i + 1, (long long)window_count(&r->plan),
                 10 * log10(255 * 255 / (mean > 0 ? mean : 1e-4)));
    else
        snprintf(line, sizeof line,
                 "window %lld of %lld: a step of %.2f at its seam, %.2f after it", (long long)i + 1,
                 (long long)window_count(&r->plan), r->seam, around);
    engine_say(r->engine, "render.seam", line);
}

static enum err edit_window(struct render *r, struct tensor *latent,
                            const struct engine_known *known, const struct engine_params *params,
                            struct fail *f) {
    struct tensor source = tensor_rows(&r->known->latent, r->window.first, r->window.n);
    struct engine_edit_in in = {r->in->edit, r->in->words, params, &source, r->window.n_head};
    return engine_edit_window(r->engine, latent, known, &in, f);
}

static enum err make_window(struct render *r, int64_t i, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = r->engine;
    struct pool_mark mark = pool_mark(&e->host);
    struct engine_params params = r->in->params;
    struct engine_known known = {0};
    struct tensor latent;
    r->window = window_at(&r->plan, i);
    r->n_frames = grid_pixel_frames(&e->grid, (int)r->window.n);
    r->n_head_frames =
        r->window.n_head > 0 ? grid_pixel_frames(&e->grid, (int)r->window.n_head) : 0;
    r->is_last = i == window_count(&r->plan) - 1;
    r->head = r->steps = 0;
    r->n_steps = 0;
    r->seam = -1;
    struct canvas canvas = window_canvas(r);
    TRY(fill_known(r, &known, f));
    params.first_latent = r->window.first;
    if (params.noise) params.noise += r->window.first * tensor_count(&known.latent) / r->window.n;
    params.is_ring = r->in->is_loop;
    if (r->in->edit)
        TRY(edit_window(r, &latent, &known, &params, f));
    else
        TRY(engine_denoise(e, &latent, &canvas, &known, r->in->words, &params, f));
    if (r->in->is_loop)
        TRY(decode_ring(r, &latent, f));
    else if (r->stream.engine)
        TRY(decode_carried(r, &latent, f));
    else
        TRY(decode_window(r, &latent, f));
    engine_pace_end_window(&r->paces);
    say_seam(r, i);
out:
    pool_rewind(&e->host, mark);
    return rc;
}

/* What windows hand to each other. One window alone is decoded when its denoising is over and has
 * given its memory back. */
static enum err take_links(struct render *r, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = r->engine;
    int64_t dims[4], H = r->fit.height, W = r->fit.width;
    engine_latent_dims(e, &r->fit, dims);
    int64_t L = dims[0];
    if (e->head == WINDOW_HEAD_ENCODE) {
        int n = grid_pixel_frames(&e->grid, (int)r->plan.overlap);
        r->n_fade = n < e->grid.factor_t ? n : e->grid.factor_t;
        return pool_take(&e->host, &r->tail, DTYPE_U8, 4, (int64_t[]){n, H, W, 3}, f);
    }
    dims[0] = r->plan.overlap;
    TRY(engine_take_host(e, &r->carried, 4, dims, f));
    TRY(pool_take(&e->host, &r->anchor, DTYPE_U8, 3, (int64_t[]){H, W, 3}, f));
    dims[0] = L;
    TRY(engine_decode_open(&r->stream, e, dims, on_stream_frame, r, f));
    r->stream.n_total = r->fit.n_frames;
out:
    return rc;
}

static enum err take_frames(struct render *r, struct fail *f) {
    enum err rc = ERR_OK;
    size_t n = (size_t)bytes_of(&r->in->canvas);
    r->frame = mem_take(n, 1);
    r->former = mem_take(n, 1);
    if (!r->frame || !r->former) TRY(FAIL(f, ERR_NOMEM, "no memory for frames"));
    TRY(engine_paste_make(&r->paste, r->in->given, &r->in->canvas, &r->engine->grid, f));
out:
    return rc;
}

/* What is given, in the form that the model can be told, or a refusal. */
static enum err adapt(struct render *r, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = r->engine;
    const struct engine_render_in *in = r->in;
    unsigned needs = engine_adapt_needs(&in->canvas, in->given);
    r->is_by_levels = e->adapter == ADAPTER_TOKENS || e->adapter == ADAPTER_REPAINT;
    r->known = in->known;
    if (in->known && !r->is_by_levels)
        return FAIL(f, ERR_UNSUPPORTED, "%.100s cannot be told latents: it %s", e->caps.name,
                    adapter_name(e->adapter));
    TRY(adapter_check(e->adapter, needs, e->caps.name, f));
    TRY(engine_adapt_check(&in->canvas, in->given, in->is_loop, f));
    if (in->known) return ERR_OK;
    if (e->adapter == ADAPTER_SOURCE && window_count(&r->plan) > 1)
        return FAIL(f, ERR_LIMIT, "%.100s edits %d frames at most", e->caps.name,
                    grid_pixel_frames(&e->grid, e->caps.window_latents));
    if (!in->given || !(r->is_by_levels || needs & ADAPTER_SOFT)) return ERR_OK;
    if (e->adapter == ADAPTER_REPAINT && needs & ~(unsigned)ADAPTER_SOFT)
        engine_say(
            e, "render.repaint",
            "the model was not trained with given frames: they are painted over at each step");
    TRY(engine_known_from(e, &r->own, &in->canvas, in->given, f));
    r->known = &r->own;
out:
    return rc;
}

static enum err make_all(struct render *r, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = r->engine;
    const struct engine_render_in *in = r->in;
    int64_t n_windows = window_count(&r->plan);
    if (in->is_loop && n_windows > 1)
        return FAIL(f, ERR_LIMIT, "a loop of %d frames; this model can close %d at most",
                    (int)r->plan.L * e->grid.factor_t, e->caps.window_latents * e->grid.factor_t);
    TRY(take_frames(r, f));
    TRY(adapt(r, f));
    if (in->edit && !in->given && !in->known)
        return FAIL(f, ERR_INPUT, "an edit needs a clip of the whole canvas");
    if (in->edit && !(r->is_by_levels && r->known))
        return FAIL(f, ERR_UNSUPPORTED, "%.100s cannot edit a clip in this way: it %s",
                    e->caps.name, adapter_name(e->adapter));
    int n_frames = in->is_loop ? (int)r->plan.L * e->grid.factor_t : in->canvas.n_frames;
    begin_paces(r, n_windows, n_frames);
    if (n_windows > 1) TRY(take_links(r, f));
    for (int64_t i = 0; i < n_windows; i++)
        TRY(make_window(r, i, f));
    ASSERT(r->n_out == n_frames);
out:
    return rc;
}

enum err engine_render(struct engine *e, const struct engine_render_in *in, engine_frame_fn each,
                       void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark host = pool_mark(&e->host), job = pool_mark(&e->job);
    struct render r = {.engine = e, .in = in, .each = each, .ctx = ctx};
    r.fit = engine_canvas_fit(e, &in->canvas);
    TRY(engine_canvas_check(e, &r.fit, f));
    r.plan = engine_window_plan(e, grid_latent_frames(&e->grid, r.fit.n_frames));
    TRY(make_all(&r, f));
out:
    end_paces(&r);
    engine_decode_close(&r.stream);
    engine_paste_free(&r.paste);
    mem_free(r.frame);
    mem_free(r.former);
    pool_rewind(&e->job, job);
    pool_rewind(&e->host, host);
    return rc;
}
