#include "engine/dit_vace.h"

#include <stddef.h>
#include <stdio.h>

#include "common/base/assert.h"

#define D            WEIGHT_SIZE(0)
#define AT(member)   offsetof(struct dit_vace, member)
#define LAST(member) offsetof(struct dit_vace_block, member)

/* Sizes: 0 width, 1 channels of the control volume, 2-4 patch. */
static const struct weight_row rows[] = {
    {"vace_patch_embedding.weight",
     AT(patch),
     WEIGHT_MATRIX,
     5,
     {D, WEIGHT_SIZE(1), WEIGHT_SIZE(2), WEIGHT_SIZE(3), WEIGHT_SIZE(4)}},
    {"vace_patch_embedding.bias", AT(patch_b), WEIGHT_PLAIN, 1, {D}},
    {"vace_blocks.0.proj_in.weight", AT(in), WEIGHT_PACK, 2, {D, D}},
    {"vace_blocks.0.proj_in.bias", AT(in_b), WEIGHT_PLAIN, 1, {D}},
};

static const struct weight_row block_rows[] = {
    {"proj_out.weight", LAST(out), WEIGHT_PACK, 2, {D, D}},
    {"proj_out.bias", LAST(out_b), WEIGHT_PLAIN, 1, {D}},
};

enum err dit_vace_bind(struct dit_vace *v, struct weights *w, const struct dit_config *c,
                       const struct dit_caps *caps, struct fail *f) {
    enum err rc = ERR_OK;
    char prefix[64];
    const int *p = c->patch_size.v;
    int64_t sizes[] = {dit_config_width(c), caps->vace_channels, p[0], p[1], p[2]};
    TRY(weights_bind(w, v, "", rows, COUNT_OF(rows), sizes, f));
    for (int k = 0; k < caps->n_vace; k++) {
        snprintf(prefix, sizeof prefix, "vace_blocks.%d.", k);
        TRY(dit_block_bind(&v->block[k].block, w, prefix, c, f));
        TRY(weights_bind(w, &v->block[k], prefix, block_rows, COUNT_OF(block_rows), sizes, f));
    }
out:
    return rc;
}

enum err dit_vace_begin(const struct dit_vace *v, struct device *dev, struct tensor *c,
                        const struct tensor *cells, const struct tensor *x0, struct pool *step,
                        struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct tensor embedded;
    TRY(pool_take_2d(step, &embedded, c->dim[0], c->dim[1], f));
    TRY(op_linear(dev, &embedded, cells, &v->patch, &v->patch_b, ACT_NONE, f));
    TRY(op_copy(dev, c, x0, f));
    TRY(op_linear_add(dev, c, &embedded, &v->in, &v->in_b, NULL, 0, f));
out:
    pool_rewind(step, mark);
    return rc;
}

/* A gate of one row that is `scale` everywhere. */
static enum err add_hint(const struct dit_vace_block *b, struct device *dev, const struct tensor *c,
                         struct tensor *x, float scale, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct tensor row;
    struct mod_table gate = {&row, NULL};
    TRY(pool_take(step, &row, DTYPE_F32, 3, (int64_t[]){1, 1, x->dim[1]}, f));
    op_fill(dev, &row, scale);
    TRY(op_linear_add(dev, x, c, &b->out, &b->out_b, scale == 1.0f ? NULL : &gate, 0, f));
out:
    pool_rewind(step, mark);
    return rc;
}

enum err dit_vace_step(const struct dit_vace_block *b, struct device *dev, struct tensor *c,
                       struct tensor *x, float scale, const struct dit_block_text *text,
                       const struct dit_block_pass *pass, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(dit_block_forward(&b->block, dev, c, text, NULL, pass, f));
    TRY(add_hint(b, dev, c, x, scale, pass->step, f));
out:
    return rc;
}
