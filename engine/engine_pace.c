#include "engine/engine_pace.h"

#include "common/base/assert.h"

/* Time is booked on the phase that the engine was in since it last told something. */
bool engine_pace_place(struct engine_pace_clip *c, struct engine_progress *p, int64_t now_ns) {
    const struct engine_pace *all[] = {&c->pace[ENGINE_PHASE_DENOISE],
                                       &c->pace[ENGINE_PHASE_DECODE]};
    struct engine_pace *mine = &c->pace[p->phase];
    if (p->step > 0) mine->spent_ns += now_ns - c->told_ns;
    c->told_ns = now_ns;
    if (mine->n_total == 0) return false;
    mine->n_now = p->step > mine->n_skipped ? p->step - mine->n_skipped : 0;
    p->step = mine->n_before + mine->n_now;
    p->total = mine->n_total;
    p->eta_s = 0;
    for (int i = 0; i < COUNT_OF(all); i++) {
        int n_done = all[i]->n_before + all[i]->n_now;
        double each_ns = n_done > 0 ? (double)all[i]->spent_ns / n_done : all[i]->guess_ns;
        p->eta_s += each_ns * 1e-9 * (all[i]->n_total - n_done);
    }
    if (all[0]->n_before + all[0]->n_now == 0) p->eta_s = -1;
    return true;
}

void engine_pace_end_window(struct engine_pace_clip *c) {
    for (int i = 0; i < ENGINE_PHASE_COUNT; i++) {
        c->pace[i].n_before += c->pace[i].n_now;
        c->pace[i].n_now = 0;
    }
}
