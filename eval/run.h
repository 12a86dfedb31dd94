/* run.h - the whole of an evaluation: make what is missing, judge all of it, write the report.
 *
 * Restartable: every clip is kept under OUT/clips/HASH-WAY/ and found again by the next run of the
 * same model, list and way. OUT/NAME/ gets report.json, index.html and sheet.png. */
#ifndef EVAL_RUN_H
#define EVAL_RUN_H

#include "common/base/err.h"
#include "eval/suite.h"

struct run_opts {
    const char *model;   /* folder in the diffusers layout */
    const char *teacher; /* folder of the model before distillation, or NULL */
    const char *judge;   /* folder of the judge; NULL: MODEL/judge, or models/tiny/judge */
    const char *suite;   /* file */
    const char *out;     /* folder of everything that is made */
    const char *copy;    /* folder that gets report.json, sheet.png and floors.json, or NULL */
    enum suite_set set;
    int n_threads;
    uint64_t
        trained_seed; /* clips of the world that the model was trained on, from this seed on: */
    int n_trained;    /* so many of them are compared */
};

MUST_CHECK enum err run_eval(const struct run_opts *o, struct fail *f);
/* The rows for CI alone, against the figures of a file that run_eval() wrote: ERR_CONFLICT, naming
 * figure, score and floor, when one is below its floor, or when the file stands for another model.
 */
MUST_CHECK enum err run_check(const struct run_opts *o, const char *floors, struct fail *f);
/* How sure the judge is on `count` renders that it never saw: a table on standard output. */
MUST_CHECK enum err run_calibrate(const struct run_opts *o, int count, struct fail *f);

#endif
