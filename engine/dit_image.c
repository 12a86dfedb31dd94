#include "engine/dit_image.h"

#include <stddef.h>

#include "common/base/assert.h"

#define AT(member) offsetof(struct dit_image_net, member)
#define D          WEIGHT_SIZE(0)
#define I          WEIGHT_SIZE(1)
#define N          WEIGHT_SIZE(2)

static const float norm_eps = 1e-5f; /* not the eps of the config */

static const struct weight_row rows[] = {
    {"norm1.weight", AT(norm_in), WEIGHT_LATE, 1, {I}},
    {"norm1.bias", AT(norm_in_b), WEIGHT_LATE, 1, {I}},
    {"ff.net.0.proj.weight", AT(up), WEIGHT_LATE, 2, {I, I}},
    {"ff.net.0.proj.bias", AT(up_b), WEIGHT_LATE, 1, {I}},
    {"ff.net.2.weight", AT(down), WEIGHT_LATE, 2, {D, I}},
    {"ff.net.2.bias", AT(down_b), WEIGHT_LATE, 1, {D}},
    {"norm2.weight", AT(norm_out), WEIGHT_LATE, 1, {D}},
    {"norm2.bias", AT(norm_out_b), WEIGHT_LATE, 1, {D}},
};

static const struct weight_row place_rows[] = {
    {"pos_embed", AT(place), WEIGHT_LATE, 3, {1, N, I}},
};

enum err dit_image_bind(struct dit_image_net *n, struct weights *w, const struct dit_caps *caps,
                        int64_t width, struct fail *f) {
    enum err rc = ERR_OK;
    const char *prefix = "condition_embedder.image_embedder.";
    int64_t sizes[] = {width, caps->image_dim, caps->image_rows};
    TRY(weights_bind(w, n, prefix, rows, COUNT_OF(rows), sizes, f));
    if (caps->image_rows)
        TRY(weights_bind(w, n, prefix, place_rows, COUNT_OF(place_rows), sizes, f));
out:
    return rc;
}

enum err dit_image_embed(const struct dit_image_net *n, struct device *dev, struct tensor *out,
                         const struct tensor *in, struct pool *step, struct fail *f) {
    enum err rc = ERR_OK;
    struct pool_mark mark = pool_mark(step);
    struct tensor x, hidden, wide;
    struct norm_opts first = {NORM_LAYER, norm_eps, &n->norm_in, &n->norm_in_b, ACT_NONE};
    struct norm_opts last = {NORM_LAYER, norm_eps, &n->norm_out, &n->norm_out_b, ACT_NONE};
    TRY(pool_take_2d(step, &x, in->dim[0], in->dim[1], f));
    TRY(pool_take_2d(step, &hidden, in->dim[0], in->dim[1], f));
    TRY(pool_take_2d(step, &wide, in->dim[0], out->dim[1], f));
    if (n->place.data) {
        struct tensor place = tensor_as_2d(&n->place, n->place.dim[1], n->place.dim[2]);
        if (place.dim[0] != in->dim[0])
            TRY(FAIL(f, ERR_INPUT, "%lld rows of pictures, the model has positions for %lld",
                     (long long)in->dim[0], (long long)place.dim[0]));
        TRY(op_add_scaled(dev, &x, in, &place, 1.0f, f));
        in = &x;
    }
    TRY(op_norm(dev, &x, in, &first, f));
    TRY(op_linear(dev, &hidden, &x, &n->up, &n->up_b, ACT_GELU_ERF, f));
    TRY(op_linear(dev, &wide, &hidden, &n->down, &n->down_b, ACT_NONE, f));
    TRY(op_norm(dev, out, &wide, &last, f));
out:
    pool_rewind(step, mark);
    return rc;
}
