#include "engine/denoise.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/mask.h"
#include "engine/rng.h"

/* One run and its buffers. */
struct job {
    struct dit *dit;
    const struct denoise_canvas *canvas;
    const struct denoise_text *text;
    const struct denoise_opts *o;
    struct pool *pool, *step;
    struct mask_grid grid;
    int64_t n_values, n_tokens;
    float *noise, *known, *level, *v, *u; /* host */
    int32_t *index_host;
    struct sampler sampler;
    struct tensor latent, velocity, index; /* device */
    struct dit_shape shape;
    struct dit_times times;
    int n_done; /* steps */
};

static void drop_buffers(struct job *j) {
    sampler_free(&j->sampler);
    mem_free(j->noise);
    mem_free(j->known);
    mem_free(j->level);
    mem_free(j->v);
    mem_free(j->u);
    mem_free(j->index_host);
}

static enum err take_buffers(struct job *j, struct fail *f) {
    enum err rc = ERR_OK;
    const struct denoise_canvas *c = j->canvas;
    int64_t dims[] = {c->L, c->h, c->w, c->C};
    j->n_values = dims[0] * dims[1] * dims[2] * dims[3];
    j->noise = mem_take((size_t)j->n_values, sizeof *j->noise);
    j->known = mem_take((size_t)j->n_values, sizeof *j->known);
    j->level = mem_take((size_t)(j->n_values / c->C), sizeof *j->level);
    j->v = mem_take((size_t)j->n_values, sizeof *j->v);
    j->u = mem_take((size_t)j->n_values, sizeof *j->u);
    j->index_host = mem_take((size_t)j->n_tokens, sizeof *j->index_host);
    if (!j->noise || !j->known || !j->level || !j->v || !j->u || !j->index_host)
        TRY(FAIL(f, ERR_NOMEM, "no memory for %lld latent values", (long long)j->n_values));
    TRY(pool_take(j->pool, &j->latent, DTYPE_F32, 4, dims, f));
    TRY(pool_take(j->pool, &j->velocity, DTYPE_F32, 4, dims, f));
    TRY(pool_take(j->pool, &j->index, DTYPE_I32, 1, &j->n_tokens, f));
out:
    return rc;
}

/* Noise, known content and levels. */
static void fill_inputs(struct job *j) {
    const struct denoise_canvas *c = j->canvas;
    int64_t n_places = j->n_values / c->C;
    size_t bytes = (size_t)j->n_values * sizeof *j->noise;
    if (j->o->noise)
        memcpy(j->noise, j->o->noise, bytes);
    else
        rng_normal_fill(j->o->seed, RNG_STREAM_LATENT, (uint64_t)(c->first * c->h * c->w * c->C),
                        j->noise, j->n_values);
    for (int64_t i = 0; i < n_places; i++)
        j->level[i] = c->level ? c->level[i] : 1.0f;
    if (c->known) memcpy(j->known, c->known, bytes);
    mask_shrink(j->level, &j->grid);
}

/* Lists the distinct timesteps of the tokens and which one each has. */
static enum err fill_times(struct job *j, struct fail *f) {
    struct dit_times *t = &j->times;
    t->n = 0;
    for (int64_t token = 0; token < j->n_tokens; token++) {
        double now = sampler_time(&j->sampler, mask_token_place(&j->grid, token));
        int i = 0;
        while (i < t->n && t->value[i] != now)
            i++;
        if (i == DIT_TIMES_MAX) return FAIL(f, ERR_BUG, "more than %d timesteps", DIT_TIMES_MAX);
        if (i == t->n) t->value[t->n++] = now;
        j->index_host[token] = i;
    }
    op_upload(j->dit->dev, &j->index, j->index_host);
    t->index = t->n > 1 ? &j->index : NULL;
    return ERR_OK;
}

static enum err forward(struct job *j, float *velocity, const struct dit_text *text,
                        struct fail *f) {
    enum err rc = ERR_OK;
    struct dit_input in = {
        .latent = &j->latent, .times = &j->times, .text = text, .shape = &j->shape};
    TRY(dit_forward(j->dit, &j->velocity, &in, j->step, f));
    op_download(j->dit->dev, velocity, &j->velocity);
out:
    return rc;
}

/* v = u + g (v - u). A velocity that is not a number would quietly paint black. */
static enum err guide(struct job *j, struct fail *f) {
    double g = j->o->guidance, sum = 0;
    for (int64_t i = 0; i < j->n_values; i++) {
        if (g > 1) j->v[i] = (float)((double)j->u[i] + g * ((double)j->v[i] - (double)j->u[i]));
        sum += (double)j->v[i] * 0;
    }
    if (sum != 0 || sum != sum)
        return FAIL(f, ERR_CORRUPT, "the model gave infinite numbers at step %d of %d",
                    j->n_done + 1, j->o->schedule.n);
    return ERR_OK;
}

static enum err run_step(struct job *j, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(fill_times(j, f));
    op_upload(j->dit->dev, &j->latent, j->sampler.x);
    TRY(forward(j, j->v, j->text->words, f));
    if (j->o->guidance > 1) TRY(forward(j, j->u, j->text->negative, f));
    TRY(guide(j, f));
    sampler_step(&j->sampler, j->v);
    j->n_done++;
    if (j->o->on_step) TRY(j->o->on_step(j->o->ctx, j->n_done, j->o->schedule.n, f));
out:
    return rc;
}

static enum err run_steps(struct job *j, float *out, struct fail *f) {
    enum err rc = ERR_OK;
    const struct denoise_canvas *c = j->canvas;
    const int *p = j->dit->config.patch_size.v;
    j->grid = (struct mask_grid){c->L, c->h, c->w, p[0], p[1], p[2]};
    TRY(dit_shape_make(j->dit, &j->shape, c->L, c->h, c->w, j->pool, f));
    j->n_tokens = j->shape.T * j->shape.H * j->shape.W;
    TRY(take_buffers(j, f));
    fill_inputs(j);
    struct sampler_begin begin = {j->n_values / c->C, c->C, j->noise, j->known, j->level};
    TRY(sampler_make(&j->sampler, j->o->kind, &j->o->schedule, &begin, f));
    for (int i = 0; i < j->o->schedule.n; i++)
        TRY(run_step(j, f));
    memcpy(out, j->sampler.x, (size_t)j->n_values * sizeof *out);
out:
    return rc;
}

enum err denoise_run(struct dit *d, float *out, const struct denoise_canvas *canvas,
                     const struct denoise_text *text, const struct denoise_opts *o,
                     struct pool *pool, struct pool *step, struct fail *f) {
    struct pool_mark mark = pool_mark(pool);
    struct job j = {.dit = d, .canvas = canvas, .text = text, .o = o, .pool = pool, .step = step};
    ASSERT(o->guidance <= 1 || text->negative);
    if (canvas->C != d->config.out_channels)
        return FAIL(f, ERR_INPUT, "latents of %lld channels; the model has %d",
                    (long long)canvas->C, d->config.out_channels);
    enum err rc = run_steps(&j, out, f);
    drop_buffers(&j);
    pool_rewind(pool, mark);
    return rc;
}

double denoise_bytes(const struct dit *d, const struct denoise_canvas *c) {
    double n_values = (double)c->L * (double)c->h * (double)c->w * (double)c->C;
    return 2 * n_values * sizeof(float) + dit_bytes(d, c->L, c->h, c->w);
}
