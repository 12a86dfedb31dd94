#include "tests/bench/count.h"

double count_sum(const struct count *c) {
    return c->linear + c->attention + c->conv;
}

struct count count_dit(const struct dit *d, double n_tokens, double n_words) {
    const struct dit_config *c = &d->config;
    double width = dit_config_width(c), N = n_tokens, L = c->n_layers;
    double cell = (double)c->patch_size.v[0] * c->patch_size.v[1] * c->patch_size.v[2];
    struct count out = {0};
    /* Of a block: q, k, v, out of the tokens, q, out of the words, and the two of the ffn. */
    out.linear = 2 * N * L * (6 * width * width + 2 * width * c->ffn_dim);
    out.linear += 2 * N * width * cell * (c->in_channels + c->out_channels);
    out.attention = 4 * N * (N + n_words) * width * L;
    return out;
}

/* A product of every position of [T,H,W] with all of `w`. */
static double product(const struct tensor *w, double T, double H, double W) {
    return w->n_dims ? 2.0 * (double)tensor_count(w) * T * H * W : 0;
}

/* One layer over one chunk; *s becomes the shape after it. */
static struct count count_layer(const struct vae_layer *l, struct vae_shape *s, bool is_first) {
    struct count out = {0};
    double T = (double)s->T, H = (double)s->H, W = (double)s->W;
    switch (l->kind) {
    case VAE_ATTENTION:
        /* q, k and v are as big as what comes after them. */
        out.linear = 4 * product(&l->conv2, T, H, W);
        out.attention = 4 * T * (H * W) * (H * W) * l->c_in;
        break;
    case VAE_DOWN:
        s->H /= 2;
        s->W /= 2;
        out.conv = product(&l->conv1, T, H / 2, W / 2);
        if (l->ft == 2 && !is_first) {
            s->T /= 2;
            out.conv += product(&l->conv2, T / 2, H / 2, W / 2);
        }
        break;
    case VAE_UP:
        if (l->ft == 2 && !is_first) {
            out.conv = product(&l->conv2, T, H, W);
            s->T *= 2;
        }
        s->H *= 2;
        s->W *= 2;
        out.conv += product(&l->conv1, (double)s->T, 2 * H, 2 * W);
        break;
    default:
        out.conv = product(&l->conv1, T, H, W) + product(&l->conv2, T, H, W);
        out.linear = product(&l->side, T, H, W);
    }
    return out;
}

static void count_chunk(struct count *out, const struct vae_net *net, struct vae_shape s,
                        bool is_first) {
    for (int i = 0; i < net->n_layers; i++) {
        struct count one = count_layer(&net->layer[i], &s, is_first);
        out->linear += one.linear;
        out->attention += one.attention;
        out->conv += one.conv;
    }
}

struct count count_vae(const struct vae *v, enum vae_direction direction,
                       const struct vae_shape *latent) {
    const struct vae_config *c = &v->config;
    const struct vae_net *net = direction == VAE_DECODE ? &v->decoder : &v->encoder;
    int64_t scale = direction == VAE_DECODE ? 1 : c->factor_s / c->patch;
    struct vae_shape first = {1, latent->H * scale, latent->W * scale, 0}, later = first;
    struct count out = {0};
    if (direction == VAE_ENCODE) later.T = c->factor_t;
    count_chunk(&out, net, first, true);
    for (int64_t i = 1; i < latent->T; i++)
        count_chunk(&out, net, later, false);
    return out;
}

struct count count_text(const struct text *t, double n_tokens) {
    const struct text_config *c = &t->config;
    double inner = (double)c->n_heads * c->d_kv;
    return (struct count){.linear = n_tokens * count_text_weights(t),
                          .attention = 4 * n_tokens * n_tokens * inner * c->n_layers};
}

double count_text_weights(const struct text *t) {
    const struct text_config *c = &t->config;
    double inner = (double)c->n_heads * c->d_kv;
    return 2.0 * c->n_layers * c->d_model * (4 * inner + 3.0 * c->d_ff);
}
