#include "engine/dit.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/names.h"
#include "engine/rope.h"

enum { SHIFT, SCALE, HEAD_ROWS };

#define W(i)       WEIGHT_SIZE(i)
#define AT(member) offsetof(struct dit, member)

/* Sizes: 0 width, 1 text, 2 frequencies, 3 six times width, 4 in, 5 out of a patch, 6-8 patch. */
static const struct weight_row rows[] = {
    {"patch_embedding.weight", AT(patch), WEIGHT_MATRIX, 5, {W(0), W(4), W(6), W(7), W(8)}},
    {"patch_embedding.bias", AT(patch_b), WEIGHT_PLAIN, 1, {W(0)}},
    {"condition_embedder.time_embedder.linear_1.weight", AT(time_1), 0, 2, {W(0), W(2)}},
    {"condition_embedder.time_embedder.linear_1.bias", AT(time_1b), 0, 1, {W(0)}},
    {"condition_embedder.time_embedder.linear_2.weight", AT(time_2), 0, 2, {W(0), W(0)}},
    {"condition_embedder.time_embedder.linear_2.bias", AT(time_2b), 0, 1, {W(0)}},
    {"condition_embedder.time_proj.weight", AT(time_proj), 0, 2, {W(3), W(0)}},
    {"condition_embedder.time_proj.bias", AT(time_proj_b), 0, 1, {W(3)}},
    {"scale_shift_table", AT(mod), WEIGHT_PLAIN, 3, {1, HEAD_ROWS, W(0)}},
    {"proj_out.weight", AT(out), WEIGHT_PLAIN, 2, {W(5), W(0)}},
    {"proj_out.bias", AT(out_b), WEIGHT_PLAIN, 1, {W(5)}},
};

#define TEXT(member) offsetof(struct dit_text_net, member)

static const struct weight_row text_rows[] = {
    {"linear_1.weight", TEXT(text_1), WEIGHT_LATE, 2, {W(0), W(1)}},
    {"linear_1.bias", TEXT(text_1b), WEIGHT_LATE, 1, {W(0)}},
    {"linear_2.weight", TEXT(text_2), WEIGHT_LATE, 2, {W(0), W(0)}},
    {"linear_2.bias", TEXT(text_2b), WEIGHT_LATE, 1, {W(0)}},
};

static const double late_from_bytes = 128 << 20;

static enum err bind_text(struct dit_text_net *n, struct weights *w, const struct dit_config *c,
                          struct fail *f) {
    int64_t sizes[] = {dit_config_width(c), c->text_dim};
    return weights_bind(w, n, "condition_embedder.text_embedder.", text_rows, COUNT_OF(text_rows),
                        sizes, f);
}

static enum err bind_vace(struct dit *d, struct weights *w, struct fail *f) {
    if (!d->caps.vace_channels) return ERR_OK;
    d->vace = mem_take(1, sizeof *d->vace);
    if (!d->vace) return FAIL(f, ERR_NOMEM, "no memory for the control branch");
    return dit_vace_bind(d->vace, w, &d->config, &d->caps, f);
}

/* Columns first .. first+n-1 of a host matrix, as a tensor of the device. */
static enum err take_columns(struct dit *d, struct tensor *out, const float *all, float *part,
                             int64_t first, int64_t n, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t rows_n = d->patch.dim[0], K = d->patch.dim[1];
    TRY(pool_take_2d(pool, out, rows_n, n, f));
    for (int64_t r = 0; r < rows_n; r++)
        memcpy(part + r * n, all + r * K + first, (size_t)n * sizeof *part);
    op_upload(d->dev, out, part);
out:
    return rc;
}

/* Channels are the slowest part of a cell: the extra ones are the last columns of the weight. With
 * a matrix for each part, latent and extra channels never have to lie side by side. */
static enum err split_patch(struct dit *d, struct pool *pool, struct fail *f) {
    enum err rc = ERR_OK;
    float *all = NULL, *part = NULL;
    struct tensor latent;
    int64_t K = d->patch.dim[1], k = K / d->config.in_channels * d->config.out_channels;
    if (K == k) return ERR_OK;
    all = mem_take((size_t)tensor_count(&d->patch), sizeof *all);
    part = mem_take((size_t)tensor_count(&d->patch), sizeof *part);
    if (!all || !part) TRY(FAIL(f, ERR_NOMEM, "no memory for the transformer"));
    op_download(d->dev, all, &d->patch);
    TRY(take_columns(d, &latent, all, part, 0, k, pool, f));
    TRY(take_columns(d, &d->patch_extra, all, part, k, K - k, pool, f));
    d->patch = latent;
out:
    mem_free(part);
    mem_free(all);
    return rc;
}

static bool decide_late(const struct dit *d, enum dit_late late) {
    double width = dit_config_width(&d->config);
    double n = (2.0 + (d->caps.image_dim ? 2 : 0)) * (d->config.n_layers + d->caps.n_vace);
    if (late == DIT_LATE_BY_SIZE)
        return device_is_host(d->dev) &&
               n * width * width * (double)tensor_dtype_bytes(device_activation(d->dev)) >=
               late_from_bytes;
    return late == DIT_LATE_ALWAYS;
}

static enum err bind_all(struct dit *d, struct weights *w, enum dit_late late, struct fail *f) {
    enum err rc = ERR_OK;
    const struct dit_config *c = &d->config;
    const int *p = c->patch_size.v;
    int64_t width = dit_config_width(c);
    int64_t sizes[] = {width,     c->text_dim,    c->freq_dim,
                       6 * width, c->in_channels, (int64_t)c->out_channels * p[0] * p[1] * p[2],
                       p[0],      p[1],           p[2]};
    char prefix[64];
    TRY(dit_config_caps(&d->caps, &d->config, w, f));
    weights_ignore(w, "scaled_fp8"); /* says only that there are scales */
    d->is_late = decide_late(d, late);
    w->turn = d->is_late ? WEIGHT_TURN_EARLY : WEIGHT_TURN_ALL;
    TRY(weights_bind(w, d, "", rows, COUNT_OF(rows), sizes, f));
    TRY(bind_text(&d->text, w, c, f));
    if (d->caps.image_dim) TRY(dit_image_bind(&d->image, w, &d->caps, width, f));
    for (int i = 0; i < c->n_layers; i++) {
        snprintf(prefix, sizeof prefix, "blocks.%d.", i);
        TRY(dit_block_bind(&d->block[i], w, prefix, c, f));
    }
    TRY(bind_vace(d, w, f));
    TRY(weights_finish(w, f));
    TRY(split_patch(d, w->pool, f));
out:
    return rc;
}

enum err dit_open(struct dit **out, struct device *dev, struct pool *pool, const char *folder,
                  const struct dit_opts *o, struct fail *f) {
    enum err rc = ERR_OK;
    const struct dit_opts usual = {0};
    struct dit *d = mem_take(1, sizeof *d);
    *out = NULL;
    if (!o) o = &usual;
    if (!d) return FAIL(f, ERR_NOMEM, "no memory for the transformer");
    d->dev = dev;
    d->folder = mem_copy_str(folder);
    TRY(dit_config_read(&d->config, folder, f));
    d->wave = mem_take((size_t)DIT_TIMES_MAX * (size_t)d->config.freq_dim, sizeof *d->wave);
    if (!d->wave || !d->folder) TRY(FAIL(f, ERR_NOMEM, "no memory for the transformer"));
    TRY(weights_open(&d->weights, dev, pool, d->folder, "diffusion_pytorch_model", f));
    TRY(names_to_ours(&d->weights.file, NAMES_TRANSFORMER, f));
    TRY(weights_merge(&d->weights, o->lora, f));
    TRY(bind_all(d, &d->weights, o->late, f));
    if (!d->is_late) weights_close(&d->weights);
    *out = d;
    d = NULL;
out:
    dit_close(d);
    return rc;
}

void dit_close(struct dit *d) {
    if (!d) return;
    weights_close(&d->weights);
    mem_free(d->folder);
    mem_free(d->vace);
    mem_free(d->wave);
    mem_free(d);
}

/* From here to end_late() what is late is loaded to `step`, a part at a time. */
static void begin_late(struct dit *d, struct pool *step) {
    d->weights.turn = WEIGHT_TURN_LATE;
    d->weights.pool = step;
}

static enum err end_late(struct dit *d, struct fail *f) {
    return d->is_late ? weights_finish(&d->weights, f) : ERR_OK;
}

/* The real rows and, when there is padding, one zero row behind them, through the embedder. */
static enum err embed_text(struct dit *d, struct tensor *out, const struct tensor *rows_in,
                           struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t n = rows_in->dim[0], N = out->dim[0], width = dit_config_width(&d->config);
    struct pool_mark mark = pool_mark(step);
    struct tensor padded, hidden;
    struct dit_text_net net = d->text;
    if (d->is_late) TRY(bind_text(&net, &d->weights, &d->config, f));
    TRY(pool_take_2d(step, &padded, N, d->config.text_dim, f));
    TRY(pool_take_2d(step, &hidden, N, width, f));
    op_fill(d->dev, &padded, 0.0f);
    struct tensor real = tensor_rows(&padded, 0, n);
    if (n > 0) TRY(op_copy(d->dev, &real, rows_in, f));
    TRY(op_linear(d->dev, &hidden, &padded, &net.text_1, &net.text_1b, ACT_GELU_TANH, f));
    TRY(op_linear(d->dev, out, &hidden, &net.text_2, &net.text_2b, ACT_NONE, f));
out:
    pool_rewind(step, mark);
    return rc;
}

static enum err take_keys(struct dit *d, struct dit_block_text *out, int64_t N, struct pool *keep,
                          struct fail *f) {
    enum err rc = ERR_OK;
    int64_t width = dit_config_width(&d->config);
    TRY(pool_take_rows(keep, &out->k, N, width, f));
    TRY(pool_take_rows(keep, &out->v, N, width, f));
out:
    return rc;
}

typedef enum err (*fill_fn)(const struct dit_block *b, struct device *dev,
                            struct dit_block_text *out, const struct tensor *rows,
                            const struct dit_config *c, struct fail *f);

/* Block `i` of the trunk or of the control branch, its late weights in `pool`. */
struct place {
    const struct dit_block *block;
    const char *branch;
    int i;
};

/* out [Nk,d] of one block from rows [Nk,d] of words or pictures. */
static enum err fill_block(struct dit *d, struct dit_block_text *out, const struct place *at,
                           fill_fn fill, const struct tensor *rows_in, struct pool *keep,
                           struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct dit_block late = {0};
    const struct dit_block *block = at->block;
    char prefix[64];
    if (d->is_late) {
        snprintf(prefix, sizeof prefix, "%sblocks.%d.", at->branch, at->i);
        TRY(dit_block_bind(&late, &d->weights, prefix, &d->config, f));
        block = &late;
    }
    TRY(take_keys(d, out, rows_in->dim[0], keep, f));
    TRY(fill(block, d->dev, out, rows_in, &d->config, f));
out:
    pool_rewind(step, mark);
    return rc;
}

enum err dit_text_make(struct dit *d, struct dit_text *out, const struct tensor *rows_in,
                       int n_rows, struct pool *keep, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct tensor text;
    int64_t width = dit_config_width(&d->config), n = rows_in->dim[0];
    if (n > n_rows || rows_in->dim[1] != d->config.text_dim)
        return FAIL(f, ERR_BUG, "text of %lld x %lld for a model of %d x %d", (long long)n,
                    (long long)rows_in->dim[1], n_rows, d->config.text_dim);
    int64_t N = n < n_rows ? n + 1 : n;
    out->has_bias = N > n;
    TRY(pool_take_1d(keep, &out->key_bias, N, f));
    op_fill(d->dev, &out->key_bias, 0.0f);
    if (N > n) {
        struct tensor last = tensor_rows(&out->key_bias, n, 1);
        op_fill(d->dev, &last, (float)log((double)(n_rows - n)));
    }
    TRY(pool_take_2d(step, &text, N, width, f));
    begin_late(d, step);
    TRY(embed_text(d, &text, rows_in, step, f));
    for (int i = 0; i < d->config.n_layers; i++)
        TRY(fill_block(d, &out->block[i], &(struct place){&d->block[i], "", i}, dit_block_text_fill,
                       &text, keep, step, f));
    for (int k = 0; k < d->caps.n_vace; k++)
        TRY(fill_block(d, &out->vace[k], &(struct place){&d->vace->block[k].block, "vace_", k},
                       dit_block_text_fill, &text, keep, step, f));
    TRY(end_late(d, f));
out:
    pool_rewind(step, mark);
    return rc;
}

static enum err embed_pictures(struct dit *d, struct tensor *out, const struct tensor *rows_in,
                               struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct dit_image_net net = d->image;
    int width = dit_config_width(&d->config);
    if (d->is_late) TRY(dit_image_bind(&net, &d->weights, &d->caps, width, f));
    TRY(dit_image_embed(&net, d->dev, out, rows_in, step, f));
out:
    pool_rewind(step, mark);
    return rc;
}

enum err dit_pictures_make(struct dit *d, struct dit_pictures *out, const struct tensor *rows_in,
                           struct pool *keep, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct tensor image;
    int64_t N = rows_in->dim[0];
    if (d->caps.image_dim == 0 || rows_in->dim[1] != d->caps.image_dim)
        return FAIL(f, ERR_BUG, "pictures of %lld columns for a model of %d",
                    (long long)rows_in->dim[1], d->caps.image_dim);
    TRY(pool_take_2d(step, &image, N, dit_config_width(&d->config), f));
    begin_late(d, step);
    TRY(embed_pictures(d, &image, rows_in, step, f));
    for (int i = 0; i < d->config.n_layers; i++)
        TRY(fill_block(d, &out->block[i], &(struct place){&d->block[i], "", i},
                       dit_block_image_fill, &image, keep, step, f));
    TRY(end_late(d, f));
out:
    pool_rewind(step, mark);
    return rc;
}

enum err dit_shape_make(struct dit *d, struct dit_shape *out, int64_t F, int64_t h, int64_t w,
                        struct pool *keep, struct fail *f) {
    enum err rc = ERR_OK;
    const int *p = d->config.patch_size.v;
    float *table = NULL;
    if (F < 1 || h < 1 || w < 1 || F % p[0] || h % p[1] || w % p[2])
        return FAIL(f, ERR_INPUT, "%lld x %lld x %lld latents do not fit patches of %d x %d x %d",
                    (long long)F, (long long)h, (long long)w, p[0], p[1], p[2]);
    *out = (struct dit_shape){.T = F / p[0], .H = h / p[1], .W = w / p[2]};
    if (out->T > d->config.rope_max || out->H > d->config.rope_max || out->W > d->config.rope_max)
        return FAIL(f, ERR_INPUT, "%lld x %lld x %lld tokens; a side has at most %d positions",
                    (long long)out->T, (long long)out->H, (long long)out->W, d->config.rope_max);
    struct rope_shape s = {.T = out->T, .H = out->H, .W = out->W, .D = d->config.head_dim};
    int64_t N = s.T * s.H * s.W;
    table = mem_take((size_t)(N * s.D), sizeof *table);
    if (!table) TRY(FAIL(f, ERR_NOMEM, "no memory for positions"));
    rope_fill(table, &s);
    TRY(pool_take_2d(keep, &out->rope, N, s.D, f));
    op_upload(d->dev, &out->rope, table);
out:
    mem_free(table);
    return rc;
}

void dit_time_sinusoid(float *out, double t, int dim) {
    int half = dim / 2;
    for (int i = 0; i < half; i++) {
        double angle = t * exp(-log(10000.0) * (double)i / (double)half);
        out[i] = (float)cos(angle);
        out[half + i] = (float)sin(angle);
    }
}

/* temb [R,1,d] and the projection [R,6,d] of every distinct timestep. */
static enum err embed_times(struct dit *d, struct tensor *temb, struct tensor *proj,
                            const struct dit_times *times, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t R = times->n, width = dit_config_width(&d->config), freq = d->config.freq_dim;
    struct tensor wave, hidden;
    for (int64_t r = 0; r < R; r++)
        dit_time_sinusoid(d->wave + r * freq, times->value[r], (int)freq);
    TRY(pool_take_2d(step, &wave, R, freq, f));
    TRY(pool_take_2d(step, &hidden, R, width, f));
    TRY(pool_take(step, temb, DTYPE_F32, 3, (int64_t[]){R, 1, width}, f));
    TRY(pool_take(step, proj, DTYPE_F32, 3, (int64_t[]){R, DIT_BLOCK_MOD_ROWS, width}, f));
    op_upload(d->dev, &wave, d->wave);
    struct tensor temb_rows = tensor_as_2d(temb, R, width);
    struct tensor proj_rows = tensor_as_2d(proj, R, DIT_BLOCK_MOD_ROWS * width);
    TRY(op_linear(d->dev, &hidden, &wave, &d->time_1, &d->time_1b, ACT_SILU, f));
    TRY(op_linear(d->dev, &temb_rows, &hidden, &d->time_2, &d->time_2b, ACT_NONE, f));
    TRY(op_act(d->dev, &hidden, &temb_rows, ACT_SILU, f));
    TRY(op_linear(d->dev, &proj_rows, &hidden, &d->time_proj, &d->time_proj_b, ACT_NONE, f));
out:
    return rc;
}

static struct patch patch_of(const struct dit *d, enum patch_order order) {
    const int *p = d->config.patch_size.v;
    return (struct patch){.t = p[0], .h = p[1], .w = p[2], .order = order};
}

/* Cells [N,K] of a volume; scratch that the caller rewinds. */
static enum err cut_cells(struct dit *d, struct tensor *cells, const struct tensor *volume,
                          int64_t N, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct patch patch = patch_of(d, PATCH_C_T_H_W);
    TRY(pool_take_2d(step, cells, N, tensor_count(volume) / N, f));
    TRY(op_patchify(d->dev, cells, volume, &patch, f));
out:
    return rc;
}

static enum err embed_patches(struct dit *d, struct tensor *x, const struct dit_input *in,
                              struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct tensor cells, extra;
    TRY(cut_cells(d, &cells, in->latent, x->dim[0], step, f));
    TRY(op_linear(d->dev, x, &cells, &d->patch, &d->patch_b, ACT_NONE, f));
    if (in->extra) {
        TRY(cut_cells(d, &extra, in->extra, x->dim[0], step, f));
        TRY(op_linear_add(d->dev, x, &extra, &d->patch_extra, NULL, NULL, 0, f));
    }
out:
    pool_rewind(step, mark);
    return rc;
}

/* c [N,d] of the control branch, or an empty tensor without one. */
static enum err embed_control(struct dit *d, struct tensor *c, const struct tensor *x,
                              const struct dit_input *in, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor cells;
    *c = (struct tensor){0};
    if (!in->control) return ERR_OK;
    TRY(pool_take_2d(step, c, x->dim[0], x->dim[1], f));
    struct pool_mark mark = pool_mark(step);
    TRY(cut_cells(d, &cells, in->control->volume, x->dim[0], step, f));
    TRY(dit_vace_begin(d->vace, d->dev, c, &cells, x, step, f));
    pool_rewind(step, mark);
out:
    return rc;
}

/* Norm, shift and scale by temb itself (not its projection), then back to latents. */
static enum err project_out(struct dit *d, struct tensor *out, const struct tensor *x,
                            const struct tensor *temb, const struct dit_times *times,
                            struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct patch patch = patch_of(d, PATCH_T_H_W_C);
    struct tensor mod, n, cells;
    int64_t N = x->dim[0], width = x->dim[1];
    TRY(pool_take(step, &mod, DTYPE_F32, 3, (int64_t[]){times->n, HEAD_ROWS, width}, f));
    TRY(pool_take_2d(step, &n, N, width, f));
    TRY(pool_take_2d(step, &cells, N, tensor_count(out) / N, f));
    TRY(dit_block_add_mod(d->dev, &mod, &d->mod, temb, f));
    struct mod_table table = {&mod, times->index};
    TRY(op_norm_mod(d->dev, &n, x, &table, SHIFT, SCALE, (float)d->config.eps, f));
    TRY(op_linear(d->dev, &cells, &n, &d->out, &d->out_b, ACT_NONE, f));
    TRY(op_unpatchify(d->dev, out, &cells, &patch, f));
out:
    return rc;
}

static bool is_volume(const struct tensor *t, const struct tensor *latent, int channels) {
    return t && t->n_dims == 4 && t->dim[0] == latent->dim[0] && t->dim[1] == latent->dim[1] &&
           t->dim[2] == latent->dim[2] && t->dim[3] == channels;
}

/* The adapters above ask a model for what it can do; what it cannot would change nothing, or crash.
 */
static enum err check_input(const struct dit *d, const struct dit_input *in, struct fail *f) {
    const struct dit_caps *c = &d->caps;
    const struct tensor *control = in->control ? in->control->volume : NULL;
    if (!is_volume(in->latent, in->latent, d->config.out_channels))
        return FAIL(f, ERR_BUG, "the latent does not have the %d channels of the model",
                    d->config.out_channels);
    if (c->extra_channels ? !is_volume(in->extra, in->latent, c->extra_channels) : !!in->extra)
        return FAIL(f, ERR_BUG, "the model reads %d channels behind the latent's",
                    c->extra_channels);
    if (c->vace_channels ? !is_volume(control, in->latent, c->vace_channels) : !!in->control)
        return FAIL(f, ERR_BUG, "the model reads a control volume of %d channels",
                    c->vace_channels);
    if ((c->image_dim != 0) != (in->pictures != NULL))
        return FAIL(f, ERR_BUG, "the model attends to %d columns of pictures", c->image_dim);
    return ERR_OK;
}

/* All layers of the trunk; c is the state of the control branch. */
static enum err run_blocks(struct dit *d, struct tensor *x, struct tensor *c,
                           const struct dit_input *in, const struct dit_block_pass *pass,
                           struct fail *f) {
    enum err rc = ERR_OK;
    int k = 0;
    for (int i = 0; i < d->config.n_layers; i++) {
        const struct dit_block_text *image = in->pictures ? &in->pictures->block[i] : NULL;
        if (in->cache && i == 0) TRY(dit_cache_begin(in->cache, x, f));
        TRY(dit_block_forward(&d->block[i], d->dev, x, &in->text->block[i], image, pass, f));
        if (in->cache && i == 0) {
            bool is_done = false;
            TRY(dit_cache_after_first(in->cache, &is_done, x, f));
            if (is_done) return ERR_OK;
        }
        if (k == d->caps.n_vace || d->config.vace_layers.v[k] != i) continue;
        float scale = in->control->scale ? in->control->scale[k] : 1.0f;
        TRY(dit_vace_step(&d->vace->block[k], d->dev, c, x, scale, &in->text->vace[k], pass, f));
        k++;
    }
    if (in->cache) TRY(dit_cache_end(in->cache, x, f));
out:
    return rc;
}

enum err dit_forward(struct dit *d, struct tensor *out, const struct dit_input *in,
                     struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    const struct dit_shape *s = in->shape;
    int64_t N = s->T * s->H * s->W;
    struct tensor x, c, temb, proj;
    ASSERT(in->times->n >= 1 && in->times->n <= DIT_TIMES_MAX);
    TRY(check_input(d, in, f));
    TRY(pool_take_2d(step, &x, N, dit_config_width(&d->config), f));
    TRY(embed_patches(d, &x, in, step, f));
    TRY(embed_control(d, &c, &x, in, step, f));
    TRY(embed_times(d, &temb, &proj, in->times, step, f));
    struct dit_block_pass pass = {.config = &d->config,
                                  .time = &proj,
                                  .index = in->times->index,
                                  .rope = &s->rope,
                                  .key_bias = in->text->has_bias ? &in->text->key_bias : NULL,
                                  .step = step};
    TRY(run_blocks(d, &x, &c, in, &pass, f));
    TRY(project_out(d, out, &x, &temb, in->times, step, f));
out:
    pool_rewind(step, mark);
    return rc;
}

double dit_bytes(const struct dit *d, int64_t F, int64_t h, int64_t w) {
    const struct dit_config *c = &d->config;
    const int *p = c->patch_size.v;
    double cell = (double)p[0] * p[1] * p[2], width = (double)dit_config_width(c);
    double n_tokens = (double)F * (double)h * (double)w / cell;
    /* Per token: x, a row of positions, the number of its timestep, and in the type of activations
     * the scratch of a block: n and either q, k, v or the wide one. The cells and the norm of the
     * head find room there afterwards. */
    double scratch = width + fmax(3 * width, c->ffn_dim);
    double per_token = (width + c->head_dim + 1) * sizeof(float);
    per_token += scratch * (double)tensor_dtype_bytes(device_activation(d->dev));
    if (d->vace) per_token += width * sizeof(float); /* the state of the control branch */
    return n_tokens * per_token;
}

static double keys_bytes(const struct dit *d, int64_t n_rows, int n_blocks) {
    return 2.0 * n_blocks * (double)n_rows * (double)dit_config_width(&d->config) *
           (double)tensor_dtype_bytes(device_activation(d->dev));
}

double dit_text_bytes(const struct dit *d, int64_t n_rows) {
    return keys_bytes(d, n_rows, d->config.n_layers + d->caps.n_vace);
}

double dit_pictures_bytes(const struct dit *d, int64_t n_rows) {
    return keys_bytes(d, n_rows, d->config.n_layers);
}
