/* sight.h - the judge that looks at clips: a small convolutional network trained on renders.
 *
 * Reads a folder of its own (model.safetensors and config.json, written by train/judge.py) and
 * answers the questions of label.h for any clip, with one vector of features for distances between
 * sets of clips. Runs on the engine's operations. One thread per struct.
 *
 *   16 frames -> cells of 2x4x4 pixels and their place -> 1x1x1, 1x3x3 | halve, 3x1x1, 1x3x3,
 *   3x1x1 | halve, 3x1x1, 1x3x3, 3x1x1 -> mean and maximum -> features -> one row for each head
 *
 * Convolutions in time look back only; all have ReLU, and those that keep the shape add what came
 * in. Normalisation was folded into the weights when they were written. */
#ifndef EVAL_SIGHT_H
#define EVAL_SIGHT_H

#include "engine/pool.h"
#include "eval/label.h"

enum { SIGHT_FRAMES = 16, SIGHT_LAYERS = 9, SIGHT_FEATURES_MAX = 256 };

struct sight {
    struct device dev;
    struct pool weights, step;
    struct tensor w[SIGHT_LAYERS], b[SIGHT_LAYERS];
    struct tensor feature_w, feature_b;
    struct tensor head_w[LABEL_HEAD_COUNT], head_b[LABEL_HEAD_COUNT];
    int width[3], n_features;
    int world; /* version of the world it was trained on */
};

struct sight_view {
    struct label_set label;            /* the likeliest answers; none is open */
    float sure[LABEL_HEAD_COUNT];      /* and how likely they are */
    float feature[SIGHT_FEATURES_MAX]; /* n_features of them */
    float logit[LABEL_HEAD_COUNT][LABEL_VALUES_MAX];
};

/* Which frame of a clip is shown to the judge as number i of SIGHT_FRAMES: evenly spaced, a
 * single frame again and again. */
int sight_frame(int n_frames, int i);

/* `device` is "cpu" or "ref". ERR_CORRUPT, naming the head, when the folder knows other answers
 * than label.h. */
MUST_CHECK enum err sight_open(struct sight *s, const char *folder, const char *device,
                               struct fail *f);
void sight_close(struct sight *s); /* safe on a zeroed struct */
/* rgb [n_frames,height,width,3]; width and height are multiples of 16. */
MUST_CHECK enum err sight_look(struct sight *s, struct sight_view *out, const uint8_t *rgb,
                               int n_frames, int width, int height, struct fail *f);

#endif
