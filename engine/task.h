/* task.h - every kind of work as one picture: a canvas, what is given of it, and words for the
 * rest.
 *
 * A row of a table says which frames of which asset stand where on the canvas, how exact they are,
 * and how the result is put together from the canvas and from what needed no making. Pure
 * arithmetic over lengths; knows no pixels. Callers turn the spans into struct engine_span.
 *
 *   extend     asset  ...........hhhh        connect   A ......hhhh            BBBB........
 *              canvas            hhhhnnnn              canvas hhhhnnnnnnnnBBBB
 */
#ifndef ENGINE_TASK_H
#define ENGINE_TASK_H

#include "common/base/err.h"
#include "common/base/grid.h"

enum task_kind {
    TASK_TEXT,        /* nothing is given */
    TASK_KEYFRAMES,   /* pictures at frames: the first one, the last one, a storyboard */
    TASK_EXTEND,      /* a clip goes on */
    TASK_PREPEND,     /* a clip gets a beginning */
    TASK_EXTEND_BOTH, /* both */
    TASK_CONNECT,     /* from the end of one clip to the beginning of another */
    TASK_LOOP,        /* from the end of a clip to its own beginning */
    TASK_KEEP,        /* spans of clips anywhere: re-cut, trim and go on */
    TASK_VIDEO,       /* a clip is made again, as freely as `strength` says */
    TASK_REFINE,      /* the same, gently: for what was enlarged */
    TASK_EDIT,        /* a region of a clip is made anew */
    TASK_OUTPAINT,    /* a clip gets more around it */
    TASK_VIEW,        /* the other tiles of a canvas of which one is given */
    TASK_KIND_COUNT
};

enum { TASK_ASSETS_MAX = 8 };

struct task_asset {
    int n_frames;
    int at; /* KEYFRAMES, KEEP: frame of the canvas */
};

struct task_ask {
    enum task_kind kind;
    struct grid grid;
    int n_assets;
    struct task_asset asset[TASK_ASSETS_MAX];
    int n_frames;    /* new ones; of the whole canvas for TEXT, KEYFRAMES, KEEP; else not read */
    int n_context;   /* latents of each clip that the new part is told */
    double strength; /* VIDEO, REFINE: 0..1; 0 means the default of the kind */
};

/* Frames from .. from+n-1 of an asset stand at frame `at` of the canvas. Beyond its end an asset
 * repeats its last frame. */
struct task_span {
    int asset, from, n, at;
    double level;
};

/* Frames of the result, in order. */
struct task_piece {
    int asset; /* TASK_CANVAS: of what was made */
    int from, n;
};

enum { TASK_CANVAS = -1, TASK_PIECES_MAX = 3 };

struct task_plan {
    int n_frames; /* of the canvas: legal */
    int n_spans;
    struct task_span span[TASK_ASSETS_MAX];
    bool needs_region; /* the caller has to say where */
    int n_pieces;
    struct task_piece piece[TASK_PIECES_MAX];
};

/* ERR_INPUT in words when assets are missing, too many or too short. */
MUST_CHECK enum err task_plan_make(struct task_plan *out, const struct task_ask *ask,
                                   struct fail *f);
/* Frames of the whole result. */
int task_plan_frames(const struct task_plan *p);

#endif
