/* engine_own.h - what is behind the door; for the files engine*.c only. */
#ifndef ENGINE_ENGINE_OWN_H
#define ENGINE_ENGINE_OWN_H

#include "engine/denoise.h"
#include "engine/engine.h"
#include "engine/engine_folder.h"
#include "engine/text.h"
#include "engine/tokenizer.h"
#include "engine/vae.h"
#include "engine/window.h"

/* Rows of text that the transformer was trained to see, with padding. */
enum { ENGINE_TEXT_ROWS = 512 };

/* How far a clip is that engine_render() makes, summed over its windows. */
struct engine_pace {
    int64_t spent_ns;
    int n_before, n_now; /* steps or frames: of former windows, of this one */
    int n_skipped;       /* frames of this window that are out already */
    int n_total;
    double guess_ns; /* of one, while none is done */
};

struct engine_clip_state {
    struct engine_pace pace[ENGINE_PHASE_COUNT]; /* of denoising and decoding only */
    int64_t told_ns;
};

struct engine {
    struct engine_folder folder;
    struct engine_caps caps;
    struct engine_hooks hooks;
    struct grid grid;
    struct device dev, host_dev;
    struct pool process, job, step; /* weights; words and caches; scratch of one pass */
    struct pool host;               /* tensors handed out to the job */
    struct pool_budget job_budget;  /* of job, step and host together */
    struct tokenizer *tokenizer;
    struct text *text;
    struct dit *dit;
    struct vae *vae;
    struct engine_clip_state *clip; /* while engine_render() runs, or NULL */
    double frame_ns_per_px;         /* of the last clip, or 0: decoding still to come */
};

/* engine_encode_text() without its progress. */
MUST_CHECK enum err engine_text_rows(struct engine *e, struct engine_words *words,
                                     const char *prompt, const char *negative, struct fail *f);
/* The plan of windows for a clip of that many latent frames. */
struct window_plan engine_window_plan(const struct engine *e, int64_t n_latents);
/* Turns the progress of a window into that of its clip. False: nothing to tell. */
bool engine_render_place(const struct engine *e, struct engine_progress *p);

#endif
