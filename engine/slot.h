/* slot.h - which latents a run of given frames can stand for. Pure arithmetic.
 *
 *   frame    0 | 1 2 3 4 | 5 6 7 8 | 9 ...
 *   latent   0 |    1    |    2    | 3 ...
 *
 * Latent 0 is one frame without a past, latent k > 0 stands for frames 4k-3 .. 4k with what came
 * before them. Frames that fill no slot are left out. */
#ifndef ENGINE_SLOT_H
#define ENGINE_SLOT_H

#include <stdbool.h>

#include "common/base/grid.h"

struct slot_run {
    int64_t first, n; /* latents first .. first + n - 1; n 0: the frames fill none */
    int n_skip;       /* frames at the beginning that are left out */
    int n_frames;     /* frames after them that are used */
    bool is_still;    /* one picture for a whole slot */
};

/* n_frames frames at frame `at` of a canvas of L latents. */
struct slot_run slot_find(const struct grid *g, int at, int n_frames, int64_t L);
/* First frame of a latent. */
int slot_frame(const struct grid *g, int64_t latent);

/* Frames before y_0 that give a run in the middle of a clip the past that it lacks: the time goes
 * backwards, y_k .. y_1, then y_0. Which of n_frames frames is shown as number i of n_warm +
 * n_frames: a short clip goes to and fro. */
int slot_warm_frame(int i, int n_warm, int n_frames);

#endif
