/* engine_folder.h - what a model folder says about itself, before any weight is read.
 *
 *   model_index.json                  class of the pipeline, which parts there are
 *   scheduler/scheduler_config.json   solver and shift
 * and, in model_index.json or transformer/config.json, an object of our own, all fields optional:
 *   "misora": {"name": "...", "fps": 16, "width": 192, "height": 112, "frames": 33,
 *              "steps": 20, "guidance": 4.0, "shift": 3.0, "sigmas": [1.0, 0.9375, ...],
 *              "window_latents": 13, "overlap_latents": 5,
 *              "window_head": "anchor"} */
#ifndef ENGINE_ENGINE_FOLDER_H
#define ENGINE_ENGINE_FOLDER_H

#include "engine/engine.h"
#include "engine/json.h"
#include "engine/window.h"

struct engine_folder {
    char path[320];
    char pipeline[JSON_TEXT_MAX]; /* class name */
    bool has_token_times;         /* a timestep per token is in its training (expand_timesteps) */
    bool has_image_encoder;       /* folder image_encoder: rows for a transformer's image_dim */
    /* Two experts (Wan 2.2 A14B): transformer at t >= 1000 boundary, below it transformer_2. */
    bool has_low_expert;
    double boundary; /* 0 without */
    char solver_class[JSON_TEXT_MAX];
    char prediction[JSON_TEXT_MAX];
    double flow_shift, shift; /* of UniPC, of Euler; 0 = not said */
    char name[JSON_TEXT_MAX];
    int fps, width, height, n_frames, n_steps;
    double guidance, own_shift;
    struct json_reals sigmas; /* explicit list of a distilled model; n 0 = none */
    int window_latents, overlap_latents;
    char window_head[JSON_TEXT_MAX]; /* "carry", "anchor", "encode": see enum window_head */
};

MUST_CHECK enum err engine_folder_read(struct engine_folder *out, const char *path, struct fail *f);
/* "path/part", cut never: ERR_INPUT when it does not fit. */
MUST_CHECK enum err engine_folder_part(const struct engine_folder *m, char out[512],
                                       const char *part, struct fail *f);
enum engine_solver engine_folder_solver(const struct engine_folder *m);
enum window_head engine_folder_head(const struct engine_folder *m);
double engine_folder_shift(const struct engine_folder *m);

#endif
