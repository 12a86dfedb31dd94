/* engine.h - the narrow door of the model library: words and known pixels in, frames out.
 *
 * It has never heard of jobs, Redis, files of videos or HTTP. One engine per device; call it
 * from one thread only. Tensors at this door are f32 in host memory. What a call hands out
 * belongs to the job and lives until engine_job_end(). The engine prints nothing: it calls the
 * hooks, on the calling thread. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/grid.h"
#include "engine/device.h"
#include "engine/tensor.h"

struct engine;
struct engine_clip;

enum engine_phase {
    ENGINE_PHASE_TEXT,
    ENGINE_PHASE_ENCODE,
    ENGINE_PHASE_DENOISE,
    ENGINE_PHASE_DECODE,
    ENGINE_PHASE_COUNT
};

struct engine_progress {
    enum engine_phase phase; /* a long clip alternates between denoising and decoding */
    int step, total;         /* done of the phase, over the whole clip: steps, or frames */
    double eta_s;            /* until the call returns; negative while unknown */
};

/* Every entry may be NULL. */
struct engine_hooks {
    void *ctx;
    void (*progress)(void *ctx, const struct engine_progress *p);
    bool (*is_cancelled)(void *ctx); /* asked before every step, every latent coded or decoded */
    void (*log)(void *ctx, const char *event, const char *text);
    /* After a step: what the window is expected to become, a pixel for each latent place, one frame
     * for each latent frame; lives until it returns. Not called for a folder without
     * vae/preview.json. */
    void (*preview)(void *ctx, const struct engine_clip *frames);
};

/* Of two transformers (Wan 2.2 A14B): keep both loaded, or load each when a run comes to it. */
enum engine_experts_mode { ENGINE_EXPERTS_AUTO, ENGINE_EXPERTS_BOTH, ENGINE_EXPERTS_ONE };

struct engine_opts {
    const char *device;       /* "cpu", "cuda", "cuda:N" or "ref"; NULL means "cpu" */
    int n_threads;            /* 0 means all cores */
    enum precision precision; /* of the big products; AUTO: the fastest that keeps the picture */
    const char *taehv;        /* folder or file of a tiny decoder for all frames; NULL: the VAE */
    size_t job_max_bytes;     /* memory of one job beside the weights; 0 means 8 GiB */
    /* Added to the transformer while it is read, and to the second one of two. May be NULL. */
    const struct lora_source *loras, *loras_late;
    int n_loras, n_loras_late;
    enum engine_experts_mode experts;
    const char *cache_dir; /* encoded words are kept there for the next time; NULL: nowhere */
    struct engine_hooks hooks;
};

enum engine_solver {
    ENGINE_SOLVER_DEFAULT, /* what the folder asks for */
    ENGINE_SOLVER_UNIPC,
    ENGINE_SOLVER_EULER,
    ENGINE_SOLVER_RENOISE, /* of distilled models: predict the picture, put fresh noise on it */
    ENGINE_SOLVER_COUNT
};

/* What the model can do and what it wants by default. */
struct engine_caps {
    char name[64];       /* from model_index.json, or the class of the pipeline */
    int multiple_px;     /* width and height are multiples of this */
    int frame_step;      /* the number of frames is frame_step * n + 1 */
    int window_latents;  /* longest stretch denoised in one piece */
    int overlap_latents; /* of a stretch with the one before */
    int fps;
    int n_steps;
    double guidance, shift;
    enum engine_solver solver;
    int default_width, default_height, default_frames;
    bool has_image_encoder; /* engine_encode_video works */
    unsigned can;           /* what it can be given: bits of engine/adapter.h */
    const char *adapter;    /* how it is told, in words */
    char device[160];       /* report of the device: BLAS kernel, threads */
};

struct engine_params {
    uint64_t seed;
    int n_steps;                       /* 0 means the default of the model */
    double guidance;                   /* < 0 means the default; <= 1 switches it off */
    double guidance_2;                 /* of the second expert; <= 0 means that of the first */
    double guidance_from, guidance_to; /* guided while to <= sigma <= from; 0, 0 means always */
    bool is_zero_star;                 /* CFG-Zero*: fit the unguided velocity before it is left */
    int n_zero_steps;                  /* with it: first steps that stand still */
    /* First block cache: a step whose first block changes less than this share of it takes the rest
     * from the step before. 0: off; 0.05 is usual for 50 steps, a few steps have no use for it. */
    double cache;
    double shift; /* <= 0 means the default */
    enum engine_solver solver;
    /* An explicit schedule instead of n_steps: falling sigmas in (0,1], or timesteps up to 1000.
     * They are shifted only when `shift` is given. NULL, or borrowed for the call. */
    const double *sigmas;
    int n_sigmas;
    bool is_ring;         /* the last latent frame is followed by the first */
    int64_t first_latent; /* place of the canvas in a longer clip: its share of the noise */
    const float *noise;   /* [L,h,w,C] instead of the seed's; NULL in earnest, for golden tests */
};

/* Text after the encoder: rows [n_tokens, text_dim], without padding. */
struct engine_words {
    struct tensor rows;
    struct tensor negative_rows; /* of the negative prompt */
};

struct engine_clip {
    const uint8_t *rgb; /* n_frames x height x width x 3 */
    struct canvas size;
};

/* Known content of the canvas, in latents. level tau: 0 known and exact, 1 free, between:
 * start from the known content with that much noise. */
struct engine_known {
    struct tensor latent; /* [L,h,w,C] normalised; read only where level < 1 */
    struct tensor level;  /* [L,h,w] */
    /* For models that are told in another way; made by engine_render(), else empty. */
    struct tensor extra, control;  /* [L,h,w,..] beside the latent; control: [n_front + L,h,w,..] */
    int n_front;                   /* latent frames before the canvas: pictures for reference */
    struct engine_clip picture[2]; /* borrowed: what image tokens are made of */
};

/* Called once per frame in order; rgb holds height*width*3 bytes and lives until it returns.
 * Anything but ERR_OK stops the decoding and is handed on. */
typedef enum err (*engine_frame_fn)(void *ctx, int index, const uint8_t *rgb, struct fail *f);

/* Reads a folder in the diffusers layout. A folder that does not fit fails with file, tensor
 * and both shapes. */
MUST_CHECK enum err engine_open(struct engine **out, const char *folder,
                                const struct engine_opts *opts, struct fail *f);
void engine_close(struct engine *e); /* NULL is fine */
const struct engine_caps *engine_caps(const struct engine *e);
/* Hooks change with the job. */
void engine_hooks_set(struct engine *e, const struct engine_hooks *hooks);

/* ERR_INPUT when the canvas does not suit the model, ERR_LIMIT when a window of it would need more
 * memory than a job may have; both in words for the caller. Allocates nothing. */
MUST_CHECK enum err engine_canvas_check(const struct engine *e, const struct canvas *canvas,
                                        struct fail *f);
/* The smallest canvas of the model that holds this one: 1920x1080 is made as 1920x1088, and its
 * last rows are left out. Frames stay as they are. */
struct canvas engine_canvas_fit(const struct engine *e, const struct canvas *canvas);
/* `negative` may be NULL: the empty prompt. */
MUST_CHECK enum err engine_encode_text(struct engine *e, struct engine_words *words,
                                       const char *prompt, const char *negative, struct fail *f);
/* latent [L,h,w,C], normalised; the clip has frame_step*n+1 frames. */
MUST_CHECK enum err engine_encode_video(struct engine *e, struct tensor *latent,
                                        const struct engine_clip *clip, struct fail *f);
/* An all-free canvas of latents: latent zero, level 1. */
MUST_CHECK enum err engine_known_make(struct engine *e, struct engine_known *known,
                                      const struct canvas *canvas, struct fail *f);

/* Frames that are given, and where they stand on the canvas. A latent stands for one frame at the
 * beginning of a clip and for frame_step later, so what is given is cut to whole latents: a clip at
 * frame 0 to frame_step*n+1 frames, one at a later frame to the slots that it fills. A single
 * picture at a later frame stands for its slot. */
struct engine_span {
    struct engine_clip clip; /* of the width and height of the canvas */
    int at;                  /* frame of the canvas */
    double level;            /* 0 exact; between 0 and 1: begin from it with that much noise */
};

/* A part of the picture that is made anew although spans cover it. */
struct engine_region {
    const uint8_t *mask; /* n_frames x height x width: 255 anew, 0 kept; NULL: nothing is anew */
    int n_frames;        /* 1: the same for all frames of the canvas */
    double level;        /* 1: from nothing; below: from what is there with that much noise */
};

enum { ENGINE_SPANS_MAX = 16 };

/* Every task is a canvas, what is given of it, and words for the rest. */
struct engine_given {
    int n_spans;
    const struct engine_span *span;
    struct engine_region region;
    /* A clip of the size of the canvas that says how things move: depth, lines, poses. Where frames
     * are given, they count. NULL: none. */
    const struct engine_clip *guide;
    /* Pictures, of any size, of what shall be in it. */
    int n_references;
    const struct engine_clip *reference;
};

enum { ENGINE_REFERENCES_MAX = 8 };

/* The given frames in latents and levels, for a model that is told a timestep per token, or whose
 * known places are painted over. The canvas may be off the grid, as in engine_render(). */
MUST_CHECK enum err engine_known_from(struct engine *e, struct engine_known *known,
                                      const struct canvas *canvas, const struct engine_given *given,
                                      struct fail *f);

/* A clip that becomes another one and keeps its structure (FlowEdit), from words that describe it
 * as it is to words that describe it as it shall be. */
struct engine_edit {
    const struct engine_words *old;
    double old_guidance; /* params.guidance is that of the new words */
    int n_max;           /* only the last n_max steps: the fewer, the more stays; 0 means 5 of 6 */
};

/* What a clip is made of. */
struct engine_render_in {
    struct canvas canvas; /* width and height may be off the grid: see engine_canvas_fit() */
    const struct engine_known *known; /* latents of the whole clip; NULL: `given`, or nothing */
    /* Given frames, in the form that the model can be told; those that are exact are put back into
     * the result, with soft edges. Or NULL. */
    const struct engine_given *given;
    const struct engine_words *words;
    struct engine_params params;
    /* The clip has no beginning: after its last frame comes the first. frame_step * L frames come
     * out of a canvas of frame_step * (L-1) + 1; L is at most one window. */
    bool is_loop;
    const struct engine_edit
        *edit; /* of the one clip that is given for the whole canvas, or NULL */
};

/* A clip of any length, window by window: each is denoised and decoded, and its frames go to
 * `each` before the next begins. Window n + 1 begins with the last latents of window n (see
 * enum window_head); memory is that of one window. */
MUST_CHECK enum err engine_render(struct engine *e, const struct engine_render_in *in,
                                  engine_frame_fn each, void *ctx, struct fail *f);

/* The two halves of one window. latent [L,h,w,C]; known may be NULL. */
MUST_CHECK enum err engine_denoise(struct engine *e, struct tensor *latent,
                                   const struct canvas *canvas, const struct engine_known *known,
                                   const struct engine_words *words,
                                   const struct engine_params *params, struct fail *f);
MUST_CHECK enum err engine_decode(struct engine *e, const struct tensor *latent,
                                  engine_frame_fn each, void *ctx, struct fail *f);
/* Gives back all that the job took; some memory is kept for the next one. */
void engine_job_end(struct engine *e);
/* ERR_UNAVAILABLE when the device is lost: nothing will come of this engine any more, while one in
 * a new process may work. ERR_OK on the processor, always. */
MUST_CHECK enum err engine_check(struct engine *e, struct fail *f);

#endif
