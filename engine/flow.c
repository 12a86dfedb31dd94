#include "engine/flow.h"

#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"

void flow_free(struct flow *fl) {
    mem_free(fl->u);
    mem_free(fl->index_host);
    for (int i = 0; i < 2; i++)
        dit_cache_free(&fl->cache[i]);
    memset(fl, 0, sizeof *fl);
}

static enum err take_buffers(struct flow *fl, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t dims[] = {fl->in.L, fl->in.h, fl->in.w, fl->in.C};
    fl->frame_values = dims[1] * dims[2] * dims[3];
    fl->n_values = dims[0] * fl->frame_values;
    fl->n_tokens = fl->shape.T * fl->shape.H * fl->shape.W;
    fl->u = mem_take((size_t)fl->n_values, sizeof *fl->u);
    fl->index_host = mem_take((size_t)fl->n_tokens, sizeof *fl->index_host);
    if (!fl->u || !fl->index_host)
        TRY(FAIL(f, ERR_NOMEM, "no memory for %lld latent values", (long long)fl->n_values));
    TRY(pool_take(pool, &fl->latent, DTYPE_F32, 4, dims, f));
    TRY(pool_take(pool, &fl->velocity, DTYPE_F32, 4, dims, f));
    TRY(pool_take(pool, &fl->index, DTYPE_I32, 1, &fl->n_tokens, f));
out:
    return rc;
}

/* A volume [L,h,w,channels] beside the latent; the model looks at it unrolled. */
static enum err take_volume(struct flow *fl, struct tensor *out, const float *host, int channels,
                            struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    if (channels == 0) return ERR_OK;
    if (!host) return FAIL(f, ERR_BUG, "nothing for the %d channels of the model", channels);
    TRY(pool_take_4d(pool, out, fl->in.L, fl->in.h, fl->in.w, channels, f));
    op_upload(fl->dev, out, host);
out:
    return rc;
}

struct dit *flow_dit(const struct flow_in *in) {
    return in->early.dit ? in->early.dit : in->late.dit;
}

enum err flow_make(struct flow *fl, const struct flow_in *in, struct pool *pool, struct pool *step,
                   struct fail *f) {
    enum err rc = ERR_OK;
    struct dit *d = flow_dit(in);
    const struct dit_config *c = &d->config;
    *fl = (struct flow){.in = *in, .dev = d->dev, .step = step};
    if (in->C != c->out_channels)
        return FAIL(f, ERR_INPUT, "latents of %lld channels; the model has %d", (long long)in->C,
                    c->out_channels);
    TRY(dit_shape_make(d, &fl->shape, in->L, in->h, in->w, pool, f));
    TRY(take_buffers(fl, pool, f));
    const struct dit_caps *caps = &d->caps;
    TRY(take_volume(fl, &fl->extra, in->extra, caps->extra_channels, pool, f));
    TRY(take_volume(fl, &fl->volume, in->control, caps->vace_channels, pool, f));
    fl->control.volume = &fl->volume;
    for (int i = 0; i < 2 && in->cache > 0; i++)
        TRY(dit_cache_make(&fl->cache[i], fl->dev, in->cache, fl->n_tokens, dit_config_width(c),
                           pool, f));
out:
    return rc;
}

/* Lists the distinct timesteps of the tokens and which one each has. */
static enum err fill_times(struct flow *fl, const struct flow_when *when, struct fail *f) {
    struct dit_times *t = &fl->times;
    int64_t per_frame = fl->shape.H * fl->shape.W;
    t->n = 0;
    for (int64_t token = 0; token < fl->n_tokens; token++) {
        int64_t from = (token + when->roll * per_frame) % fl->n_tokens;
        double now = when->token_t ? when->token_t[from] : when->t;
        int i = 0;
        while (i < t->n && t->value[i] != now)
            i++;
        if (i == DIT_TIMES_MAX) return FAIL(f, ERR_BUG, "more than %d timesteps", DIT_TIMES_MAX);
        if (i == t->n) t->value[t->n++] = now;
        fl->index_host[token] = i;
    }
    op_upload(fl->dev, &fl->index, fl->index_host);
    t->index = t->n > 1 ? &fl->index : NULL;
    return ERR_OK;
}

/* The latent as the model shall see it: from frame `roll` on, then those before. */
static void upload(struct flow *fl, const float *x, int64_t roll) {
    struct tensor head = tensor_rows(&fl->latent, 0, fl->in.L - roll);
    op_upload(fl->dev, &head, x + roll * fl->frame_values);
    if (roll == 0) return;
    struct tensor tail = tensor_rows(&fl->latent, fl->in.L - roll, roll);
    op_upload(fl->dev, &tail, x);
}

static void download(struct flow *fl, float *v, int64_t roll) {
    struct tensor head = tensor_rows(&fl->velocity, 0, fl->in.L - roll);
    op_download(fl->dev, v + roll * fl->frame_values, &head);
    if (roll == 0) return;
    struct tensor tail = tensor_rows(&fl->velocity, fl->in.L - roll, roll);
    op_download(fl->dev, v, &tail);
}

static enum err forward(struct flow *fl, float *v, const struct flow_expert *e,
                        const struct dit_text *text, int64_t roll, struct fail *f) {
    enum err rc = ERR_OK;
    struct dit_input in = {.latent = &fl->latent,
                           .times = &fl->times,
                           .text = text,
                           .shape = &fl->shape,
                           .extra = fl->extra.data ? &fl->extra : NULL,
                           .pictures = e->pictures,
                           .control = fl->volume.data ? &fl->control : NULL};
    if (fl->in.cache > 0) in.cache = &fl->cache[text != e->words];
    TRY(dit_forward(e->dit, &fl->velocity, &in, fl->step, f));
    download(fl, v, roll);
    TRY(op_check(fl->dev, f));
out:
    return rc;
}

/* A velocity that is not a number would quietly paint black. */
static enum err check(const struct flow *fl, const float *v, int step, struct fail *f) {
    double sum = 0;
    for (int64_t i = 0; i < fl->n_values; i++)
        sum += (double)v[i] * 0;
    if (sum != 0 || sum != sum)
        return FAIL(f, ERR_CORRUPT, "the model gave infinite numbers at step %d", step + 1);
    return ERR_OK;
}

enum err flow_at(struct flow *fl, float *v, const float *x, const struct flow_when *when,
                 struct fail *f) {
    enum err rc = ERR_OK;
    const struct guidance *g = &fl->in.guidance;
    bool is_late = when->t < fl->in.boundary;
    const struct flow_expert *e = is_late ? &fl->in.late : &fl->in.early;
    double scale = guidance_scale(g, when->sigma, is_late);
    ASSERT(when->roll >= 0 && when->roll < fl->in.L);
    if (guidance_is_still(g, when->step)) {
        memset(v, 0, (size_t)fl->n_values * sizeof *v);
        return ERR_OK;
    }
    if (!e->dit) TRY(fl->in.fetch(fl->in.fetch_ctx, &fl->in, is_late, f));
    ASSERT(e->dit && (scale <= 1 || e->negative));
    for (int i = 0; i < 2 && is_late != fl->was_late; i++)
        dit_cache_reset(&fl->cache[i]);
    fl->was_late = is_late;
    TRY(fill_times(fl, when, f));
    upload(fl, x, when->roll);
    TRY(forward(fl, v, e, e->words, when->roll, f));
    if (scale > 1) {
        TRY(forward(fl, fl->u, e, e->negative, when->roll, f));
        guidance_mix(g, v, fl->u, fl->n_values, scale);
    }
    TRY(check(fl, v, when->step, f));
out:
    return rc;
}

double flow_bytes(const struct dit *d, int64_t L, int64_t h, int64_t w) {
    double n_values = (double)L * (double)h * (double)w * d->config.out_channels;
    double beside = d->caps.extra_channels + d->caps.vace_channels;
    return (2 * n_values + (double)L * (double)h * (double)w * beside) * sizeof(float) +
           dit_bytes(d, L, h, w);
}
