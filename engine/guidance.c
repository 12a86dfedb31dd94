#include "engine/guidance.h"

double guidance_scale(const struct guidance *g, double sigma, bool is_late) {
    double scale = is_late ? g->scale_late : g->scale;
    return scale > 1 && sigma <= g->from && sigma >= g->to ? scale : 1;
}

bool guidance_is_still(const struct guidance *g, int step) {
    return g->is_zero_star && step < g->n_zero_steps;
}

/* How much of u is in c: c is nearest to a u. */
static double share(const float *c, const float *u, int64_t n) {
    const double eps = 1e-8;
    double dot = 0, square = 0;
    for (int64_t i = 0; i < n; i++) {
        dot += (double)c[i] * (double)u[i];
        square += (double)u[i] * (double)u[i];
    }
    return dot / (square + eps);
}

void guidance_mix(const struct guidance *g, float *v, const float *u, int64_t n, double scale) {
    double a = g->is_zero_star ? share(v, u, n) : 1;
    for (int64_t i = 0; i < n; i++) {
        double base = a * (double)u[i];
        v[i] = (float)(base + scale * ((double)v[i] - base));
    }
}
