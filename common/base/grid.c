#include "common/base/grid.h"

#include "common/base/assert.h"

int grid_multiple(const struct grid *g) {
    return g->factor_s * g->patch;
}

bool grid_is_legal(const struct grid *g, const struct canvas *c) {
    int m = grid_multiple(g);
    return c->n_frames > 0 && c->width > 0 && c->height > 0 && c->width % m == 0 &&
           c->height % m == 0 && (c->n_frames - 1) % g->factor_t == 0;
}

int grid_latent_frames(const struct grid *g, int n_frames) {
    ASSERT(n_frames > 0 && (n_frames - 1) % g->factor_t == 0);
    return 1 + (n_frames - 1) / g->factor_t;
}

int grid_pixel_frames(const struct grid *g, int n_latents) {
    ASSERT(n_latents > 0);
    return 1 + (n_latents - 1) * g->factor_t;
}

int grid_round_frames(const struct grid *g, int n_frames) {
    ASSERT(n_frames > 0);
    return 1 + (n_frames - 1 + g->factor_t - 1) / g->factor_t * g->factor_t;
}

int64_t grid_tokens(const struct grid *g, const struct canvas *c) {
    ASSERT(grid_is_legal(g, c));
    int m = grid_multiple(g);
    return (int64_t)grid_latent_frames(g, c->n_frames) * (c->width / m) * (c->height / m);
}
