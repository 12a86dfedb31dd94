#include "engine/engine.h"

#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/engine_adapt.h"
#include "engine/engine_decode.h"
#include "engine/engine_expert.h"

enum {
    WEIGHT_BLOCK_BYTES = 256 << 20, /* the end that no tensor fits into costs no memory */
    POOL_BLOCK_BYTES = 16 << 20,
    HOST_BLOCK_BYTES = 1 << 20,
    KEEP_BYTES = 64 << 20, /* what a pool keeps from one job to the next */
    CANVAS_MAX = 1 << 14,  /* of pixels of a side and of latent frames: products stay in 63 bits */
};

static const size_t process_max_bytes = (size_t)1 << 40;
static const size_t job_max_bytes = (size_t)8 << 30;

void engine_say(struct engine *e, const char *event, const char *text) {
    if (e->hooks.log) e->hooks.log(e->hooks.ctx, event, text);
}

enum err engine_still_wanted(struct engine *e, struct fail *f) {
    if (e->hooks.is_cancelled && e->hooks.is_cancelled(e->hooks.ctx))
        return FAIL(f, ERR_CANCELLED, "cancelled");
    return ERR_OK;
}

void engine_tell(struct engine *e, enum engine_phase phase, int step, int total,
                 int64_t started_ns) {
    if (!e->hooks.progress) return;
    struct engine_progress p = {.phase = phase, .step = step, .total = total, .eta_s = -1};
    if (step > 0) p.eta_s = (double)(device_now_ns() - started_ns) * 1e-9 * (total - step) / step;
    if (e->pace && !engine_pace_place(e->pace, &p, device_now_ns())) return;
    e->hooks.progress(e->hooks.ctx, &p);
}

/* What a folder does not say: windows of the length that the published models were trained on, 81
 * frames, or 121 of the one that is told a timestep per token; 17 frames of context, or the one
 * that a model can be told by channels. */
static void fill_windows(struct engine *e) {
    struct engine_caps *c = &e->caps;
    const struct engine_folder *m = &e->folder;
    c->window_latents = m->window_latents;
    c->overlap_latents = m->overlap_latents;
    if (c->window_latents == 0) c->window_latents = e->adapter == ADAPTER_TOKENS ? 31 : 21;
    if (c->overlap_latents == 0) c->overlap_latents = e->adapter == ADAPTER_CHANNELS ? 1 : 5;
    if (c->overlap_latents >= c->window_latents) c->overlap_latents = (c->window_latents + 2) / 3;
}

static void fill_caps(struct engine *e) {
    struct engine_caps *c = &e->caps;
    const struct engine_folder *m = &e->folder;
    snprintf(c->name, sizeof c->name, "%s", m->name);
    c->multiple_px = grid_multiple(&e->grid);
    c->frame_step = e->vae->config.factor_t;
    fill_windows(e);
    e->head = engine_folder_head(m);
    if (e->adapter != ADAPTER_TOKENS && e->adapter != ADAPTER_REPAINT) e->head = WINDOW_HEAD_ENCODE;
    c->can = adapter_can(e->adapter);
    c->adapter = adapter_name(e->adapter);
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
    if (d->text_dim != e->text->config.d_model)
        return FAIL(f, ERR_CORRUPT,
                    "%.140s: the text encoder makes rows of %d, the transformer reads %d",
                    e->folder.path, e->text->config.d_model, d->text_dim);
    if (d->patch_size.v[1] != d->patch_size.v[2] || d->patch_size.v[0] != 1)
        return FAIL(f, ERR_UNSUPPORTED, "%.160s: patches of %d x %d x %d", e->folder.path,
                    d->patch_size.v[0], d->patch_size.v[1], d->patch_size.v[2]);
    if (e->dit->caps.image_dim && (!e->vision || e->vision->config.width != e->dit->caps.image_dim))
        return FAIL(f, ERR_CORRUPT,
                    "%.140s: the transformer attends to pictures in rows of %d; image_encoder does "
                    "not make them",
                    e->folder.path, e->dit->caps.image_dim);
    return ERR_OK;
}

/* What a folder or a caller may have beside: colours of latents, a tiny decoder. */
static enum err open_beside(struct engine *e, const struct engine_opts *opts, const char *vae,
                            struct fail *f) {
    enum err rc = preview_read(&e->preview, vae, e->vae->config.z_dim, f);
    e->has_preview = rc == ERR_OK;
    if (rc == ERR_NOT_FOUND) rc = ERR_OK;
    if (rc != ERR_OK || !opts->taehv) return rc;
    TRY(taehv_open(&e->taehv, &e->dev, &e->process, opts->taehv, f));
    if (e->taehv->shape.z_dim != e->vae->config.z_dim ||
        e->taehv->factor_s != e->vae->config.factor_s)
        return FAIL(f, ERR_INPUT,
                    "%.160s: a tiny decoder of %d channels, %d pixels; the VAE has %d, %d",
                    opts->taehv, (int)e->taehv->shape.z_dim, e->taehv->factor_s,
                    e->vae->config.z_dim, e->vae->config.factor_s);
out:
    return rc;
}

static enum err open_parts(struct engine *e, const struct engine_opts *opts, struct fail *f) {
    enum err rc = ERR_OK;
    char path[512];
    TRY(engine_folder_part(&e->folder, path, "tokenizer", f));
    TRY(tokenizer_open_folder(&e->tokenizer, path, f));
    TRY(engine_folder_part(&e->folder, path, "text_encoder", f));
    TRY(text_open(&e->text, &e->dev, &e->process, path, TEXT_BY_SIZE, f));
    engine_text_open_cache(e, opts->cache_dir);
    TRY(engine_expert_open(e, opts, f));
    if (e->dit->caps.image_dim && e->folder.has_image_encoder) {
        TRY(engine_folder_part(&e->folder, path, "image_encoder", f));
        TRY(vision_open(&e->vision, &e->dev, &e->process, path, f));
    }
    TRY(engine_folder_part(&e->folder, path, "vae", f));
    TRY(vae_open(&e->vae, &e->dev, &e->process, path, f));
    TRY(check_parts(e, f));
    TRY(open_beside(e, opts, path, f));
    e->grid = (struct grid){e->vae->config.factor_s, e->vae->config.factor_t,
                            e->dit->config.patch_size.v[1]};
    TRY(engine_adapt_find(&e->adapter, e, f));
out:
    return rc;
}

static void make_pools(struct engine *e, size_t max_bytes) {
    e->job_budget.max_bytes = max_bytes ? max_bytes : job_max_bytes;
    pool_make(&e->process, &e->dev, WEIGHT_BLOCK_BYTES, process_max_bytes);
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
    TRY(open_parts(e, opts, f));
    TRY(op_check(&e->dev, f)); /* weights have arrived */
    fill_caps(e);
    engine_say(e, "engine.open", e->caps.device);
    *out = e;
    e = NULL;
out:
    if (e && rc != ERR_OK && f) engine_say(e, "engine.refused", f->text);
    engine_close(e);
    return rc;
}

void engine_close(struct engine *e) {
    if (!e) return;
    tokenizer_close(e->tokenizer);
    text_close(e->text);
    engine_expert_close(e);
    vision_close(e->vision);
    vae_close(e->vae);
    taehv_close(e->taehv);
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

void engine_latent_dims(const struct engine *e, const struct canvas *c, int64_t dims[4]) {
    dims[0] = grid_latent_frames(&e->grid, c->n_frames);
    dims[1] = c->height / e->grid.factor_s;
    dims[2] = c->width / e->grid.factor_s;
    dims[3] = e->vae->config.z_dim;
}

struct window_plan engine_window_plan(const struct engine *e, int64_t n_latents) {
    return (struct window_plan){n_latents, e->caps.window_latents, e->caps.overlap_latents};
}

double engine_canvas_bytes(const struct engine *e, const struct canvas *c) {
    int64_t dims[4];
    engine_latent_dims(e, c, dims);
    struct window_plan plan = engine_window_plan(e, dims[0]);
    int64_t n_windows = window_count(&plan), n = window_at(&plan, n_windows - 1).n;
    int n_experts = e->folder.has_low_expert ? 2 : 1;
    double text = 2 * n_experts * dit_text_bytes(e->dit, ENGINE_TEXT_ROWS);
    if (e->dit->caps.image_dim && e->vision)
        text += n_experts * dit_pictures_bytes(e->dit, 2 * vision_n_rows(e->vision));
    double denoise = text + flow_bytes(e->dit, n, dims[1], dims[2]);
    double decode = engine_decode_bytes(e, dims);
    if (n_windows > 1 && e->head != WINDOW_HEAD_ENCODE) return denoise + decode;
    return denoise > decode ? denoise : decode;
}

/* The largest legal number up to `asked`, of those that are `first` and a multiple of `step` more.
 */
static int nearest_below(int asked, int first, int step) {
    if (asked > CANVAS_MAX) asked = CANVAS_MAX;
    return asked < first ? first : first + (asked - first) / step * step;
}

static enum err check_grid(const struct engine *e, const struct canvas *c, struct fail *f) {
    if (grid_is_legal(&e->grid, c)) return ERR_OK;
    int m = e->caps.multiple_px, s = e->caps.frame_step;
    int w = nearest_below(c->width, m, m), h = nearest_below(c->height, m, m);
    int n = nearest_below(c->n_frames, 1, s);
    return FAIL(f, ERR_INPUT,
                "%d x %d with %d frames: width and height must be multiples of %d, frames one more "
                "than a multiple of %d; near are %d x %d and %d x %d, %d and %d frames",
                c->width, c->height, c->n_frames, m, s, w, h, w + m, h + m, n, n + s);
}

enum err engine_canvas_check(const struct engine *e, const struct canvas *c, struct fail *f) {
    const double mib = 1 << 20;
    enum err rc = check_grid(e, c, f);
    if (rc != ERR_OK) return rc;
    if (c->width > CANVAS_MAX || c->height > CANVAS_MAX ||
        grid_latent_frames(&e->grid, c->n_frames) > CANVAS_MAX)
        return FAIL(f, ERR_LIMIT, "%d x %d with %d frames: at most %d pixels a side, %d frames",
                    c->width, c->height, c->n_frames, CANVAS_MAX,
                    grid_pixel_frames(&e->grid, CANVAS_MAX));
    double need = engine_canvas_bytes(e, c), max = (double)e->job_budget.max_bytes;
    if (need > max)
        return FAIL(f, ERR_LIMIT,
                    "%d x %d with %d frames needs about %.0f MiB, a job may have %.0f", c->width,
                    c->height, c->n_frames, need / mib, max / mib);
    return ERR_OK;
}

struct canvas engine_canvas_fit(const struct engine *e, const struct canvas *c) {
    int m = e->caps.multiple_px;
    struct canvas fit = *c;
    if (c->width > 0 && c->width <= CANVAS_MAX) fit.width = (c->width + m - 1) / m * m;
    if (c->height > 0 && c->height <= CANVAS_MAX) fit.height = (c->height + m - 1) / m * m;
    return fit;
}

enum err engine_take_host(struct engine *e, struct tensor *out, int n_dims, const int64_t *dims,
                          struct fail *f) {
    return pool_take(&e->host, out, DTYPE_F32, n_dims, dims, f);
}

enum err engine_encode_text(struct engine *e, struct engine_words *words, const char *prompt,
                            const char *negative, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t start = device_now_ns();
    engine_tell(e, ENGINE_PHASE_TEXT, 0, 2, start);
    TRY(engine_still_wanted(e, f));
    TRY(engine_text_rows(e, words, prompt, negative, f));
    engine_tell(e, ENGINE_PHASE_TEXT, 2, 2, start);
out:
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
    if (n > 0) engine_say(e, "engine.spent", line);
}

void engine_job_end(struct engine *e) {
    say_spent(e);
    pool_trim(&e->job, KEEP_BYTES);
    pool_trim(&e->step, KEEP_BYTES);
    pool_trim(&e->host, 0);
}

enum err engine_check(struct engine *e, struct fail *f) {
    return op_check(&e->dev, f);
}
