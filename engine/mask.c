#include "engine/mask.h"

enum err mask_check(const float *level, const struct mask_grid *g, struct fail *f) {
    for (int64_t i = 0, n = g->T * g->H * g->W; i < n; i++)
        if (!(level[i] >= 0.0f && level[i] <= 1.0f))
            return FAIL(f, ERR_INPUT, "the start level of latent place %lld is %g, not 0..1",
                        (long long)i, (double)level[i]);
    return ERR_OK;
}

int64_t mask_token_place(const struct mask_grid *g, int64_t token) {
    int64_t n_w = g->W / g->pw, n_h = g->H / g->ph;
    int64_t w = token % n_w, h = token / n_w % n_h, t = token / n_w / n_h;
    return (t * g->pt * g->H + h * g->ph) * g->W + w * g->pw;
}

/* Visits the places of a token: writes `*value` to them, or raises `*value` to their largest. */
static void visit(float *level, const struct mask_grid *g, int64_t token, float *value,
                  int is_writing) {
    int64_t first = mask_token_place(g, token);
    for (int64_t t = 0; t < g->pt; t++)
        for (int64_t h = 0; h < g->ph; h++)
            for (int64_t w = 0; w < g->pw; w++) {
                float *at = level + first + (t * g->H + h) * g->W + w;
                if (is_writing)
                    *at = *value;
                else if (*at > *value)
                    *value = *at;
            }
}

void mask_shrink(float *level, const struct mask_grid *g) {
    int64_t n = (g->T / g->pt) * (g->H / g->ph) * (g->W / g->pw);
    for (int64_t token = 0; token < n; token++) {
        float most = 0;
        visit(level, g, token, &most, 0);
        visit(level, g, token, &most, 1);
    }
}
