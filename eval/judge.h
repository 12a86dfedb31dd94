/* judge.h - what the judges of geometry share: programs that look at frames and measure where
 * things are, how they move and what stays. No network, no weights.
 *
 * A judge gets the frames of a clip and the scene that was asked for. Of the scene only what its
 * words say counts (which camera, which way, what happens, which colour), never where things stand:
 * a model is free to put them elsewhere. Each judge is calibrated by tests/eval/test_judge.c on
 * renders it has never met: half of them show what the scene asks for, half are spoilt in the way
 * that the judge has to notice (mirrored, run backwards, recoloured, made to forget). Its row says
 * the share of right verdicts over both; a judge below JUDGE_USABLE measures nothing.
 * Pure functions but for memory that is given back; any thread. */
#ifndef EVAL_JUDGE_H
#define EVAL_JUDGE_H

#include "common/base/err.h"
#include "common/words/world.h"

struct reel; /* eval/reel.h */

#define JUDGE_USABLE 0.95

/* Append only: names are stored in reports. */
enum judge_name {
    JUDGE_CAMERA,      /* the picture turns or grows the way the camera is said to go */
    JUDGE_PARALLAX,    /* a camera that travels moves near things more than far ones */
    JUDGE_DIRECTION,   /* the main thing crosses the picture the way it is said to */
    JUDGE_GRAVITY,     /* what bounces rises and falls along parabolas */
    JUDGE_PUSH,        /* what is run into goes on in the same direction */
    JUDGE_PERMANENCE,  /* what goes behind the wall comes out on the other side, as it was */
    JUDGE_PERSISTENCE, /* strokes and bites only ever grow */
    JUDGE_EGO_MOTION,  /* a player turns and walks the way it is told, move by move */
    JUDGE_BLOCK,       /* a block that was put down is there when the player looks back */
    JUDGE_PACE,        /* what crosses the picture keeps its speed */
    JUDGE_COUNT
};

struct judge_verdict {
    int is_right;      /* the clip shows what the scene asks for */
    double value;      /* what was measured, in the unit of the judge */
    double confidence; /* 0..1: how far from the line between right and wrong */
    int is_usable; /* the judge is right on at least JUDGE_USABLE of what it was calibrated on */
};
struct judge {
    const char *name;
    const char *what; /* a sentence for reports */
    const char *unit; /* of value */
    double accuracy;  /* share of right verdicts on renders, spoilt and not */
    int n_calibrated; /* renders that this was measured on */
    /* Does the scene ask for what this judge looks at? */
    int (*fits)(const struct scene *s);
    enum err (*look)(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                     struct fail *f);
};

/* The row of a judge; always there. */
const struct judge *judge_get(enum judge_name name);
int judge_find(const char *name); /* -1 when unknown */
/* 1 when the judge has something to say about clips of this scene. */
int judge_fits(enum judge_name name, const struct scene *s);
/* Judges one clip. The scene must fit, and the clip have the frames per second of the scene.
 * ERR_NOMEM. */
MUST_CHECK enum err judge_look(enum judge_name name, struct judge_verdict *out,
                               const struct reel *clip, const struct scene *s, struct fail *f);

#endif
