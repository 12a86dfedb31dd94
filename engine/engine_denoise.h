/* engine_denoise.h - a model made ready for one window; for the files engine*.c only. */
#ifndef ENGINE_ENGINE_DENOISE_H
#define ENGINE_ENGINE_DENOISE_H

#include "engine/engine_own.h"

/* Words of one prompt and one expert. */
struct engine_denoise_expert {
    struct dit_text words, negative;
    struct dit_pictures pictures;
};

/* All that a velocity is asked with. Lives in the pool of the job. */
struct engine_denoise_model {
    struct engine_denoise_expert early, late;
    struct flow_in in;
    struct engine *engine;
    const struct engine_known *known; /* for an expert that comes later; both live as long */
    const struct engine_words *words;
};

/* Takes memory from the pool of the job, which the caller rewinds. `dims` are those of the latent;
 * known may be NULL. */
MUST_CHECK enum err engine_denoise_ready(struct engine *e, struct engine_denoise_model *m,
                                         const int64_t dims[4], const struct engine_known *known,
                                         const struct engine_words *words,
                                         const struct engine_params *params, struct fail *f);
/* A list, of the caller or of the folder, or the grid of the solver. */
MUST_CHECK enum err engine_denoise_schedule(const struct engine *e, struct schedule *s,
                                            enum sampler_kind *kind, const struct engine_params *p,
                                            struct fail *f);

#endif
