/* engine_paste.h - given pixels go back into the frames that were made around them.
 *
 * What is kept comes out as it came in, and goes over into what is new within the last few frames
 * of a span and the last few pixels before a region. A single picture is not put back: one sharp
 * frame before soft ones is worse than none. Host memory, for the files engine*.c only. */
#ifndef ENGINE_ENGINE_PASTE_H
#define ENGINE_ENGINE_PASTE_H

#include "engine/engine.h"

enum { ENGINE_PASTE_FEATHER_PX = 12 };

struct engine_paste {
    const struct engine_given *given; /* NULL: nothing is put back */
    struct canvas canvas;
    struct grid grid;
    uint8_t *far;  /* [height,width] distance from the region, at most feather + 1 */
    int far_frame; /* of the mask that it was made from, or -1 */
};

/* `given` lives as long as the paste. */
MUST_CHECK enum err engine_paste_make(struct engine_paste *p, const struct engine_given *given,
                                      const struct canvas *canvas, const struct grid *grid,
                                      struct fail *f);
/* rgb [height,width,3], frame `index` of the canvas, in place. */
void engine_paste_frame(struct engine_paste *p, uint8_t *rgb, int index);
void engine_paste_free(struct engine_paste *p); /* safe on a zeroed struct */

#endif
