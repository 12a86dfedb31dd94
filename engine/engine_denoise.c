#include "engine/engine_denoise.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine_expert.h"
#include "engine/mask.h"

/* Words on the device, through the text part of a transformer. */
static enum err take_text(struct engine *e, struct dit *d, struct dit_text *out,
                          const struct tensor *rows, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->step);
    struct tensor on_device;
    TRY(pool_take_2d(&e->step, &on_device, rows->dim[0], rows->dim[1], f));
    op_upload(&e->dev, &on_device, rows->data);
    TRY(dit_text_make(d, out, &on_device, ENGINE_TEXT_ROWS, &e->job, &e->step, f));
out:
    pool_rewind(&e->step, mark);
    return rc;
}

/* One or two pictures through the image encoder: rows [n * vision_n_rows, width]. */
static enum err encode_pictures(struct engine *e, struct tensor *rows,
                                const struct engine_clip picture[2], struct fail *f) {
    enum err rc = ERR_OK;
    int side = e->vision->config.image_px, n = picture[1].rgb ? 2 : 1;
    int64_t n_rows = vision_n_rows(e->vision);
    float *pixels = mem_take((size_t)side * (size_t)side * 3, sizeof *pixels);
    if (!pixels) TRY(FAIL(f, ERR_NOMEM, "no memory for a picture"));
    TRY(pool_take_2d(&e->step, rows, n * n_rows, e->vision->config.width, f));
    for (int i = 0; i < n; i++) {
        struct tensor part = tensor_rows(rows, i * n_rows, n_rows);
        const struct canvas *size = &picture[i].size;
        TRY(vision_prepare(e->vision, pixels, picture[i].rgb, size->width, size->height, f));
        TRY(vision_encode(e->vision, &part, pixels, &e->step, f));
    }
out:
    mem_free(pixels);
    return rc;
}

static enum err take_pictures(struct engine *e, struct dit *d, struct dit_pictures *out,
                              const struct engine_known *known, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->step);
    struct tensor rows;
    if (!known || !known->picture[0].rgb)
        return FAIL(f, ERR_UNSUPPORTED, "%.100s cannot do without a first frame", e->caps.name);
    TRY(encode_pictures(e, &rows, known->picture, f));
    TRY(dit_pictures_make(d, out, &rows, &e->job, &e->step, f));
out:
    pool_rewind(&e->step, mark);
    return rc;
}

static enum err ready_expert(struct engine *e, struct flow_expert *out, struct dit *d,
                             struct engine_denoise_expert *x, const struct engine_known *known,
                             const struct engine_words *words, bool is_guided, struct fail *f) {
    enum err rc = ERR_OK;
    *out = (struct flow_expert){.dit = d, .words = &x->words};
    TRY(take_text(e, d, &x->words, &words->rows, f));
    if (is_guided) {
        TRY(take_text(e, d, &x->negative, &words->negative_rows, f));
        out->negative = &x->negative;
    }
    if (d->caps.image_dim) {
        TRY(take_pictures(e, d, &x->pictures, known, f));
        out->pictures = &x->pictures;
    }
out:
    return rc;
}

/* flow_fetch_fn. */
static enum err fetch_expert(void *ctx, struct flow_in *in, bool is_late, struct fail *f) {
    enum err rc = ERR_OK;
    struct engine_denoise_model *m = ctx;
    struct engine_experts *x = &m->engine->experts;
    double scale = is_late ? in->guidance.scale_late : in->guidance.scale;
    TRY(engine_expert_load(m->engine, is_late, f));
    if (!x->is_loaded[!is_late]) (is_late ? &in->early : &in->late)->dit = NULL;
    TRY(ready_expert(m->engine, is_late ? &in->late : &in->early, x->dit[is_late],
                     is_late ? &m->late : &m->early, m->known, m->words, scale > 1, f));
out:
    return rc;
}

static const enum sampler_kind samplers[ENGINE_SOLVER_COUNT] = {
    [ENGINE_SOLVER_UNIPC] = SAMPLER_UNIPC,
    [ENGINE_SOLVER_EULER] = SAMPLER_EULER,
    [ENGINE_SOLVER_RENOISE] = SAMPLER_RENOISE,
};

enum err engine_denoise_schedule(const struct engine *e, struct schedule *s,
                                 enum sampler_kind *kind, const struct engine_params *p,
                                 struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_caps *c = &e->caps;
    const struct json_reals *own = &e->folder.sigmas;
    enum engine_solver solver = p->solver ? p->solver : c->solver;
    int n = p->n_steps > 0 ? p->n_steps : c->n_steps;
    double shift = p->shift > 0 ? p->shift : c->shift;
    bool is_own = own->n == n && solver == c->solver && p->shift <= 0;
    *kind = samplers[solver];
    if (p->n_sigmas > 0)
        TRY(schedule_list(s, p->sigmas, p->n_sigmas, p->shift > 0 ? p->shift : 1, f));
    else if (is_own)
        TRY(schedule_list(s, own->v, own->n, 1, f));
    else if (solver == ENGINE_SOLVER_UNIPC)
        TRY(schedule_unipc(s, n, shift, f));
    else
        TRY(schedule_euler(s, n, shift, f));
    if (solver == ENGINE_SOLVER_UNIPC) schedule_round(s);
out:
    return rc;
}

static struct guidance make_guidance(const struct engine *e, const struct engine_params *p) {
    struct guidance g = {.scale = p->guidance >= 0 ? p->guidance : e->caps.guidance,
                         .from = p->guidance_from > 0 ? p->guidance_from : 1,
                         .to = p->guidance_to,
                         .is_zero_star = p->is_zero_star,
                         .n_zero_steps = p->n_zero_steps};
    g.scale_late = p->guidance_2 > 0 ? p->guidance_2 : g.scale;
    return g;
}

enum err engine_denoise_ready(struct engine *e, struct engine_denoise_model *m,
                              const int64_t dims[4], const struct engine_known *known,
                              const struct engine_words *words, const struct engine_params *params,
                              struct fail *f) {
    enum err rc = ERR_OK;
    struct flow_in *in = &m->in;
    m->engine = e;
    m->known = known;
    m->words = words;
    *in = (struct flow_in){.guidance = make_guidance(e, params),
                           .cache = params->cache,
                           .boundary = e->folder.boundary * 1000,
                           .fetch = fetch_expert,
                           .fetch_ctx = m,
                           .L = dims[0],
                           .h = dims[1],
                           .w = dims[2],
                           .C = dims[3]};
    if (known) {
        in->extra = known->extra.data;
        in->control = known->control.data;
    }
    if (e->dit->caps.extra_channels + e->dit->caps.vace_channels > 0 && !in->extra && !in->control)
        return FAIL(f, ERR_UNSUPPORTED, "%.100s %s: it has to be rendered from given frames",
                    e->caps.name, adapter_name(e->adapter));
    /* What is loaded is made ready now, so that nothing is taken while the run goes on. */
    for (int i = 0; i < 2; i++)
        if (e->experts.is_loaded[i]) TRY(fetch_expert(m, in, i > 0, f));
    if (!in->early.dit && !in->late.dit) TRY(fetch_expert(m, in, false, f));
out:
    return rc;
}

struct denoising {
    struct engine *engine;
    int64_t started_ns;
    int64_t dims[4], n_front; /* of the latent, without the frames in front of it */
    uint8_t *rgb;             /* for the preview, or NULL */
};

/* x0 in colours, a column of small frames. */
static void show(struct denoising *d, const float *x0) {
    struct engine *e = d->engine;
    int64_t n = d->dims[0] * d->dims[1] * d->dims[2];
    if (!e->hooks.preview || !e->has_preview || !d->rgb) return;
    preview_make(&e->preview, d->rgb, x0 + d->n_front * n / d->dims[0] * d->dims[3], n);
    struct engine_clip clip = {d->rgb, {(int)d->dims[0], (int)d->dims[2], (int)d->dims[1]}};
    e->hooks.preview(e->hooks.ctx, &clip);
}

static enum err on_step(void *ctx, int done, int total, const float *x0, struct fail *f) {
    struct denoising *d = ctx;
    engine_tell(d->engine, ENGINE_PHASE_DENOISE, done, total, d->started_ns);
    show(d, x0);
    return done < total ? engine_still_wanted(d->engine, f) : ERR_OK;
}

static enum err check_known(const struct engine *e, const struct engine_known *known,
                            const int64_t dims[4], struct fail *f) {
    struct tensor latent = tensor_of(NULL, DTYPE_F32, 4, dims);
    struct tensor level = tensor_of(NULL, DTYPE_F32, 3, dims);
    int patch = e->grid.patch;
    if (!tensor_same_shape(&known->latent, &latent) || !tensor_same_shape(&known->level, &level))
        return FAIL(f, ERR_BUG, "known latents do not have the shape of the canvas");
    struct mask_grid g = {dims[0], dims[1], dims[2], 1, patch, patch};
    return mask_check(known->level.data, &g, f);
}

/* Frames in front of the canvas are free; what is known of it stands behind them. */
static enum err put_behind(struct engine *e, struct denoise_canvas *c,
                           const struct engine_known *known, const int64_t dims[4],
                           struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor latent, level;
    TRY(engine_take_host(e, &latent, 4, dims, f));
    TRY(engine_take_host(e, &level, 3, dims, f));
    memset(latent.data, 0, tensor_bytes(&latent));
    for (int64_t i = 0, n = tensor_count(&level); i < n; i++)
        ((float *)level.data)[i] = 1.0f;
    struct tensor z = tensor_rows(&latent, c->n_front, dims[0] - c->n_front);
    struct tensor tau = tensor_rows(&level, c->n_front, dims[0] - c->n_front);
    memcpy(z.data, known->latent.data, tensor_bytes(&z));
    memcpy(tau.data, known->level.data, tensor_bytes(&tau));
    c->known = latent.data;
    c->level = level.data;
out:
    return rc;
}

enum err engine_denoise(struct engine *e, struct tensor *latent, const struct canvas *canvas,
                        const struct engine_known *known, const struct engine_words *words,
                        const struct engine_params *params, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    struct engine_denoise_model *m = mem_take(1, sizeof *m);
    struct denoising ctx = {.engine = e, .started_ns = device_now_ns()};
    struct denoise_opts o = {
        .seed = params->seed, .noise = params->noise, .on_step = on_step, .ctx = &ctx};
    struct denoise_canvas c = {.first = params->first_latent, .is_ring = params->is_ring};
    int64_t dims[4];
    if (!m) TRY(FAIL(f, ERR_NOMEM, "no memory for the words of a model"));
    TRY(engine_canvas_check(e, canvas, f));
    engine_latent_dims(e, canvas, dims);
    memcpy(ctx.dims, dims, sizeof dims);
    if (e->hooks.preview) ctx.rgb = mem_take((size_t)(dims[0] * dims[1] * dims[2]), 3);
    TRY(engine_denoise_schedule(e, &o.schedule, &o.kind, params, f));
    if (known) {
        TRY(check_known(e, known, dims, f));
        c.known = known->latent.data;
        c.level = known->level.data;
        ctx.n_front = c.n_front = known->n_front;
    }
    dims[0] += c.n_front;
    if (c.n_front > 0) TRY(put_behind(e, &c, known, dims, f));
    if (e->adapter != ADAPTER_TOKENS) c.wait = SAMPLER_WAIT_REPAINT;
    engine_tell(e, ENGINE_PHASE_DENOISE, 0, o.schedule.n, ctx.started_ns);
    TRY(engine_still_wanted(e, f));
    TRY(engine_take_host(e, latent, 4, dims, f));
    TRY(engine_denoise_ready(e, m, dims, known, words, params, f));
    TRY(denoise_run(latent->data, &m->in, &c, &o, &e->job, &e->step, f));
    *latent = tensor_rows(latent, c.n_front, dims[0] - c.n_front);
    pool_trim(&e->step, 0); /* decoding comes next, and its caches may be what just fits */
out:
    mem_free(ctx.rgb);
    mem_free(m);
    pool_rewind(&e->job, mark);
    return rc;
}
