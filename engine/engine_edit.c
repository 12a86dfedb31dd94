#include "engine/engine_edit.h"

#include <string.h>

#include "common/base/mem.h"
#include "engine/engine_denoise.h"
#include "engine/flowedit.h"
#include "engine/rng.h"

/* Old and new words over the same latents. */
struct edit {
    struct engine *engine;
    const struct engine_params *params;
    struct schedule schedule;
    struct engine_denoise_model *model; /* [2]: old, new */
    struct flow flow[2];
    int64_t started_ns;
};

static enum err on_velocity(void *ctx, float *v, const float *x, int step, bool is_new,
                            struct fail *f) {
    struct edit *d = ctx;
    struct flow_when when = {
        .step = step, .sigma = d->schedule.sigma[step], .t = d->schedule.t[step]};
    return flow_at(&d->flow[is_new], v, x, &when, f);
}

static void on_noise(void *ctx, float *out, int step) {
    const struct edit *d = ctx;
    const struct flow *fl = &d->flow[0];
    rng_normal_fill(d->params->seed, rng_stream_at(RNG_STREAM_EDIT, step),
                    (uint64_t)(d->params->first_latent * fl->frame_values), out, fl->n_values);
}

static enum err on_step(void *ctx, int done, int total, struct fail *f) {
    struct edit *d = ctx;
    int n_left_out = d->schedule.n - total;
    engine_tell(d->engine, ENGINE_PHASE_DENOISE, n_left_out + done, d->schedule.n, d->started_ns);
    return done < total ? engine_still_wanted(d->engine, f) : ERR_OK;
}

static enum err ready(struct edit *d, const int64_t dims[4], const struct engine_edit_in *in,
                      struct fail *f) {
    enum err rc = ERR_OK;
    struct engine *e = d->engine;
    struct engine_params old = *d->params;
    enum sampler_kind kind;
    old.guidance = in->edit->old_guidance;
    old.guidance_2 = 0;
    d->model = mem_take(2, sizeof *d->model);
    if (!d->model) TRY(FAIL(f, ERR_NOMEM, "no memory for the words of a model"));
    TRY(engine_denoise_schedule(e, &d->schedule, &kind, d->params, f));
    TRY(engine_denoise_ready(e, &d->model[0], dims, NULL, in->edit->old, &old, f));
    TRY(engine_denoise_ready(e, &d->model[1], dims, NULL, in->words, d->params, f));
    for (int i = 0; i < 2; i++)
        TRY(flow_make(&d->flow[i], &d->model[i].in, &e->job, &e->step, f));
out:
    return rc;
}

enum err engine_edit_window(struct engine *e, struct tensor *latent,
                            const struct engine_known *known, const struct engine_edit_in *in,
                            struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(&e->job);
    const int64_t *dims = known->latent.dim;
    struct edit d = {.engine = e, .params = in->params, .started_ns = device_now_ns()};
    struct flowedit edit = {.schedule = &d.schedule,
                            .n = tensor_count(&known->latent),
                            .ctx = &d,
                            .velocity = on_velocity,
                            .noise = on_noise,
                            .on_step = on_step};
    TRY(engine_take_host(e, latent, 4, dims, f));
    engine_tell(e, ENGINE_PHASE_DENOISE, 0, 1, d.started_ns);
    TRY(engine_still_wanted(e, f));
    TRY(ready(&d, dims, in, f));
    edit.n_max = in->edit->n_max > 0 ? in->edit->n_max : d.schedule.n * 5 / 6;
    edit.n_done = in->n_head * d.flow[0].frame_values;
    memcpy(latent->data, known->latent.data, tensor_bytes(latent));
    TRY(flowedit_run(&edit, latent->data, in->source->data, f));
out:
    flow_free(&d.flow[0]);
    flow_free(&d.flow[1]);
    mem_free(d.model);
    pool_rewind(&e->job, mark);
    return rc;
}
