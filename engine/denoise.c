#include "engine/denoise.h"

#include <string.h>

#include "common/base/mem.h"
#include "engine/mask.h"
#include "engine/rng.h"

/* One run and its buffers. */
struct job {
    const struct flow_in *in;
    const struct denoise_canvas *canvas;
    const struct denoise_opts *o;
    struct mask_grid grid;
    int64_t n_values;
    float *noise, *level, *v, *fresh;
    double *token_t;
    struct flow flow;
    struct sampler sampler;
};

static void drop_buffers(struct job *j) {
    sampler_free(&j->sampler);
    flow_free(&j->flow);
    mem_free(j->noise);
    mem_free(j->level);
    mem_free(j->v);
    mem_free(j->fresh);
    mem_free(j->token_t);
}

static enum err take_buffers(struct job *j, struct fail *f) {
    size_t n = (size_t)j->n_values;
    j->noise = mem_take(n, sizeof *j->noise);
    j->level = mem_take(n / (size_t)j->in->C, sizeof *j->level);
    j->v = mem_take(n, sizeof *j->v);
    j->token_t = mem_take((size_t)j->flow.n_tokens, sizeof *j->token_t);
    if (j->o->kind == SAMPLER_RENOISE) j->fresh = mem_take(n, sizeof *j->fresh);
    if (j->noise && j->level && j->v && j->token_t && (j->fresh || j->o->kind != SAMPLER_RENOISE))
        return ERR_OK;
    return FAIL(f, ERR_NOMEM, "no memory for %zu latent values", n);
}

/* Noise is that of the place in the clip, whatever the window; frames in front have their own. */
static void fill_noise(const struct job *j, uint64_t stream, uint64_t front, float *out) {
    uint64_t first = (uint64_t)(j->canvas->first * j->flow.frame_values);
    int64_t n_front = j->canvas->n_front * j->flow.frame_values;
    rng_normal_fill(j->o->seed, front, 0, out, n_front);
    rng_normal_fill(j->o->seed, stream, first, out + n_front, j->n_values - n_front);
}

static void fill_inputs(struct job *j) {
    const struct denoise_canvas *c = j->canvas;
    if (j->o->noise)
        memcpy(j->noise, j->o->noise, (size_t)j->n_values * sizeof *j->noise);
    else
        fill_noise(j, RNG_STREAM_LATENT, RNG_STREAM_FRONT, j->noise);
    for (int64_t i = 0, n = j->n_values / j->in->C; i < n; i++)
        j->level[i] = c->level ? c->level[i] : 1.0f;
    mask_shrink(j->level, &j->grid);
}

/* A ring has no first frame: at every step another one takes the place of it. Steps of about half
 * the ring that meet every frame before they come back. */
static int64_t roll_of(const struct job *j, int step) {
    int64_t L = j->in->L, stride = L / 2;
    if (!j->canvas->is_ring || L < 3) return 0;
    if (L % 2 == 0) stride = L / 2 - (L % 4 == 0 ? 1 : 2);
    if (stride < 1) stride = 1;
    return step * stride % L;
}

static enum err run_step(struct job *j, struct fail *f) {
    enum err rc = ERR_OK;
    int i = j->sampler.step;
    const struct schedule *s = &j->o->schedule;
    struct flow_when when = {i, s->sigma[i], s->t[i], j->token_t, roll_of(j, i)};
    if (!sampler_is_idle(&j->sampler)) {
        for (int64_t token = 0; token < j->flow.n_tokens; token++)
            j->token_t[token] = sampler_time(&j->sampler, mask_token_place(&j->grid, token));
        TRY(flow_at(&j->flow, j->v, j->sampler.x, &when, f));
        if (j->fresh)
            fill_noise(j, rng_stream_at(RNG_STREAM_RENOISE, i),
                       rng_stream_at(RNG_STREAM_FRONT, 1 + i), j->fresh);
    }
    sampler_step(&j->sampler, j->v, j->fresh);
    if (j->o->on_step) TRY(j->o->on_step(j->o->ctx, i + 1, s->n, j->sampler.m1, f));
out:
    return rc;
}

static enum err run_steps(struct job *j, float *out, struct pool *pool, struct pool *step,
                          struct fail *f) {
    enum err rc = ERR_OK;
    const struct flow_in *in = j->in;
    const int *p = flow_dit(in)->config.patch_size.v;
    j->grid = (struct mask_grid){in->L, in->h, in->w, p[0], p[1], p[2]};
    j->n_values = in->L * in->h * in->w * in->C;
    TRY(flow_make(&j->flow, in, pool, step, f));
    TRY(take_buffers(j, f));
    fill_inputs(j);
    struct sampler_begin begin = {.n_places = j->n_values / in->C,
                                  .C = in->C,
                                  .noise = j->noise,
                                  .known = j->canvas->known,
                                  .level = j->level,
                                  .wait = j->canvas->wait};
    TRY(sampler_make(&j->sampler, j->o->kind, &j->o->schedule, &begin, f));
    for (int i = 0; i < j->o->schedule.n; i++)
        TRY(run_step(j, f));
    memcpy(out, j->sampler.x, (size_t)j->n_values * sizeof *out);
out:
    return rc;
}

enum err denoise_run(float *out, const struct flow_in *in, const struct denoise_canvas *canvas,
                     const struct denoise_opts *o, struct pool *pool, struct pool *step,
                     struct fail *f) {
    struct pool_mark mark = pool_mark(pool);
    struct job j = {.in = in, .canvas = canvas, .o = o};
    enum err rc = run_steps(&j, out, pool, step, f);
    drop_buffers(&j);
    pool_rewind(pool, mark);
    return rc;
}
