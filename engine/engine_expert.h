/* engine_expert.h - which transformer is loaded; for the files engine*.c only.
 *
 * Wan 2.2 A14B has two of equal size, one for much noise and one for little. Both stay loaded where
 * there is room for both; otherwise a run loads the late one when it comes to it, in the place of
 * the early one: once in a window, because noise only ever gets less. */
#ifndef ENGINE_ENGINE_EXPERT_H
#define ENGINE_ENGINE_EXPERT_H

#include "engine/engine_own.h"

/* Opens the early one, and the late one too where it fits beside it. */
MUST_CHECK enum err engine_expert_open(struct engine *e, const struct engine_opts *opts,
                                       struct fail *f);
void engine_expert_close(struct engine *e);
/* That one is loaded afterwards; the other may not be any more. On failure the run is over, but the
 * next one may try again: what is known of the sizes stays. */
MUST_CHECK enum err engine_expert_load(struct engine *e, bool is_late, struct fail *f);

#endif
