#include "eval/sight.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/json.h"
#include "engine/weights.h"

enum { CELL_T = 2, CELL = 4, CELL_NUMBERS = 3 * CELL_T * CELL * CELL + 3 };
enum { WIDTH_MAX = 512, CONFIG_BYTES_MAX = 1 << 16, PATH_BYTES_MAX = 512, WORLD_MAX = 1 << 20 };
enum { WEIGHT_POOL_BYTES = 1 << 24, STEP_POOL_BYTES = 1 << 28 };

enum kind { CELLS, SPACE, HALVE, PAST };
static const struct layer {
    enum kind kind;
    int stage; /* of struct sight.width */
} layers[SIGHT_LAYERS] = {{CELLS, 0}, {SPACE, 0}, {HALVE, 1}, {PAST, 1}, {SPACE, 1},
                          {PAST, 1},  {HALVE, 2}, {PAST, 2},  {SPACE, 2}};

int sight_frame(int n_frames, int i) {
    int step = (n_frames - 1) / SIGHT_FRAMES;
    if (step == 0) return i * (n_frames - 1) / (SIGHT_FRAMES - 1);
    return (n_frames - 1 - (SIGHT_FRAMES - 1) * step) / 2 + i * step;
}

/* The answers of the folder are those of label.h, in the same order. */
static enum err check_head(const struct json *j, int heads, enum label_head h, struct fail *f) {
    int list = json_find(j, heads, label_head_name(h)), i = 0, n = label_n_values(h);
    if (!json_is(j, list, JSON_ARRAY) || json_at(j, list)->n_children != n)
        return FAIL(f, ERR_CORRUPT, "%.80s: head %s needs %d answers: train the judge again",
                    j->what, label_head_name(h), n);
    for (int node = json_at(j, list)->first; node != JSON_NONE; node = json_at(j, node)->next, i++)
        if (!str_eq(json_at(j, node)->text, label_value_name(h, i)))
            return FAIL(f, ERR_CORRUPT,
                        "%.80s: answer %d of head %s is %.*s, %s is needed: train the judge again",
                        j->what, i, label_head_name(h), (int)json_at(j, node)->text.n,
                        json_at(j, node)->text.p, label_value_name(h, i));
    return ERR_OK;
}

static enum err read_config(struct sight *s, const char *folder, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    char path[PATH_BYTES_MAX];
    int64_t v;
    snprintf(path, sizeof path, "%s/config.json", folder);
    TRY(json_read_file(&j, path, CONFIG_BYTES_MAX, f));
    int widths = json_find(&j, 0, "widths"), i = 0;
    if (!json_is(&j, widths, JSON_ARRAY) || json_at(&j, widths)->n_children != COUNT_OF(s->width))
        TRY(FAIL(f, ERR_CORRUPT, "%s: \"widths\" needs three numbers", path));
    for (int node = json_at(&j, widths)->first; node != JSON_NONE; node = json_at(&j, node)->next) {
        if (!json_i64(&j, node, 1, WIDTH_MAX, &v))
            TRY(FAIL(f, ERR_CORRUPT, "%s: a width is a number from 1 to %d", path, WIDTH_MAX));
        s->width[i++] = (int)v;
    }
    if (!json_i64(&j, json_find(&j, 0, "features"), 1, SIGHT_FEATURES_MAX, &v))
        TRY(FAIL(f, ERR_CORRUPT, "%s: \"features\" is a number from 1 to %d", path,
                 SIGHT_FEATURES_MAX));
    s->n_features = (int)v;
    if (!json_i64(&j, json_find(&j, 0, "world"), 0, WORLD_MAX, &v))
        TRY(FAIL(f, ERR_CORRUPT, "%s: \"world\" is the version of a world", path));
    s->world = (int)v;
    for (int h = 0; h < LABEL_HEAD_COUNT; h++)
        TRY(check_head(&j, json_find(&j, 0, "heads"), (enum label_head)h, f));
out:
    json_free(&j);
    return rc;
}

static enum err take_layer(struct sight *s, struct weights *w, int i, struct fail *f) {
    enum err rc = ERR_OK;
    const struct layer *l = &layers[i];
    char name[64];
    int64_t out = s->width[l->stage], in = i ? s->width[layers[i - 1].stage] : CELL_NUMBERS;
    int64_t kt = l->kind == PAST ? 3 : 1, ks = l->kind == SPACE || l->kind == HALVE ? 3 : 1;
    int form = (l->kind == CELLS ? WEIGHT_MATRIX : WEIGHT_CONV) | WEIGHT_PACK;
    snprintf(name, sizeof name, "layer.%d.weight", i);
    TRY(weights_take(w, &s->w[i], name, form, 5, (int64_t[]){out, in, kt, ks, ks}, f));
    snprintf(name, sizeof name, "layer.%d.bias", i);
    TRY(weights_take(w, &s->b[i], name, WEIGHT_PLAIN, 1, &out, f));
out:
    return rc;
}

static enum err take_matrix(struct weights *w, struct tensor *m, struct tensor *b,
                            const char *prefix, const int64_t dims[2], struct fail *f) {
    enum err rc = ERR_OK;
    char name[96];
    snprintf(name, sizeof name, "%s.weight", prefix);
    TRY(weights_take(w, m, name, WEIGHT_PLAIN, 2, dims, f));
    snprintf(name, sizeof name, "%s.bias", prefix);
    TRY(weights_take(w, b, name, WEIGHT_PLAIN, 1, dims, f));
out:
    return rc;
}

static enum err load(struct sight *s, const char *folder, struct fail *f) {
    enum err rc = ERR_OK;
    struct weights w = {0};
    char prefix[64];
    TRY(weights_open(&w, &s->dev, &s->weights, folder, "model", f));
    for (int i = 0; i < SIGHT_LAYERS; i++)
        TRY(take_layer(s, &w, i, f));
    TRY(take_matrix(&w, &s->feature_w, &s->feature_b, "feature",
                    (int64_t[]){s->n_features, 2 * s->width[2]}, f));
    for (int h = 0; h < LABEL_HEAD_COUNT; h++) {
        snprintf(prefix, sizeof prefix, "head.%s", label_head_name((enum label_head)h));
        TRY(take_matrix(&w, &s->head_w[h], &s->head_b[h], prefix,
                        (int64_t[]){label_n_values((enum label_head)h), s->n_features}, f));
    }
    TRY(weights_finish(&w, f));
out:
    weights_close(&w);
    return rc;
}

enum err sight_open(struct sight *s, const char *folder, const char *device, struct fail *f) {
    enum err rc = ERR_OK;
    *s = (struct sight){0};
    TRY(read_config(s, folder, f));
    TRY(device_open(&s->dev, device, &(struct device_opts){.precision = PRECISION_F32}, f));
    pool_make(&s->weights, &s->dev, 1 << 20, WEIGHT_POOL_BYTES);
    pool_make(&s->step, &s->dev, 1 << 22, STEP_POOL_BYTES);
    TRY(load(s, folder, f));
out:
    if (rc != ERR_OK) sight_close(s);
    return rc;
}

void sight_close(struct sight *s) {
    if (s->dev.ops) {
        pool_free(&s->step);
        pool_free(&s->weights);
        device_close(&s->dev);
    }
    *s = (struct sight){0};
}

static float place(int64_t i, int64_t n) {
    return n > 1 ? -1 + 2 * (float)i / (float)(n - 1) : -1;
}

/* One cell: its pixels, earlier frame and upper row first, then where it is in time, down and
 * right. */
static void write_cell(float *to, const uint8_t *rgb, int n_frames, int W, int H,
                       const int64_t at[3]) {
    for (int t = 0; t < CELL_T; t++) {
        int frame = sight_frame(n_frames, (int)at[0] * CELL_T + t);
        for (int y = 0; y < CELL; y++) {
            const uint8_t *from =
                rgb + (((int64_t)frame * H + at[1] * CELL + y) * W + at[2] * CELL) * 3;
            for (int k = 0; k < CELL * 3; k++)
                *to++ = (float)from[k] / 127.5f - 1;
        }
    }
    *to++ = place(at[0], SIGHT_FRAMES / CELL_T);
    *to++ = place(at[1], H / CELL);
    *to = place(at[2], W / CELL);
}

static enum err take_cells(struct sight *s, struct tensor *out, const uint8_t *rgb, int n_frames,
                           int W, int H, struct fail *f) {
    enum err rc = ERR_OK;
    int64_t T = SIGHT_FRAMES / CELL_T, h = H / CELL, w = W / CELL;
    float *host = mem_take((size_t)(T * h * w), CELL_NUMBERS * sizeof *host);
    if (!host) return FAIL(f, ERR_NOMEM, "no memory for the cells of a clip");
    for (int64_t i = 0; i < T * h * w; i++)
        write_cell(host + i * CELL_NUMBERS, rgb, n_frames, W, H,
                   (int64_t[]){i / (h * w), i / w % h, i % w});
    TRY(pool_take_4d(&s->step, out, T, h, w, CELL_NUMBERS, f));
    op_upload(&s->dev, out, host);
out:
    mem_free(host);
    return rc;
}

/* x [T,h,w,C] becomes what layer i makes of it. */
static enum err run_layer(struct sight *s, struct tensor *x, int i, struct fail *f) {
    enum err rc = ERR_OK;
    enum kind kind = layers[i].kind;
    int64_t C = s->width[layers[i].stage], by = kind == HALVE ? 2 : 1;
    struct tensor y, past;
    TRY(pool_take_4d(&s->step, &y, x->dim[0], x->dim[1] / by, x->dim[2] / by, C, f));
    struct conv_opts o = {.w = &s->w[i],
                          .b = &s->b[i],
                          .stride_t = 1,
                          .stride_s = (int)by,
                          .is_centred = kind == HALVE,
                          .act = ACT_RELU,
                          .add = tensor_same_shape(x, &y) ? x : NULL};
    if (kind == PAST) {
        TRY(pool_take_4d(&s->step, &past, 2, x->dim[1], x->dim[2], x->dim[3], f));
        op_fill(&s->dev, &past, 0);
        o.cache = &past;
    }
    if (kind == CELLS)
        TRY(op_linear(&s->dev, &y, x, &s->w[i], &s->b[i], ACT_RELU, f));
    else
        TRY(op_conv(&s->dev, &y, x, &o, f));
    *x = y;
out:
    return rc;
}

/* Mean and maximum of each channel of x [..,C], one behind the other. */
static enum err take_pooled(struct sight *s, struct tensor *out, const struct tensor *x,
                            struct fail *f) {
    enum err rc = ERR_OK;
    int64_t n = tensor_n_rows(x), C = tensor_n_cols(x);
    float *host = mem_take((size_t)(n * C), sizeof *host);
    float *both = mem_take((size_t)(2 * C), sizeof *both);
    if (!host || !both) TRY(FAIL(f, ERR_NOMEM, "no memory for the features of a clip"));
    op_download(&s->dev, host, x);
    for (int64_t c = 0; c < C; c++) {
        double sum = 0;
        float most = host[c];
        for (int64_t i = 0; i < n; i++) {
            sum += host[i * C + c];
            most = fmaxf(most, host[i * C + c]);
        }
        both[c] = (float)(sum / (double)n);
        both[C + c] = most;
    }
    TRY(pool_take_2d(&s->step, out, 1, 2 * C, f));
    op_upload(&s->dev, out, both);
out:
    mem_free(host);
    mem_free(both);
    return rc;
}

static enum err answer(struct sight *s, struct sight_view *out, const struct tensor *feature,
                       enum label_head h, struct fail *f) {
    enum err rc = ERR_OK;
    int n = label_n_values(h), best = 0;
    struct tensor row;
    double sum = 0;
    float *v = out->logit[h];
    TRY(pool_take_2d(&s->step, &row, 1, n, f));
    TRY(op_linear(&s->dev, &row, feature, &s->head_w[h], &s->head_b[h], ACT_NONE, f));
    op_download(&s->dev, v, &row);
    for (int i = 1; i < n; i++)
        if (v[i] > v[best]) best = i;
    for (int i = 0; i < n; i++)
        sum += exp((double)v[i] - v[best]);
    out->label.value[h] = (int8_t)best;
    out->sure[h] = (float)(1 / sum);
out:
    return rc;
}

static enum err look(struct sight *s, struct sight_view *out, struct tensor *x, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor pooled, feature;
    for (int i = 0; i < SIGHT_LAYERS; i++)
        TRY(run_layer(s, x, i, f));
    TRY(take_pooled(s, &pooled, x, f));
    TRY(pool_take_2d(&s->step, &feature, 1, s->n_features, f));
    TRY(op_linear(&s->dev, &feature, &pooled, &s->feature_w, &s->feature_b, ACT_RELU, f));
    op_download(&s->dev, out->feature, &feature);
    for (int h = 0; h < LABEL_HEAD_COUNT; h++)
        TRY(answer(s, out, &feature, (enum label_head)h, f));
out:
    return rc;
}

enum err sight_look(struct sight *s, struct sight_view *out, const uint8_t *rgb, int n_frames,
                    int width, int height, struct fail *f) {
    enum err rc = ERR_OK;
    struct tensor x;
    ASSERT(n_frames > 0 && width > 0 && height > 0);
    if (width % 16 || height % 16)
        return FAIL(f, ERR_INPUT, "the judge reads sides that are multiples of 16, not %dx%d",
                    width, height);
    memset(out, 0, sizeof *out);
    TRY(take_cells(s, &x, rgb, n_frames, width, height, f));
    TRY(look(s, out, &x, f));
out:
    pool_reset(&s->step);
    return rc;
}
