/* draw.h - scenes of the world that hold what is asked for, found by trying seeds in order.
 *
 * Also says which seeds belong to whom: nothing that judges is judged on seeds it was trained on,
 * and no model trains on seeds from 2^40 on. Pure; any thread. */
#ifndef EVAL_DRAW_H
#define EVAL_DRAW_H

#include "eval/label.h"
#include "train/world/world.h"

#define DRAW_JUDGE_SEED     ((uint64_t)1 << 38) /* the judge learns from these */
#define DRAW_CALIBRATE_SEED ((uint64_t)3 << 39) /* and is measured on these */
#define DRAW_SUITE_SEED     ((uint64_t)1 << 41) /* scenes of the prompts */
enum { DRAW_TRIES_MAX = 30000, DRAW_SEED_STEP = 32768 };

struct draw_want {
    struct world_opts opts;
    int head;   /* enum label_head, or -1: any scene will do */
    int value;  /* answer that it must have, or -1: any but LABEL_OPEN */
    int n_view; /* parts of the picture; 0: any */
    int loop;   /* 1: loops, -1: no loops, 0: any */
};

/* The first scene from *seed on that fits; *seed becomes its seed. ERR_NOT_FOUND, naming head and
 * value, when none of DRAW_TRIES_MAX does. */
MUST_CHECK enum err draw_find(struct scene *out, uint64_t *seed, const struct draw_want *want,
                              struct fail *f);
/* Scene number i of the mix that a judge learns from: half as the world draws them, half asked
 * for a value of a head, all values in turn. */
MUST_CHECK enum err draw_mixed(struct scene *out, uint64_t first_seed, int64_t i, struct fail *f);

#endif
