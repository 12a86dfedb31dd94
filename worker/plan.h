/* plan.h - turns a request into work that the engine understands. Pure: no I/O, no clock, no
 * engine but the arithmetic of its tasks.
 *
 * Every kind of job is one picture: a canvas of T x H x W, spans of it that are already known, and
 * words for the rest. plan_make() finds the row of the job, its assets and its sizes; when these
 * assets were read at the size of the canvas and their frames are counted, plan_place() says where
 * they stand and of which pieces the result is put together. After that nobody asks what kind of
 * job it was. */
#ifndef WORKER_PLAN_H
#define WORKER_PLAN_H

#include "common/base/err.h"
#include "common/base/grid.h"
#include "common/job.h"
#include "engine/task.h"

enum { PLAN_ASSETS_MAX = 2, PLAN_WARNINGS_MAX = 6, PLAN_WARNING_SIZE = 200 };

/* What the plan must know of a model; filled from engine_caps(). */
struct plan_model {
    int multiple_px; /* width and height are multiples of this */
    int frame_step;  /* the number of frames is 1 + frame_step * n */
    int fps;
    int width, height; /* its home canvas: shape and pixel budget that it was made for */
    int overlap;       /* latents of a clip that what follows is told by default */
    bool has_image_encoder;
};

struct plan_asset {
    const struct job_asset *asset; /* borrowed from the job */
    bool is_clip;
    int n_tail, n_head; /* frames of its end or beginning that are enough; 0, 0: all are needed */
};

struct plan {
    enum task_kind kind;
    struct canvas canvas; /* what the model renders; its frames are known after plan_place() */
    int n_assets;
    struct plan_asset asset[PLAN_ASSETS_MAX];
    const struct job_asset *mask; /* of an edit, or NULL */
    struct task_plan task;
    bool is_ring;           /* the engine makes a clip without beginning */
    bool is_flow;           /* led from the old words to the new ones */
    double level;           /* how freely a region is made anew */
    int anew_from, anew_to; /* frames of the canvas that are edited */
    enum job_format format;
    int model_fps;
    int out_width, out_height; /* what the client gets */
    int out_fps, n_out_frames;
    int n_warnings;
    char warning[PLAN_WARNINGS_MAX][PLAN_WARNING_SIZE];
};

/* ERR_UNSUPPORTED for what the model cannot do, ERR_LIMIT for too many frames. What is known of
 * clips (size, rate) stands in the job's assets. */
MUST_CHECK enum err plan_make(struct plan *out, const struct job *job, const struct plan_model *m,
                              struct fail *f);
/* n_frames: of each asset at the model's rate. ERR_MEDIA when a clip is too short for its part. */
MUST_CHECK enum err plan_place(struct plan *p, const struct job *job, const struct plan_model *m,
                               const int n_frames[PLAN_ASSETS_MAX], struct fail *f);

/* Frames of the result are counted at the model's rate. How often frame `i` of them appears in
 * the delivered clip, whose rate may differ. */
int plan_copies(const struct plan *p, int i);
/* The first delivered frame that shows frame `i`. */
int plan_first_out(const struct plan *p, int i);

#endif
