#include "engine/vision.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "engine/resize.h"

enum { CONFIG_BYTES_MAX = 1 << 20 };

/* Of the pictures that CLIP was trained on. */
static const double pixel_mean[3] = {0.48145466, 0.4578275, 0.40821073};
static const double pixel_std[3] = {0.26862954, 0.26130258, 0.27577711};

#define FIELD(key, kind, member, min, max) \
    { key, JSON_FIELD_##kind, offsetof(struct vision_config, member), min, max }

static const struct json_field fields[] = {
    FIELD("hidden_size", INT, width, 1, 1 << 14),
    FIELD("intermediate_size", INT, inner, 1, 1 << 16),
    FIELD("num_hidden_layers", INT, n_layers, 1, VISION_LAYERS_MAX),
    FIELD("num_attention_heads", INT, n_heads, 1, 1 << 10),
    FIELD("image_size", INT, image_px, 1, 4096),
    FIELD("patch_size", INT, patch_px, 1, 4096),
    FIELD("num_channels", INT, n_channels, 3, 3),
    FIELD("layer_norm_eps", REAL, eps, 0, 1),
    FIELD("hidden_act", TEXT, act, 0, 0),
};

/* ViT-H/14; a config of transformers may leave out what equals the class's defaults. */
static const struct vision_config defaults = {.width = 768,
                                              .inner = 3072,
                                              .n_layers = 12,
                                              .n_heads = 12,
                                              .image_px = 224,
                                              .patch_px = 32,
                                              .n_channels = 3,
                                              .eps = 1e-5,
                                              .act = "quick_gelu"};

#define D             WEIGHT_SIZE(0)
#define I             WEIGHT_SIZE(1)
#define AT(member)    offsetof(struct vision, member)
#define LAYER(member) offsetof(struct vision_layer, member)

/* Sizes: 0 width, 1 inner, 2 patch, 3 rows. */
static const struct weight_row rows[] = {
    {"embeddings.class_embedding", AT(class_row), WEIGHT_PLAIN, 1, {D}},
    {"embeddings.position_embedding.weight", AT(place), WEIGHT_PLAIN, 2, {WEIGHT_SIZE(3), D}},
    {"embeddings.patch_embedding.weight",
     AT(patch),
     WEIGHT_MATRIX,
     4,
     {D, 3, WEIGHT_SIZE(2), WEIGHT_SIZE(2)}},
    {"pre_layrnorm.weight", AT(norm), WEIGHT_PLAIN, 1, {D}}, /* spelled so */
    {"pre_layrnorm.bias", AT(norm_b), WEIGHT_PLAIN, 1, {D}},
};

static const struct weight_row layer_rows[] = {
    {"layer_norm1.weight", LAYER(norm_1), WEIGHT_PLAIN, 1, {D}},
    {"layer_norm1.bias", LAYER(norm_1b), WEIGHT_PLAIN, 1, {D}},
    {"layer_norm2.weight", LAYER(norm_2), WEIGHT_PLAIN, 1, {D}},
    {"layer_norm2.bias", LAYER(norm_2b), WEIGHT_PLAIN, 1, {D}},
    {"self_attn.q_proj.weight", LAYER(q), WEIGHT_PACK, 2, {D, D}},
    {"self_attn.q_proj.bias", LAYER(q_b), WEIGHT_PLAIN, 1, {D}},
    {"self_attn.k_proj.weight", LAYER(k), WEIGHT_PACK, 2, {D, D}},
    {"self_attn.k_proj.bias", LAYER(k_b), WEIGHT_PLAIN, 1, {D}},
    {"self_attn.v_proj.weight", LAYER(v), WEIGHT_PACK, 2, {D, D}},
    {"self_attn.v_proj.bias", LAYER(v_b), WEIGHT_PLAIN, 1, {D}},
    {"self_attn.out_proj.weight", LAYER(out), WEIGHT_PACK, 2, {D, D}},
    {"self_attn.out_proj.bias", LAYER(out_b), WEIGHT_PLAIN, 1, {D}},
    {"mlp.fc1.weight", LAYER(up), WEIGHT_PACK, 2, {I, D}},
    {"mlp.fc1.bias", LAYER(up_b), WEIGHT_PLAIN, 1, {I}},
    {"mlp.fc2.weight", LAYER(down), WEIGHT_PACK, 2, {D, I}},
    {"mlp.fc2.bias", LAYER(down_b), WEIGHT_PLAIN, 1, {D}},
};

static enum err read_config(struct vision_config *c, const char *folder, struct fail *f) {
    enum err rc = ERR_OK;
    struct json j = {0};
    char path[512];
    *c = defaults;
    snprintf(path, sizeof path, "%.400s/config.json", folder);
    TRY(json_read_file(&j, path, CONFIG_BYTES_MAX, f));
    TRY(json_read_fields(&j, 0, c, fields, COUNT_OF(fields), f));
    if (strcmp(c->act, "gelu") != 0)
        rc = FAIL(f, ERR_UNSUPPORTED, "%.200s: hidden_act \"%s\"; only gelu", path, c->act);
    else if (c->width % c->n_heads || c->image_px % c->patch_px)
        rc = FAIL(f, ERR_CORRUPT, "%.200s: %d heads of %d, patches of %d in %d pixels", path,
                  c->n_heads, c->width, c->patch_px, c->image_px);
out:
    json_free(&j);
    return rc;
}

int64_t vision_n_rows(const struct vision *c) {
    int64_t side = c->config.image_px / c->config.patch_px;
    return side * side + 1;
}

static enum err bind(struct vision *c, struct weights *w, struct fail *f) {
    enum err rc = ERR_OK;
    char prefix[64];
    const struct vision_config *o = &c->config;
    const char *root = weights_find(w, "vision_model.pre_layrnorm.weight") ? "vision_model." : "";
    int64_t sizes[] = {o->width, o->inner, o->patch_px, vision_n_rows(c)};
    TRY(weights_bind(w, c, root, rows, COUNT_OF(rows), sizes, f));
    for (int i = 0; i < o->n_layers - 1; i++) {
        snprintf(prefix, sizeof prefix, "%sencoder.layers.%d.", root, i);
        TRY(weights_bind(w, &c->layer[i], prefix, layer_rows, COUNT_OF(layer_rows), sizes, f));
    }
    /* What comes after the penultimate layer. */
    const char *const unused[] = {"post_layernorm.", "embeddings.position_ids"};
    snprintf(prefix, sizeof prefix, "%sencoder.layers.%d.", root, o->n_layers - 1);
    weights_ignore(w, prefix);
    weights_ignore(w, "visual_projection.");
    for (int i = 0; i < COUNT_OF(unused); i++) {
        snprintf(prefix, sizeof prefix, "%s%s", root, unused[i]);
        weights_ignore(w, prefix);
    }
    TRY(weights_finish(w, f));
out:
    return rc;
}

enum err vision_open(struct vision **out, struct device *dev, struct pool *pool, const char *folder,
                     struct fail *f) {
    enum err rc = ERR_OK;
    struct weights w = {0};
    struct vision *c = mem_take(1, sizeof *c);
    *out = NULL;
    if (!c) return FAIL(f, ERR_NOMEM, "no memory for an image encoder");
    c->dev = dev;
    TRY(read_config(&c->config, folder, f));
    TRY(weights_open(&w, dev, pool, folder, "model", f));
    TRY(bind(c, &w, f));
    *out = c;
    c = NULL;
out:
    weights_close(&w);
    vision_close(c);
    return rc;
}

void vision_close(struct vision *c) {
    mem_free(c);
}

/* The middle S x S of a picture whose shorter side is S, normalised. */
static void cut_middle(float *pixels, int S, const uint8_t *rgb, struct resize_size size) {
    int left = (size.width - S) / 2, top = (size.height - S) / 2;
    for (int y = 0; y < S; y++)
        for (int x = 0; x < S; x++)
            for (int c = 0; c < 3; c++) {
                double v = rgb[((int64_t)(top + y) * size.width + left + x) * 3 + c] / 255.0;
                *pixels++ = (float)((v - pixel_mean[c]) / pixel_std[c]);
            }
}

enum err vision_prepare(const struct vision *c, float *pixels, const uint8_t *rgb, int width,
                        int height, struct fail *f) {
    enum err rc = ERR_OK;
    int S = c->config.image_px;
    uint8_t *small = NULL;
    if (width < 1 || height < 1 || width > RESIZE_SIDE_MAX || height > RESIZE_SIDE_MAX)
        return FAIL(f, ERR_INPUT, "a picture of %d x %d", width, height);
    struct resize_size size = {S, S};
    if (width <= height)
        size.height = (int)((int64_t)S * height / width);
    else
        size.width = (int)((int64_t)S * width / height);
    if (size.width > RESIZE_SIDE_MAX || size.height > RESIZE_SIDE_MAX)
        return FAIL(f, ERR_INPUT, "a picture of %d x %d is too narrow to be looked at", width,
                    height);
    small = mem_take((size_t)size.width * (size_t)size.height * 3, 1);
    if (!small) return FAIL(f, ERR_NOMEM, "no memory to resize a picture");
    TRY(resize_bicubic(small, size, rgb, (struct resize_size){width, height}, f));
    cut_middle(pixels, S, small, size);
out:
    mem_free(small);
    return rc;
}

/* x [1+patches, width]: the class row, then the patches; places added, normed. */
static enum err embed(struct vision *c, struct tensor *x, const float *pixels, struct pool *step,
                      struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    int64_t S = c->config.image_px, P = c->config.patch_px, n = x->dim[0] - 1;
    struct patch patch = {1, (int)P, (int)P, PATCH_C_T_H_W};
    struct norm_opts norm = {NORM_LAYER, (float)c->config.eps, &c->norm, &c->norm_b, ACT_NONE};
    struct tensor picture, cells;
    struct tensor head = tensor_rows(x, 0, 1), rest = tensor_rows(x, 1, n);
    struct tensor class_row = tensor_as_2d(&c->class_row, 1, c->config.width);
    TRY(pool_take_4d(step, &picture, 1, S, S, 3, f));
    TRY(pool_take_2d(step, &cells, n, 3 * P * P, f));
    op_upload(c->dev, &picture, pixels);
    TRY(op_patchify(c->dev, &cells, &picture, &patch, f));
    TRY(op_copy(c->dev, &head, &class_row, f));
    TRY(op_linear(c->dev, &rest, &cells, &c->patch, NULL, ACT_NONE, f));
    TRY(op_add_scaled(c->dev, x, x, &c->place, 1.0f, f));
    TRY(op_norm(c->dev, x, x, &norm, f));
out:
    pool_rewind(step, mark);
    return rc;
}

/* x [N,width] in place. */
static enum err run_layer(struct vision *c, const struct vision_layer *l, struct tensor *x,
                          struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    int64_t N = x->dim[0], d = x->dim[1];
    float eps = (float)c->config.eps;
    struct norm_opts norm_1 = {NORM_LAYER, eps, &l->norm_1, &l->norm_1b, ACT_NONE};
    struct norm_opts norm_2 = {NORM_LAYER, eps, &l->norm_2, &l->norm_2b, ACT_NONE};
    struct attention_opts o = {.n_heads = c->config.n_heads};
    struct tensor n, q, k, v, wide;
    TRY(pool_take_rows(step, &n, N, d, f));
    TRY(pool_take_rows(step, &q, N, d, f));
    TRY(pool_take_rows(step, &k, N, d, f));
    TRY(pool_take_rows(step, &v, N, d, f));
    TRY(pool_take_rows(step, &wide, N, c->config.inner, f));
    TRY(op_norm(c->dev, &n, x, &norm_1, f));
    TRY(op_linear(c->dev, &q, &n, &l->q, &l->q_b, ACT_NONE, f));
    TRY(op_linear(c->dev, &k, &n, &l->k, &l->k_b, ACT_NONE, f));
    TRY(op_linear(c->dev, &v, &n, &l->v, &l->v_b, ACT_NONE, f));
    TRY(op_attention(c->dev, &n, &q, &k, &v, &o, f));
    TRY(op_linear_add(c->dev, x, &n, &l->out, &l->out_b, NULL, 0, f));
    TRY(op_norm(c->dev, &n, x, &norm_2, f));
    TRY(op_linear(c->dev, &wide, &n, &l->up, &l->up_b, ACT_GELU_ERF, f));
    TRY(op_linear_add(c->dev, x, &wide, &l->down, &l->down_b, NULL, 0, f));
out:
    pool_rewind(step, mark);
    return rc;
}

enum err vision_encode(struct vision *c, struct tensor *out, const float *pixels, struct pool *step,
                       struct fail *f) {
    enum err rc = ERR_OK;
    if (out->n_dims != 2 || out->dim[0] != vision_n_rows(c) || out->dim[1] != c->config.width)
        return FAIL(f, ERR_BUG, "room for %lld x %lld, a picture has %lld x %d",
                    (long long)out->dim[0], (long long)out->dim[1], (long long)vision_n_rows(c),
                    c->config.width);
    TRY(embed(c, out, pixels, step, f));
    for (int i = 0; i < c->config.n_layers - 1; i++)
        TRY(run_layer(c, &c->layer[i], out, step, f));
out:
    return rc;
}
