/* suite.h - the fixed list of prompts that every model is judged on: scenes of the world by seed,
 * what is done with them, and the noise.
 *
 * The list is a file in git (eval/suite.txt), written once by `misora-eval list` for one version of
 * the world. A row names a scene and repeats its caption, so that people can read it, and so that a
 * world that draws other scenes is noticed. One thread. */
#ifndef EVAL_SUITE_H
#define EVAL_SUITE_H

#include <stdio.h>

#include "common/words/caption.h"
#include "eval/draw.h"

enum suite_task {
    SUITE_TEXT,    /* words only */
    SUITE_STILL,   /* one frame */
    SUITE_FIRST,   /* the first frame of the render is given */
    SUITE_EXTEND,  /* its first half */
    SUITE_PREPEND, /* its second half */
    SUITE_CONNECT, /* both ends */
    SUITE_LOOP,    /* without a beginning */
    SUITE_EDIT,    /* the whole render, whose main thing gets another colour */
    SUITE_VIEWS,   /* the left part of a split picture */
    SUITE_MINUTE,  /* 60 seconds, words only */
    SUITE_POLICY,  /* moves of a player, one clip after another */
    SUITE_TASK_COUNT
};
enum suite_set { SUITE_FULL, SUITE_QUICK, SUITE_CI, SUITE_SET_COUNT };

enum { SUITE_ROWS_MAX = 1024, SUITE_ID_MAX = 32, SUITE_MINUTE_FRAMES = 721 };

struct suite_row {
    char id[SUITE_ID_MAX]; /* family and number */
    char family[24];
    enum suite_task task;
    uint64_t scene_seed, noise_seed;
    struct world_opts opts;
    enum caption_lang lang;
    int in_quick, in_ci;
    int is_few; /* made with few steps and with many */
    char prompt[CAPTION_BYTES_MAX];
};
struct suite {
    int world; /* version */
    int n_rows;
    struct suite_row *row;
};

const char *suite_task_name(enum suite_task task);
const char *suite_set_name(enum suite_set set);
int suite_set_find(const char *name); /* -1 when unknown */
int suite_is_in(const struct suite_row *row, enum suite_set set);

/* Draws the list anew from the world. The caller ends it with suite_free(). */
MUST_CHECK enum err suite_draw(struct suite *s, struct fail *f);
MUST_CHECK enum err suite_write(const struct suite *s, FILE *out, struct fail *f);
/* ERR_CORRUPT, naming the line, when the file is not such a list or stands for another world. */
MUST_CHECK enum err suite_read(struct suite *s, const char *path, struct fail *f);
void suite_free(struct suite *s); /* safe on a zeroed struct */

MUST_CHECK enum err suite_scene(const struct suite_row *row, struct scene *out, struct fail *f);
/* The long caption of a scene in the language of the row: what models are asked for. */
void suite_caption(const struct suite_row *row, const struct scene *s, char out[CAPTION_BYTES_MAX]);

#endif
