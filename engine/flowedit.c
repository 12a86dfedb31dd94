#include "engine/flowedit.h"

#include "common/base/mem.h"

enum { SOURCE, TARGET, V_NEW, V_OLD, BUFFERS };

static enum err run_step(const struct flowedit *e, float *z, const float *x0,
                         float *const b[BUFFERS], int i, struct fail *f) {
    enum err rc = ERR_OK;
    double sigma = e->schedule->sigma[i], d = e->schedule->sigma[i + 1] - sigma;
    e->noise(e->ctx, b[SOURCE], i);
    for (int64_t k = 0; k < e->n; k++) {
        double source = (1 - sigma) * (double)x0[k] + sigma * (double)b[SOURCE][k];
        b[SOURCE][k] = (float)source;
        b[TARGET][k] = (float)((double)z[k] + source - (double)x0[k]);
    }
    TRY(e->velocity(e->ctx, b[V_NEW], b[TARGET], i, true, f));
    TRY(e->velocity(e->ctx, b[V_OLD], b[SOURCE], i, false, f));
    for (int64_t k = e->n_done; k < e->n; k++)
        z[k] = (float)((double)z[k] + d * ((double)b[V_NEW][k] - (double)b[V_OLD][k]));
out:
    return rc;
}

enum err flowedit_run(const struct flowedit *e, float *z, const float *x0, struct fail *f) {
    enum err rc = ERR_OK;
    int n_steps = e->schedule->n, first = n_steps > e->n_max ? n_steps - e->n_max : 0;
    float *b[BUFFERS] = {0};
    for (int i = 0; i < BUFFERS; i++) {
        b[i] = mem_take((size_t)e->n, sizeof **b);
        if (!b[i]) TRY(FAIL(f, ERR_NOMEM, "no memory for %lld latent values", (long long)e->n));
    }
    for (int i = first; i < n_steps; i++) {
        TRY(run_step(e, z, x0, b, i, f));
        if (e->on_step) TRY(e->on_step(e->ctx, i - first + 1, n_steps - first, f));
    }
out:
    for (int i = 0; i < BUFFERS; i++)
        mem_free(b[i]);
    return rc;
}
