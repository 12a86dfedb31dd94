#include <string.h>

#include "common/base/assert.h"
#include "engine/engine_own.h"
#include "engine/mask.h"

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
    engine_tell(d->engine, ENGINE_PHASE_DENOISE, done, total, d->started_ns);
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

enum err engine_denoise(struct engine *e, struct tensor *latent, const struct canvas *canvas,
                        const struct engine_known *known, const struct engine_words *words,
                        const struct engine_params *params, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    struct dit_text text = {0}, negative = {0};
    struct denoising ctx = {e, device_now_ns()};
    struct denoise_opts o = {.seed = params->seed, .noise = params->noise, .on_step = on_step};
    struct denoise_canvas c = {.first = params->first_latent, .is_ring = params->is_ring};
    int64_t dims[4];
    o.ctx = &ctx;
    TRY(engine_canvas_check(e, canvas, f));
    engine_latent_dims(e, canvas, dims);
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
    engine_tell(e, ENGINE_PHASE_DENOISE, 0, o.schedule.n, ctx.started_ns);
    TRY(engine_still_wanted(e, f));
    TRY(engine_take_host(e, latent, 4, dims, f));
    TRY(take_text(e, &text, &words->rows, f));
    if (in.guidance.scale > 1 || in.guidance.scale_late > 1)
        TRY(take_text(e, &negative, &words->negative_rows, f));
    TRY(denoise_run(latent->data, &in, &c, &o, &e->job, &e->step, f));
out:
    pool_rewind(&e->job, mark);
    return rc;
}
