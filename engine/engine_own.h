/* engine_own.h - what is behind the door; for the files engine*.c only. */
#ifndef ENGINE_ENGINE_OWN_H
#define ENGINE_ENGINE_OWN_H

#include "engine/adapter.h"
#include "engine/denoise.h"
#include "engine/embed_cache.h"
#include "engine/engine.h"
#include "engine/engine_folder.h"
#include "engine/engine_pace.h"
#include "engine/preview.h"
#include "engine/taehv.h"
#include "engine/text.h"
#include "engine/tokenizer.h"
#include "engine/vae.h"
#include "engine/vision.h"
#include "engine/window.h"

/* Rows of text that the transformer was trained to see, with padding. */
enum { ENGINE_TEXT_ROWS = 512 };

/* The transformer, or both of Wan 2.2 A14B: early (much noise) and late. See engine_expert.h. */
struct engine_experts {
    struct dit *dit[2]; /* one that is not loaded is only good for its sizes */
    bool is_loaded[2];
    bool stays;          /* both fit into memory beside each other */
    struct pool pool[2]; /* weights of each */
    struct lora *lora[2];
};

struct engine {
    struct engine_folder folder;
    struct engine_caps caps;
    struct engine_hooks hooks;
    struct grid grid;
    enum window_head head;
    struct device dev, host_dev;
    struct pool process, job, step; /* weights; words and caches; scratch of one pass */
    struct pool host;               /* tensors handed out to the job */
    struct pool_budget job_budget;  /* of job, step and host together */
    struct tokenizer *tokenizer;
    struct text *text;
    struct embed_cache cache;            /* of encoded words */
    unsigned char text_id[SHA256_BYTES]; /* of the encoder, for the cache */
    struct engine_experts experts;
    struct dit *dit;       /* the early expert: sizes are those of both */
    struct vision *vision; /* of models that attend to pictures, or NULL */
    enum adapter_kind adapter;
    struct vae *vae;
    struct taehv *taehv;    /* decodes instead of the VAE, or NULL */
    struct preview preview; /* when has_preview */
    bool has_preview;
    struct engine_pace_clip *pace; /* while engine_render() runs, or NULL */
    double frame_ns_per_px;        /* of the last clip, or 0: decoding still to come */
};

/* Opens the cache of encoded words, once the encoder is there. One that cannot be opened is told to
 * the log and does without. */
void engine_text_open_cache(struct engine *e, const char *folder);
/* engine_encode_text() without its progress. */
MUST_CHECK enum err engine_text_rows(struct engine *e, struct engine_words *words,
                                     const char *prompt, const char *negative, struct fail *f);
void engine_say(struct engine *e, const char *event, const char *text);
/* ERR_CANCELLED when the caller has had enough. */
MUST_CHECK enum err engine_still_wanted(struct engine *e, struct fail *f);
void engine_tell(struct engine *e, enum engine_phase phase, int step, int total,
                 int64_t started_ns);
/* [L,h,w,C] of a canvas on the grid. */
void engine_latent_dims(const struct engine *e, const struct canvas *c, int64_t dims[4]);
/* Bytes of the biggest window: two prompts, then denoising or decoding, whichever takes more; both
 * at once when the decoding goes on from window to window. */
double engine_canvas_bytes(const struct engine *e, const struct canvas *c);
/* A host tensor of the job, f32. */
MUST_CHECK enum err engine_take_host(struct engine *e, struct tensor *out, int n_dims,
                                     const int64_t *dims, struct fail *f);
/* The plan of windows for a clip of that many latent frames. */
struct window_plan engine_window_plan(const struct engine *e, int64_t n_latents);

#endif
