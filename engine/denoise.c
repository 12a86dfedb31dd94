#include "engine/denoise.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/mask.h"
#include "engine/rng.h"

/* A window is the frames first .. first+n-1 of the canvas; `done` of them exist already. */
struct window {
    int64_t first, n, done;
};

/* The buffers of one window. */
struct job {
    struct dit *dit;
    const struct denoise_canvas *canvas;
    const struct denoise_text *text;
    const struct denoise_opts *o;
    struct pool *pool, *step;
    struct window window;
    struct mask_grid grid;
    int64_t n_values, n_tokens;
    float *noise, *known, *level, *v, *u; /* host */
    int32_t *index_host;
    struct sampler sampler;
    struct tensor latent, velocity, index; /* device */
    struct dit_shape shape;
    struct dit_times times;
    int n_done, n_total; /* steps over all windows */
};

static int64_t window_frames(const struct denoise_canvas *c, const struct denoise_opts *o) {
    return o->window > 0 && o->window < c->L ? o->window : c->L;
}

/* The window after `w`; n = 0 when the canvas is full. The last one moves back to stay whole. */
static struct window next_window(const struct window *w, const struct denoise_canvas *c,
                                 const struct denoise_opts *o) {
    int64_t end = w->first + w->n, n = window_frames(c, o);
    if (w->n == 0) return (struct window){0, n, 0};
    if (end >= c->L) return (struct window){0};
    int64_t overlap = o->overlap > 0 && o->overlap < n ? o->overlap : 1;
    int64_t first = end - overlap;
    if (first + n > c->L) first = c->L - n;
    return (struct window){first, n, end - first};
}

int denoise_n_steps(const struct denoise_canvas *c, const struct denoise_opts *o) {
    int n = 0;
    struct window w = next_window(&(struct window){0}, c, o);
    for (; w.n > 0; w = next_window(&w, c, o))
        n += o->schedule.n;
    return n;
}

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
    int64_t dims[] = {j->window.n, c->h, c->w, c->C};
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

/* Noise, known content and levels of the frames of this window. */
static void fill_inputs(struct job *j, const float *made) {
    const struct denoise_canvas *c = j->canvas;
    int64_t frame = c->h * c->w, first = j->window.first * frame, n = j->window.n * frame;
    if (j->o->noise)
        memcpy(j->noise, j->o->noise + first * c->C, (size_t)j->n_values * sizeof *j->noise);
    else
        rng_normal_fill(j->o->seed, RNG_STREAM_LATENT, (uint64_t)(first * c->C), j->noise,
                        j->n_values);
    for (int64_t i = 0; i < n; i++)
        j->level[i] = c->level ? c->level[first + i] : 1.0f;
    if (c->known) memcpy(j->known, c->known + first * c->C, (size_t)j->n_values * sizeof *j->known);
    int64_t n_made = j->window.done * frame;
    memcpy(j->known, made + first * c->C, (size_t)(n_made * c->C) * sizeof *j->known);
    memset(j->level, 0, (size_t)n_made * sizeof *j->level);
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
    struct dit_input in = {&j->latent, &j->times, text, &j->shape};
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
                    j->n_done + 1, j->n_total);
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
    if (j->o->on_step) TRY(j->o->on_step(j->o->ctx, j->n_done, j->n_total, f));
out:
    return rc;
}

static enum err run_window(struct job *j, float *out, struct fail *f) {
    enum err rc = ERR_OK;
    const struct denoise_canvas *c = j->canvas;
    struct pool_mark mark = pool_mark(j->pool);
    const int *p = j->dit->config.patch_size.v;
    j->grid = (struct mask_grid){j->window.n, c->h, c->w, p[0], p[1], p[2]};
    TRY(dit_shape_make(j->dit, &j->shape, j->window.n, c->h, c->w, j->pool, f));
    j->n_tokens = j->shape.T * j->shape.H * j->shape.W;
    TRY(take_buffers(j, f));
    fill_inputs(j, out);
    struct sampler_begin begin = {j->n_values / c->C, c->C, j->noise, j->known, j->level};
    TRY(sampler_make(&j->sampler, j->o->kind, &j->o->schedule, &begin, f));
    for (int i = 0; i < j->o->schedule.n; i++)
        TRY(run_step(j, f));
    memcpy(out + j->window.first * c->h * c->w * c->C, j->sampler.x,
           (size_t)j->n_values * sizeof *out);
out:
    pool_rewind(j->pool, mark);
    return rc;
}

enum err denoise_run(struct dit *d, float *out, const struct denoise_canvas *canvas,
                     const struct denoise_text *text, const struct denoise_opts *o,
                     struct pool *pool, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    int n_done = 0, n_total = denoise_n_steps(canvas, o);
    ASSERT(o->guidance <= 1 || text->negative);
    if (canvas->C != d->config.in_channels)
        return FAIL(f, ERR_INPUT, "latents of %lld channels; the model has %d",
                    (long long)canvas->C, d->config.in_channels);
    struct window w = next_window(&(struct window){0}, canvas, o);
    for (; w.n > 0; w = next_window(&w, canvas, o)) {
        struct job j = {.dit = d,
                        .canvas = canvas,
                        .text = text,
                        .o = o,
                        .pool = pool,
                        .step = step,
                        .window = w,
                        .n_done = n_done,
                        .n_total = n_total};
        rc = run_window(&j, out, f);
        n_done = j.n_done;
        drop_buffers(&j);
        TRY(rc);
    }
out:
    return rc;
}
