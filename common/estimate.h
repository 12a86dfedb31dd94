/* estimate.h - how long a job will take, from what jobs of its model took before.
 *
 *   ms = other + token_steps * a + pixels * b
 *
 * token_steps counts latent tokens times denoising steps times passes, pixels those of all rendered
 * frames. The worker learns a and b from each job it ends and keeps them in Redis as a note; the
 * server predicts from them. Pure: no I/O, no clock. */
#ifndef COMMON_ESTIMATE_H
#define COMMON_ESTIMATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

#define ESTIMATE_NOTE   "model" /* kind of the note; its id is the model's */
#define ESTIMATE_TENANT "-"

enum { ESTIMATE_KEEP_DAYS = 90 };

/* What one job did; part of its receipt. All zero: nobody measured. */
struct estimate_work {
    int width, height, n_frames; /* of the canvas */
    int n_steps, n_passes;
    int64_t denoise_ms, decode_ms, other_ms;
    int64_t memory_bytes; /* the most that the process held */
    /* of the model */
    int multiple_px, frame_step, fps;
    int home_width, home_height, home_steps;
    double guidance;
};

/* What is known of a model. */
struct estimate_model {
    int64_t n_jobs;                 /* that taught it; 0: nothing is known */
    double ms_token_step, ms_pixel; /* a, b */
    double other_ms, job_ms;        /* means */
    double error;                   /* mean of |predicted - real| / real */
    int64_t memory_bytes;
    struct estimate_work last; /* the model's own figures, from the last job */
};

struct estimate {
    int64_t n_tokens, token_steps, n_pixels;
    double denoise_ms, decode_ms, other_ms, total_ms, p90_ms;
};

/* Of a canvas of so many frames, steps and passes. */
void estimate_predict(struct estimate *out, const struct estimate_model *m,
                      const struct estimate_work *w);
/* Takes in one more job; returns by how much of the truth the prediction was wrong (0.1: a tenth),
 * negative for the first one. */
double estimate_learn(struct estimate_model *m, const struct estimate_work *w);

MUST_CHECK enum err estimate_write(const struct estimate_model *m, struct buf *out, struct fail *f);
/* ERR_CORRUPT on anything that estimate_write() would not write. */
MUST_CHECK enum err estimate_read(struct estimate_model *m, struct str json, struct fail *f);

#endif
