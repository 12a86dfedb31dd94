/* sampler.h - from noise to picture along a schedule, every place from its own start level.
 *
 * A place is one latent position with C channels. A place that starts at sigma s is frozen at
 * (1-s) known + s noise until the schedule comes down to s; from there on it is stepped, first
 * without history, as if the run had begun there. A known place is never touched. Works in host
 * memory, elementwise, so windows, tiles and backends do not change the result. */
#ifndef ENGINE_SAMPLER_H
#define ENGINE_SAMPLER_H

#include <stdbool.h>

#include "engine/schedule.h"
#include "engine/tensor.h"

enum sampler_kind {
    SAMPLER_UNIPC,  /* second order, predictor and corrector (bh2), equals diffusers */
    SAMPLER_EULER,  /* first order, timesteps that are no whole numbers */
    SAMPLER_RENOISE /* for distilled models: the picture as predicted, then fresh noise on it */
};

/* What a place shows while the schedule is still above its level. */
enum sampler_wait {
    SAMPLER_WAIT_STILL,  /* known + noise of its own level: for models that are told t per token */
    SAMPLER_WAIT_REPAINT /* known + noise of the moment: for models that know one t for all */
};

struct sampler {
    const struct schedule *schedule;
    enum sampler_kind kind;
    enum sampler_wait wait;
    int step; /* next step, 0..n */
    int64_t n_places, C;
    int *start;                 /* [n_places] first active step; n = known */
    float *x;                   /* [n_places,C] the sample: input of the model */
    float *last, *m1, *m2;      /* before the last predictor; x0 one and two steps ago */
    const float *noise, *known; /* borrowed */
};

struct sampler_begin {
    int64_t n_places, C;
    const float *noise; /* [n_places,C] */
    const float *known; /* [n_places,C], or NULL when all is free */
    const float *level; /* [n_places], or NULL when all is free */
    enum sampler_wait wait;
};

/* The schedule, noise and known must outlive the sampler. The caller owns the buffers:
 * sampler_free(). */
MUST_CHECK enum err sampler_make(struct sampler *s, enum sampler_kind kind,
                                 const struct schedule *schedule, const struct sampler_begin *begin,
                                 struct fail *f);
/* Timestep that the model must be told for a place at the next step. */
double sampler_time(const struct sampler *s, int64_t place);
/* No place follows the schedule yet at the next step: nobody would use a velocity. */
bool sampler_is_idle(const struct sampler *s);
/* velocity [n_places,C] at s->x; moves on by one step. SAMPLER_RENOISE needs `fresh` noise of the
 * same shape, the others take NULL. An idle step takes NULL for both. */
void sampler_step(struct sampler *s, const float *velocity, const float *fresh);
void sampler_free(struct sampler *s); /* safe on a zeroed struct */

#endif
