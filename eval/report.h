/* report.h - the scores of all rows as the figures of report.json.
 *
 * A figure is a share of right answers for generated clips over that for renders of the same
 * scenes. A judge that is right on less than REPORT_USABLE of the renders measures nothing: its
 * figure is the text "not usable". Pure but for the memory of distances; any thread. */
#ifndef EVAL_REPORT_H
#define EVAL_REPORT_H

#include "common/base/buf.h"
#include "eval/score.h"

#define REPORT_USABLE 0.95
enum { REPORT_COUNT_MIN = 8 }; /* fewer answers are no figure */

enum report_figure {
    REPORT_ENVIRONMENT,
    REPORT_COLOUR,
    REPORT_CLASS,
    REPORT_CAMERA,
    REPORT_ACTION,
    REPORT_LAYOUT,
    REPORT_HELD_OUT,
    REPORT_PERMANENCE,
    REPORT_PERSISTENCE,
    REPORT_EGO_MOTION,
    REPORT_STABLE,
    REPORT_FEW_STEP,
    REPORT_FIGURE_COUNT
};
enum report_state { REPORT_GOOD, REPORT_NOT_USABLE, REPORT_TOO_FEW };

struct report_tally {
    int n, render, made; /* answers; right ones */
};
struct report_value {
    enum report_state state;
    struct report_tally tally;
    const char *judge; /* what answered; for CAMERA and ACTION perhaps a coarser question */
};
/* Distances to clips that the model was trained on. */
struct report_memory {
    int n_trained;
    double made, render; /* medians of the distance to the nearest one */
    double share_nearer; /* of made clips nearer than 99 % of the renders are */
};
struct report_about {
    const char *model, *name, *hash, *set;
    int n_steps, few_steps, world;
    double guidance;
    const char *few_what; /* what is compared with what */
    struct report_memory memory;
};
struct report {
    const struct score *score;
    int n_scores;
    struct report_value figure[REPORT_FIGURE_COUNT];
    struct report_tally geometry[JUDGE_COUNT], pair;
    struct report_tally head[LABEL_HEAD_COUNT]; /* over all rows of words only */
    double frechet, frechet_floor; /* of made clips; between two halves of the renders */
    double sharpness;              /* over that of the renders */
    double flicker_made, flicker_render;
    int n_features;
};

const char *report_name(enum report_figure figure);
int report_is_usable(const struct report_tally *t);
/* `scores` is borrowed. */
MUST_CHECK enum err report_make(struct report *r, const struct score *scores, int n_scores,
                                int n_features, struct fail *f);
/* made over render; NAN when there is no such figure. */
double report_relative(const struct report_value *v);
MUST_CHECK enum err report_json(const struct report *r, const struct report_about *about,
                                struct buf *out, struct fail *f);

#endif
