/* plan.h - turns a request into work that the engine understands. Pure: no I/O, no clock, no
 * engine.
 *
 * Every kind of job is one picture: a canvas of T x H x W, spans of it that are already known, and
 * words for the rest. After plan_make() nobody asks what kind of job it was. */
#ifndef WORKER_PLAN_H
#define WORKER_PLAN_H

#include "common/base/err.h"
#include "common/base/grid.h"
#include "common/job.h"

enum { PLAN_SPANS_MAX = 2, PLAN_WARNINGS_MAX = 4, PLAN_WARNING_SIZE = 200 };

/* What the plan must know of a model; filled from engine_caps(). */
struct plan_model {
    int multiple_px; /* width and height are multiples of this */
    int frame_step;  /* the number of frames is 1 + frame_step * n */
    int fps;
    int width, height; /* its home canvas: shape and pixel budget that it was made for */
    bool has_image_encoder;
};

/* Known frames: `n_frames` of an asset, put at frame `to` of the canvas. */
struct plan_span {
    const struct job_asset *asset; /* borrowed from the job */
    int to, n_frames;
};

struct plan {
    struct canvas canvas; /* what the model renders */
    int n_spans;
    struct plan_span span[PLAN_SPANS_MAX];
    int model_fps;
    int out_width, out_height; /* what the client gets */
    int out_fps, n_out_frames;
    int n_warnings;
    char warning[PLAN_WARNINGS_MAX][PLAN_WARNING_SIZE];
};

/* ERR_UNSUPPORTED for a kind that has no row yet, ERR_LIMIT for too many frames. */
MUST_CHECK enum err plan_make(struct plan *out, const struct job *job, const struct plan_model *m,
                              struct fail *f);

/* How often rendered frame `i` appears in the delivered clip, whose rate may differ. */
int plan_copies(const struct plan *p, int i);

#endif
