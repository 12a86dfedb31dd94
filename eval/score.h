/* score.h - one row of the suite before the judges: its render and what a model made of it.
 *
 * Figures that do not apply to a row are NAN. One thread. */
#ifndef EVAL_SCORE_H
#define EVAL_SCORE_H

#include "eval/judge.h"
#include "eval/make.h"
#include "eval/sight.h"
#include "eval/stat.h"

struct score_verdicts {
    int n, n_right;
};
/* What is measured on any clip of a row, render or not. */
struct score_side {
    struct sight_view view;
    double sharpness;
    double flicker;          /* where the camera stands still */
    double seam_drop;        /* dB, at the joint of what was given and what was made */
    double loop_drop;        /* dB */
    double given_psnr;       /* of the frames that were given */
    int n_windows, n_stable; /* of two seconds: all, and those with the right place and colour */
    float thumb[STAT_THUMB]; /* of the middle frame */
    /* Verdicts of the judges of geometry: none where they have nothing to say, one for a clip, one
     * for each move of SUITE_POLICY. */
    struct score_verdicts geometry[JUDGE_COUNT];
    struct score_verdicts pair; /* of pair.h */
};
struct score {
    const struct suite_row *row;
    struct label_set want;
    struct score_side render, made;
    int has_few;
    struct label_set few, many; /* answers for clips of few steps and of many */
};

/* `truth` is the render of make_target(); for SUITE_STILL its first frame. */
MUST_CHECK enum err score_clip(struct score *out, struct sight *s, const struct suite_row *row,
                               const struct scene *scene, const struct reel *truth,
                               const struct reel *made, struct fail *f);
/* The frames of a scene that score_clip() compares with. */
MUST_CHECK enum err score_truth(struct reel *out, const struct suite_row *row,
                                const struct scene *scene, struct fail *f);

#endif
