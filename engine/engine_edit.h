/* engine_edit.h - FlowEdit of one window; for the files engine*.c only. */
#ifndef ENGINE_ENGINE_EDIT_H
#define ENGINE_ENGINE_EDIT_H

#include "engine/engine_own.h"

struct engine_edit_in {
    const struct engine_edit *edit;
    const struct engine_words *words; /* the new ones */
    const struct engine_params *params;
    const struct tensor *source; /* [L,h,w,C], host */
    int64_t n_head;              /* latent frames that were edited with the window before */
};

/* known->latent holds the source, but for its head, which is the end of the edited window before.
 * latent [L,h,w,C] is made. */
MUST_CHECK enum err engine_edit_window(struct engine *e, struct tensor *latent,
                                       const struct engine_known *known,
                                       const struct engine_edit_in *in, struct fail *f);

#endif
