#include "engine/schedule.h"

#include <math.h>
#include <string.h>

static const double n_train = 1000;
static const double times_from = 10; /* a list that begins above this is one of timesteps */

static double shifted(double b, double shift) {
    return shift * b / (1 + (shift - 1) * b);
}

static enum err check(struct schedule *s, int n_steps, double shift, struct fail *f) {
    memset(s, 0, sizeof *s);
    if (n_steps < 1 || n_steps > SCHEDULE_STEPS_MAX)
        return FAIL(f, ERR_INPUT, "%d steps; 1 to %d are possible", n_steps, SCHEDULE_STEPS_MAX);
    if (!(shift > 0 && shift <= 100))
        return FAIL(f, ERR_INPUT, "a shift of %g; more than 0 and at most 100", shift);
    s->n = n_steps;
    return ERR_OK;
}

enum err schedule_unipc(struct schedule *s, int n_steps, double shift, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(check(s, n_steps, shift, f));
    for (int i = 0; i < n_steps; i++) {
        double b = 1 - (1 - 1 / n_train) * (double)i / (double)n_steps;
        s->sigma[i] = shifted(b, shift);
    }
    schedule_round(s);
out:
    return rc;
}

enum err schedule_euler(struct schedule *s, int n_steps, double shift, struct fail *f) {
    enum err rc = ERR_OK;
    TRY(check(s, n_steps, shift, f));
    double least = shifted(1 / n_train, shift);
    for (int i = 0; i < n_steps; i++) {
        double b = n_steps == 1 ? 1 : 1 + (least - 1) * (double)i / (double)(n_steps - 1);
        s->sigma[i] = shifted(b, shift);
        s->t[i] = s->sigma[i] * n_train;
    }
out:
    return rc;
}

enum err schedule_list(struct schedule *s, const double *list, int n, double shift,
                       struct fail *f) {
    enum err rc = ERR_OK;
    TRY(check(s, n, shift, f));
    double unit = list[0] > times_from ? n_train : 1;
    for (int i = 0; i < n; i++) {
        if (!(list[i] > 0 && list[i] <= unit) || (i > 0 && list[i] >= list[i - 1]))
            return FAIL(f, ERR_INPUT, "sigma %d is %g; the list must fall from %g towards 0", i,
                        list[i], unit);
        s->sigma[i] = shifted(list[i] / unit, shift);
        s->t[i] = s->sigma[i] * n_train;
    }
out:
    return rc;
}

void schedule_round(struct schedule *s) {
    /* log((1 - sigma) / sigma) must exist at the first step. */
    if (fabs(s->sigma[0] - 1) < 1e-6) s->sigma[0] -= 1e-6;
    for (int i = 0; i < s->n; i++)
        s->t[i] = floor(s->sigma[i] * n_train);
}

int schedule_start(const struct schedule *s, double level) {
    if (level >= 1) return 0;
    int i = 0;
    while (i < s->n && s->sigma[i] > level)
        i++;
    return i;
}
