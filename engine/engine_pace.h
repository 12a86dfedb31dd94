/* engine_pace.h - how far a clip is, summed over its windows; for the files engine*.c only. */
#ifndef ENGINE_ENGINE_PACE_H
#define ENGINE_ENGINE_PACE_H

#include "engine/engine.h"

struct engine_pace {
    int64_t spent_ns;
    int n_before, n_now; /* steps or frames: of former windows, of this one */
    int n_skipped;       /* frames of this window that are out already */
    int n_total;
    double guess_ns; /* of one, while none is done */
};

/* Of denoising and decoding only: the encoding of a head is no phase of the clip. */
struct engine_pace_clip {
    struct engine_pace pace[ENGINE_PHASE_COUNT];
    int64_t told_ns;
};

/* Turns the progress of a window into that of its clip. False: nothing to tell. */
bool engine_pace_place(struct engine_pace_clip *c, struct engine_progress *p, int64_t now_ns);
/* The window is done. */
void engine_pace_end_window(struct engine_pace_clip *c);

#endif
