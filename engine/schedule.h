/* schedule.h - the noise levels of a sampling run. Pure arithmetic.
 *
 * sigma goes from about 1 (noise) to 0 (picture): x = (1 - sigma) x0 + sigma eps. The model sees
 * the timestep t, about 1000 sigma; UniPC rounds it down to an integer, Euler does not. */
#ifndef ENGINE_SCHEDULE_H
#define ENGINE_SCHEDULE_H

#include "common/base/err.h"

enum { SCHEDULE_STEPS_MAX = 200 };

struct schedule {
    int n;                                /* steps */
    double sigma[SCHEDULE_STEPS_MAX + 1]; /* the last is 0 */
    double t[SCHEDULE_STEPS_MAX];
};

/* The grid of diffusers' UniPCMultistepScheduler with flow sigmas. */
MUST_CHECK enum err schedule_unipc(struct schedule *s, int n_steps, double shift, struct fail *f);
/* The grid of diffusers' FlowMatchEulerDiscreteScheduler, which shifts twice. */
MUST_CHECK enum err schedule_euler(struct schedule *s, int n_steps, double shift, struct fail *f);
/* An explicit list, as distilled models bring it, falling: sigmas in (0,1], or timesteps up to 1000
 * when the first is above 10. Each is shifted (1 = taken as it is); t = 1000 sigma. */
MUST_CHECK enum err schedule_list(struct schedule *s, const double *list, int n, double shift,
                                  struct fail *f);
/* What UniPC asks of any grid: timesteps in whole numbers, and a first sigma below 1. */
void schedule_round(struct schedule *s);
/* First step whose sigma is at most `level`; n when even the last is larger (then: known). */
int schedule_start(const struct schedule *s, double level);

#endif
