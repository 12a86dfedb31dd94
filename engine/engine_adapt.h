/* engine_adapt.h - given frames in the form that this model can be told; for the files engine*.c
 * only. */
#ifndef ENGINE_ENGINE_ADAPT_H
#define ENGINE_ENGINE_ADAPT_H

#include "engine/adapter.h"
#include "engine/engine_own.h"

/* A window of a clip and what is given of it in pixels. */
struct engine_adapt_view {
    struct canvas wanted, fit; /* of the window: frames as the caller has them, as they are made */
    int first;                 /* frame of the clip that is frame 0 of the window */
    const struct engine_given *given; /* of the whole clip, or NULL */
    const uint8_t *head;              /* n_head frames of size fit at the beginning, or NULL */
    int n_head;
};

/* ERR_INPUT when what is given does not go with the canvas: a guide of another size or too short,
 * too many references, or some for a loop. */
MUST_CHECK enum err engine_adapt_check(const struct canvas *canvas,
                                       const struct engine_given *given, bool is_loop,
                                       struct fail *f);

/* By what the files of the model hold. ERR_UNSUPPORTED for a combination that nobody publishes. */
MUST_CHECK enum err engine_adapt_find(enum adapter_kind *out, const struct engine *e,
                                      struct fail *f);
/* What the caller wants of the model, as bits of adapter.h. */
unsigned engine_adapt_needs(const struct canvas *canvas, const struct engine_given *given);
/* Fills what the model reads beside the latent: known->extra, ->control, ->picture. Nothing for
 * models that are told by levels. */
MUST_CHECK enum err engine_adapt_fill(struct engine *e, struct engine_known *known,
                                      const struct engine_adapt_view *view, struct fail *f);

#endif
