/* stat.h - figures about frames and about sets of answers. Pure numbers; any thread. */
#ifndef EVAL_STAT_H
#define EVAL_STAT_H

#include "eval/reel.h"

/* Peak signal-to-noise ratio of two frames of n bytes; equal ones have STAT_PSNR_MAX dB. */
#define STAT_PSNR_MAX 60.0
double stat_psnr(const uint8_t *a, const uint8_t *b, size_t n);
/* How many dB the step from frame `at` - 1 to frame `at` is worse than the mean of the others;
 * below 0: better. */
double stat_seam_drop(const struct reel *r, int at);
/* The same for the step from the last frame to the first. */
double stat_loop_drop(const struct reel *r);
/* Mean energy of the Laplacian of brightness. */
double stat_sharpness(const struct reel *r);
/* Mean |second difference in time| of brightness over the quieter half of the places: what
 * trembles where nothing moves. 0 for fewer than three frames. */
double stat_flicker(const struct reel *r);

/* One frame as STAT_THUMB numbers, and the mean difference of two. */
enum { STAT_THUMB_SIDE = 8, STAT_THUMB = STAT_THUMB_SIDE * STAT_THUMB_SIDE * 3 };
void stat_thumb(const uint8_t *rgb, int width, int height, float out[STAT_THUMB]);
double stat_thumb_distance(const float *a, const float *b);

/* Half the width of the 95 % interval (Wilson) of a share of k in n. */
double stat_wilson(int k, int n);
/* Distance of Frechet between the normal distributions that fit two sets of vectors [n,d]. The
 * sets need no order. ERR_NOMEM. */
MUST_CHECK enum err stat_frechet(double *out, const float *a, int n_a, const float *b, int n_b,
                                 int d, struct fail *f);
/* The q-quantile of n numbers, which it sorts. NaN when there are none. */
double stat_quantile(double *v, int n, double q);

#endif
