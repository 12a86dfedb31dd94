#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine_own.h"
#include "engine/mask.h"

enum {
    POOL_BLOCK_BYTES = 16 << 20,
    HOST_BLOCK_BYTES = 1 << 20,
    KEEP_BYTES = 64 << 20, /* what a pool keeps from one job to the next */
    CANVAS_MAX = 1 << 14,  /* of pixels of a side and of latent frames: products stay in 63 bits */
};

static const size_t process_max_bytes = (size_t)1 << 40;
static const size_t job_max_bytes = (size_t)8 << 30;

static void say(struct engine *e, const char *event, const char *text) {
    if (e->hooks.log) e->hooks.log(e->hooks.ctx, event, text);
}

static enum err still_wanted(struct engine *e, struct fail *f) {
    if (e->hooks.is_cancelled && e->hooks.is_cancelled(e->hooks.ctx))
        return FAIL(f, ERR_CANCELLED, "cancelled");
    return ERR_OK;
}

static void tell(struct engine *e, enum engine_phase phase, int step, int total,
                 int64_t started_ns) {
    if (!e->hooks.progress) return;
    struct engine_progress p = {.phase = phase, .step = step, .total = total, .eta_s = -1};
    if (step > 0) p.eta_s = (double)(device_now_ns() - started_ns) * 1e-9 * (total - step) / step;
    if (engine_render_place(e, &p)) e->hooks.progress(e->hooks.ctx, &p);
}

static void fill_caps(struct engine *e) {
    struct engine_caps *c = &e->caps;
    const struct engine_folder *m = &e->folder;
    e->grid = (struct grid){e->vae->config.factor_s, e->vae->config.factor_t,
                            e->dit->config.patch_size.v[1]};
    snprintf(c->name, sizeof c->name, "%s", m->name);
    c->multiple_px = grid_multiple(&e->grid);
    c->frame_step = e->vae->config.factor_t;
    c->window_latents = m->window_latents;
    c->overlap_latents = m->overlap_latents ? m->overlap_latents : (m->window_latents + 2) / 3;
    c->fps = m->fps;
    c->n_steps = m->sigmas.n ? m->sigmas.n : m->n_steps;
    c->guidance = m->guidance;
    c->shift = engine_folder_shift(m);
    c->solver = engine_folder_solver(m);
    c->default_width = m->width ? m->width : 8 * c->multiple_px;
    c->default_height = m->height ? m->height : 5 * c->multiple_px;
    c->default_frames = m->n_frames ? m->n_frames : 1 + 12 * c->frame_step;
    c->has_image_encoder = true;
    device_report(&e->dev, c->device, sizeof c->device);
}

/* Parts of one folder must speak of the same sizes. */
static enum err check_parts(const struct engine *e, struct fail *f) {
    const struct dit_config *d = &e->dit->config;
    if (d->out_channels != e->vae->config.z_dim)
        return FAIL(f, ERR_CORRUPT, "%.160s: the vae makes %d channels, the transformer %d",
                    e->folder.path, e->vae->config.z_dim, d->out_channels);
    const struct dit_caps *c = &e->dit->caps;
    if (c->extra_channels || c->image_dim || c->vace_channels || e->folder.has_low_expert)
        return FAIL(f, ERR_UNSUPPORTED,
                    "%.120s: a model that is told pictures, a control volume or has two experts; "
                    "nothing drives it yet",
                    e->folder.path);
    if (d->text_dim != e->text->config.d_model)
        return FAIL(f, ERR_CORRUPT,
                    "%.140s: the text encoder makes rows of %d, the transformer reads %d",
                    e->folder.path, e->text->config.d_model, d->text_dim);
    if (d->patch_size.v[1] != d->patch_size.v[2] || d->patch_size.v[0] != 1)
        return FAIL(f, ERR_UNSUPPORTED, "%.160s: patches of %d x %d x %d", e->folder.path,
                    d->patch_size.v[0], d->patch_size.v[1], d->patch_size.v[2]);
    return ERR_OK;
}

static enum err open_parts(struct engine *e, struct fail *f) {
    enum err rc = ERR_OK;
    char path[512];
    TRY(engine_folder_part(&e->folder, path, "tokenizer/spiece.model", f));
    TRY(tokenizer_open(&e->tokenizer, path, f));
    TRY(engine_folder_part(&e->folder, path, "text_encoder", f));
    TRY(text_open(&e->text, &e->dev, &e->process, path, TEXT_BY_SIZE, f));
    TRY(engine_folder_part(&e->folder, path, "transformer", f));
    TRY(dit_open(&e->dit, &e->dev, &e->process, path, NULL, f));
    TRY(engine_folder_part(&e->folder, path, "vae", f));
    TRY(vae_open(&e->vae, &e->dev, &e->process, path, f));
    TRY(check_parts(e, f));
out:
    return rc;
}

static void make_pools(struct engine *e, size_t max_bytes) {
    e->job_budget.max_bytes = max_bytes ? max_bytes : job_max_bytes;
    pool_make(&e->process, &e->dev, POOL_BLOCK_BYTES, process_max_bytes);
    pool_make(&e->job, &e->dev, POOL_BLOCK_BYTES, 0);
    pool_make(&e->step, &e->dev, POOL_BLOCK_BYTES, 0);
    pool_make(&e->host, &e->host_dev, HOST_BLOCK_BYTES, 0);
    pool_share(&e->job, &e->job_budget);
    pool_share(&e->step, &e->job_budget);
    pool_share(&e->host, &e->job_budget);
}

enum err engine_open(struct engine **out, const char *folder, const struct engine_opts *opts,
                     struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = mem_take(1, sizeof *e);
    *out = NULL;
    if (!e) return FAIL(f, ERR_NOMEM, "no memory for the engine");
    e->hooks = opts->hooks;
    TRY(engine_folder_read(&e->folder, folder, f));
    struct device_opts on = {.n_threads = opts->n_threads, .precision = opts->precision};
    TRY(device_open(&e->dev, opts->device ? opts->device : "cpu", &on, f));
    TRY(device_open(&e->host_dev, "ref", &(struct device_opts){0}, f)); /* memory of the host */
    e->dev.say = e->hooks.log;
    e->dev.say_ctx = e->hooks.ctx;
    make_pools(e, opts->job_max_bytes);
    TRY(open_parts(e, f));
    fill_caps(e);
    say(e, "engine.open", e->caps.device);
    *out = e;
    e = NULL;
out:
    if (e && rc != ERR_OK && f) say(e, "engine.refused", f->text);
    engine_close(e);
    return rc;
}

void engine_close(struct engine *e) {
    if (!e) return;
    tokenizer_close(e->tokenizer);
    text_close(e->text);
    dit_close(e->dit);
    vae_close(e->vae);
    pool_free(&e->host);
    pool_free(&e->step);
    pool_free(&e->job);
    pool_free(&e->process);
    device_close(&e->host_dev);
    device_close(&e->dev);
    mem_free(e);
}

const struct engine_caps *engine_caps(const struct engine *e) {
    return &e->caps;
}

void engine_hooks_set(struct engine *e, const struct engine_hooks *hooks) {
    e->hooks = *hooks;
    e->dev.say = hooks->log;
    e->dev.say_ctx = hooks->ctx;
}

static void latent_dims(const struct engine *e, const struct canvas *c, int64_t dims[4]) {
    dims[0] = grid_latent_frames(&e->grid, c->n_frames);
    dims[1] = c->height / e->grid.factor_s;
    dims[2] = c->width / e->grid.factor_s;
    dims[3] = e->vae->config.z_dim;
}

struct window_plan engine_window_plan(const struct engine *e, int64_t n_latents) {
    return (struct window_plan){n_latents, e->caps.window_latents, e->caps.overlap_latents};
}

/* Bytes of the biggest window: two prompts, then denoising or decoding, whichever takes more. */
static double window_bytes(const struct engine *e, const struct canvas *c) {
    int64_t dims[4];
    latent_dims(e, c, dims);
    struct window_plan plan = engine_window_plan(e, dims[0]);
    int64_t n = window_at(&plan, window_count(&plan) - 1).n;
    struct vae_shape one_latent = {.T = 1, .H = dims[1], .W = dims[2]};
    double denoise = flow_bytes(e->dit, n, dims[1], dims[2]);
    double decode = vae_stream_bytes(e->vae, VAE_DECODE, &one_latent);
    return 2 * dit_text_bytes(e->dit, ENGINE_TEXT_ROWS) + (denoise > decode ? denoise : decode);
}

enum err engine_canvas_check(const struct engine *e, const struct canvas *c, struct fail *f) {
    const double mib = 1 << 20;
    if (!grid_is_legal(&e->grid, c))
        return FAIL(f, ERR_INPUT,
                    "%d x %d with %d frames: width and height must be multiples of %d, frames one "
                    "more than a multiple of %d",
                    c->width, c->height, c->n_frames, e->caps.multiple_px, e->caps.frame_step);
    if (c->width > CANVAS_MAX || c->height > CANVAS_MAX ||
        grid_latent_frames(&e->grid, c->n_frames) > CANVAS_MAX)
        return FAIL(f, ERR_LIMIT, "%d x %d with %d frames: at most %d pixels a side, %d frames",
                    c->width, c->height, c->n_frames, CANVAS_MAX,
                    grid_pixel_frames(&e->grid, CANVAS_MAX));
    double need = window_bytes(e, c), max = (double)e->job_budget.max_bytes;
    if (need > max)
        return FAIL(f, ERR_LIMIT,
                    "%d x %d with %d frames needs about %.0f MiB, a job may have %.0f", c->width,
                    c->height, c->n_frames, need / mib, max / mib);
    return ERR_OK;
}

/* A host tensor of the job. */
static enum err take_host(struct engine *e, struct tensor *out, int n_dims, const int64_t *dims,
                          struct fail *f) {
    return pool_take(&e->host, out, DTYPE_F32, n_dims, dims, f);
}

enum err engine_encode_text(struct engine *e, struct engine_words *words, const char *prompt,
                            const char *negative, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t start = device_now_ns();
    tell(e, ENGINE_PHASE_TEXT, 0, 2, start);
    TRY(still_wanted(e, f));
    TRY(engine_text_rows(e, words, prompt, negative, f));
    tell(e, ENGINE_PHASE_TEXT, 2, 2, start);
out:
    return rc;
}

/* Gives the frames of a clip to the VAE. */
struct encoding {
    struct engine *engine;
    const struct engine_clip *clip;
    float *host; /* frames of one latent */
    int64_t started_ns;
};

/* Bytes to -1..1. */
static enum err on_pixels(void *ctx, struct tensor *pixels, int64_t first, struct fail *f) {
    struct encoding *c = ctx;
    struct engine *e = c->engine;
    int64_t n = tensor_count(pixels), frame = n / pixels->dim[0];
    const uint8_t *rgb = c->clip->rgb + first * frame;
    enum err rc = still_wanted(e, f);
    if (rc != ERR_OK) return rc;
    for (int64_t i = 0; i < n; i++)
        c->host[i] = (float)rgb[i] * (2.0f / 255.0f) - 1.0f;
    op_upload(&e->dev, pixels, c->host);
    tell(e, ENGINE_PHASE_ENCODE, (int)first, c->clip->size.n_frames, c->started_ns);
    return ERR_OK;
}

enum err engine_encode_video(struct engine *e, struct tensor *latent,
                             const struct engine_clip *clip, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    const struct canvas *size = &clip->size;
    struct tensor encoded;
    struct encoding c = {.engine = e, .clip = clip, .started_ns = device_now_ns()};
    int64_t dims[4];
    TRY(engine_canvas_check(e, size, f));
    latent_dims(e, size, dims);
    TRY(take_host(e, latent, 4, dims, f));
    TRY(pool_take(&e->job, &encoded, DTYPE_F32, 4, dims, f));
    c.host = mem_take((size_t)e->grid.factor_t * (size_t)size->width * (size_t)size->height * 3,
                      sizeof *c.host);
    if (!c.host) TRY(FAIL(f, ERR_NOMEM, "no memory for %d frames", e->grid.factor_t));
    TRY(vae_encode(e->vae, &encoded, &e->step, on_pixels, &c, f));
    op_download(&e->dev, latent->data, &encoded);
    tell(e, ENGINE_PHASE_ENCODE, size->n_frames, size->n_frames, c.started_ns);
out:
    mem_free(c.host);
    pool_rewind(&e->job, mark);
    return rc;
}

enum err engine_known_make(struct engine *e, struct engine_known *known,
                           const struct canvas *canvas, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t dims[4];
    TRY(engine_canvas_check(e, canvas, f));
    latent_dims(e, canvas, dims);
    TRY(take_host(e, &known->latent, 4, dims, f));
    TRY(take_host(e, &known->level, 3, dims, f));
    memset(known->latent.data, 0, tensor_bytes(&known->latent));
    for (int64_t i = 0, n = tensor_count(&known->level); i < n; i++)
        ((float *)known->level.data)[i] = 1.0f;
out:
    return rc;
}

/* Words on the device, through the text part of the transformer. */
static enum err take_text(struct engine *e, struct dit_text *out, const struct tensor *rows,
                          struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->step);
    struct tensor on_device;
    TRY(pool_take_2d(&e->step, &on_device, rows->dim[0], rows->dim[1], f));
    op_upload(&e->dev, &on_device, rows->data);
    TRY(dit_text_make(e->dit, out, &on_device, ENGINE_TEXT_ROWS, &e->job, &e->step, f));
out:
    pool_rewind(&e->step, mark);
    return rc;
}

static const enum sampler_kind samplers[ENGINE_SOLVER_COUNT] = {
    [ENGINE_SOLVER_UNIPC] = SAMPLER_UNIPC,
    [ENGINE_SOLVER_EULER] = SAMPLER_EULER,
    [ENGINE_SOLVER_RENOISE] = SAMPLER_RENOISE,
};

/* A list, of the caller or of the folder, or the grid of the solver. */
static enum err make_schedule(const struct engine *e, struct denoise_opts *o,
                              const struct engine_params *p, struct fail *f) {
    enum err rc = ERR_OK;
    const struct engine_caps *c = &e->caps;
    const struct json_reals *own = &e->folder.sigmas;
    enum engine_solver solver = p->solver ? p->solver : c->solver;
    int n = p->n_steps > 0 ? p->n_steps : c->n_steps;
    double shift = p->shift > 0 ? p->shift : c->shift;
    bool is_own = own->n == n && solver == c->solver && p->shift <= 0;
    o->kind = samplers[solver];
    if (p->n_sigmas > 0)
        TRY(schedule_list(&o->schedule, p->sigmas, p->n_sigmas, p->shift > 0 ? p->shift : 1, f));
    else if (is_own)
        TRY(schedule_list(&o->schedule, own->v, own->n, 1, f));
    else if (solver == ENGINE_SOLVER_UNIPC)
        TRY(schedule_unipc(&o->schedule, n, shift, f));
    else
        TRY(schedule_euler(&o->schedule, n, shift, f));
    if (solver == ENGINE_SOLVER_UNIPC) schedule_round(&o->schedule);
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

struct denoising {
    struct engine *engine;
    int64_t started_ns;
};

static enum err on_step(void *ctx, int done, int total, const float *x0, struct fail *f) {
    struct denoising *d = ctx;
    (void)x0;
    tell(d->engine, ENGINE_PHASE_DENOISE, done, total, d->started_ns);
    return done < total ? still_wanted(d->engine, f) : ERR_OK;
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

enum err engine_denoise(struct engine *e, struct tensor *latent, const struct canvas *canvas,
                        const struct engine_known *known, const struct engine_words *words,
                        const struct engine_params *params, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    struct dit_text text = {0}, negative = {0};
    struct denoising ctx = {e, device_now_ns()};
    struct denoise_opts o = {.seed = params->seed, .noise = params->noise, .on_step = on_step};
    struct denoise_canvas c = {.first = params->first_latent};
    int64_t dims[4];
    o.ctx = &ctx;
    TRY(engine_canvas_check(e, canvas, f));
    latent_dims(e, canvas, dims);
    TRY(make_schedule(e, &o, params, f));
    struct flow_in in = {.early = {.dit = e->dit, .words = &text, .negative = &negative},
                         .guidance = make_guidance(e, params),
                         .L = dims[0],
                         .h = dims[1],
                         .w = dims[2],
                         .C = dims[3]};
    if (known) {
        TRY(check_known(e, known, dims, f));
        c.known = known->latent.data;
        c.level = known->level.data;
    }
    tell(e, ENGINE_PHASE_DENOISE, 0, o.schedule.n, ctx.started_ns);
    TRY(still_wanted(e, f));
    TRY(take_host(e, latent, 4, dims, f));
    TRY(take_text(e, &text, &words->rows, f));
    if (in.guidance.scale > 1 || in.guidance.scale_late > 1)
        TRY(take_text(e, &negative, &words->negative_rows, f));
    TRY(denoise_run(latent->data, &in, &c, &o, &e->job, &e->step, f));
out:
    pool_rewind(&e->job, mark);
    return rc;
}

/* Hands the frames of one decoded latent on. */
struct decoding {
    struct engine *engine;
    engine_frame_fn each;
    void *ctx;
    int n_frames;
    int64_t started_ns;
    uint8_t *rgb; /* frames of one latent, host */
};

static enum err on_frames(void *ctx, const struct tensor *frames, int64_t first, struct fail *f) {
    enum err rc = ERR_OK;
    struct decoding *d = ctx;
    struct engine *e = d->engine;
    struct pool_mark mark = pool_mark(&e->job);
    struct tensor packed;
    int64_t frame_bytes = frames->dim[1] * frames->dim[2] * 3;
    TRY(still_wanted(e, f));
    TRY(pool_take(&e->job, &packed, DTYPE_U8, 4, frames->dim, f));
    TRY(op_pack_rgb(&e->dev, &packed, frames, f));
    op_download(&e->dev, d->rgb, &packed);
    for (int64_t i = 0; i < frames->dim[0]; i++)
        TRY(d->each(d->ctx, (int)(first + i), d->rgb + i * frame_bytes, f));
    tell(e, ENGINE_PHASE_DECODE, (int)(first + frames->dim[0]), d->n_frames, d->started_ns);
out:
    pool_rewind(&e->job, mark);
    return rc;
}

enum err engine_decode(struct engine *e, const struct tensor *latent, engine_frame_fn each,
                       void *ctx, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    struct tensor on_device;
    struct decoding d = {.engine = e, .each = each, .ctx = ctx, .started_ns = device_now_ns()};
    int64_t pixels = latent->dim[1] * latent->dim[2] * e->grid.factor_s * e->grid.factor_s;
    d.n_frames = grid_pixel_frames(&e->grid, (int)latent->dim[0]);
    tell(e, ENGINE_PHASE_DECODE, 0, d.n_frames, d.started_ns);
    TRY(pool_take(&e->job, &on_device, DTYPE_F32, 4, latent->dim, f));
    op_upload(&e->dev, &on_device, latent->data);
    d.rgb = mem_take((size_t)(pixels * e->grid.factor_t), 3);
    if (!d.rgb) TRY(FAIL(f, ERR_NOMEM, "no memory for frames"));
    TRY(vae_decode(e->vae, &on_device, &e->step, on_frames, &d, f));
out:
    mem_free(d.rgb);
    pool_rewind(&e->job, mark);
    return rc;
}

/* Where the time of the job went: "linear 1.20 s, conv 0.80 s". */
static void say_spent(struct engine *e) {
    char line[256] = "";
    int n = 0;
    for (int i = 0; i < DEVICE_OP_COUNT; i++) {
        struct device_spent *s = &e->dev.spent[i];
        if (s->ns >= 1000000 && n < (int)sizeof line)
            n += snprintf(line + n, sizeof line - (size_t)n, "%s%s %.2f s", n ? ", " : "",
                          device_op_name((enum device_op)i), (double)s->ns * 1e-9);
        *s = (struct device_spent){0};
    }
    if (n > 0) say(e, "engine.spent", line);
}

void engine_job_end(struct engine *e) {
    say_spent(e);
    pool_trim(&e->job, KEEP_BYTES);
    pool_trim(&e->step, KEEP_BYTES);
    pool_trim(&e->host, 0);
}
