/* floor.h - the least that CI lets the embedded model have: 90 % of what the rows for CI had when
 * the model was evaluated.
 *
 * The file names the model by its hash, so that floors of one model never pass for another's. */
#ifndef EVAL_FLOOR_H
#define EVAL_FLOOR_H

#include "common/base/buf.h"
#include "eval/report.h"

#define FLOOR_SHARE 0.9

/* Counts the rows for CI among the scores, on the heads that `report` calls usable. */
MUST_CHECK enum err floor_json(const struct score *scores, int n_scores,
                               const struct report *report, const char *hash, struct buf *out,
                               struct fail *f);
/* ERR_CONFLICT, naming head, score and floor, when the scores are below the file's, or when the
 * file is another model's. Prints each figure. */
MUST_CHECK enum err floor_check(const char *path, const struct score *scores, int n_scores,
                                const char *hash, struct fail *f);

#endif
