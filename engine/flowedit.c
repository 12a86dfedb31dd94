#include "engine/flowedit.h"

#include <string.h>

#include "common/base/mem.h"

enum { X0, SOURCE, TARGET, V_NEW, V_OLD, BUFFERS };

static enum err run_step(const struct flowedit *e, float *z, float *const b[BUFFERS], int i,
                         struct fail *f) {
    enum err rc = ERR_OK;
    double sigma = e->schedule->sigma[i], d = e->schedule->sigma[i + 1] - sigma;
    e->noise(e->ctx, b[SOURCE], i);
    for (int64_t k = 0; k < e->n; k++) {
        double x0 = (double)b[X0][k], source = (1 - sigma) * x0 + sigma * (double)b[SOURCE][k];
        b[SOURCE][k] = (float)source;
        b[TARGET][k] = (float)((double)z[k] + source - x0);
    }
    TRY(e->velocity(e->ctx, b[V_NEW], b[TARGET], i, true, f));
    TRY(e->velocity(e->ctx, b[V_OLD], b[SOURCE], i, false, f));
    for (int64_t k = 0; k < e->n; k++)
        z[k] = (float)((double)z[k] + d * ((double)b[V_NEW][k] - (double)b[V_OLD][k]));
out:
    return rc;
}

enum err flowedit_run(const struct flowedit *e, float *z, struct fail *f) {
    enum err rc = ERR_OK;
    int n_steps = e->schedule->n, first = n_steps > e->n_max ? n_steps - e->n_max : 0;
    float *b[BUFFERS] = {0};
    for (int i = 0; i < BUFFERS; i++) {
        b[i] = mem_take((size_t)e->n, sizeof **b);
        if (!b[i]) TRY(FAIL(f, ERR_NOMEM, "no memory for %lld latent values", (long long)e->n));
    }
    memcpy(b[X0], z, (size_t)e->n * sizeof *z);
    for (int i = first; i < n_steps; i++) {
        TRY(run_step(e, z, b, i, f));
        if (e->on_step) TRY(e->on_step(e->ctx, i - first + 1, n_steps - first, f));
    }
out:
    for (int i = 0; i < BUFFERS; i++)
        mem_free(b[i]);
    return rc;
}
