/* label.h - what a judge may be asked about a clip, and the right answers for a scene.
 *
 * A head is one question with a closed list of answers. The answers are those that a long caption
 * says; where it says nothing, or where the picture cannot tell, the answer is LABEL_OPEN and
 * nobody is judged. The lists are stored in the judge's config and must not change under it.
 * Constant data and pure functions; any thread. */
#ifndef EVAL_LABEL_H
#define EVAL_LABEL_H

#include <stdint.h>

#include "common/words/world.h"

enum label_head {
    LABEL_ENVIRONMENT,
    LABEL_TIME,
    LABEL_WEATHER,
    LABEL_STYLE,
    LABEL_CLASS,     /* of the only thing, or none; of two a picture does not say which is first */
    LABEL_COLOUR,    /* of the only thing, where words must say it */
    LABEL_ACTION,    /* of the main thing, or none */
    LABEL_MOTION,    /* the same in groups that look alike: what crosses the picture, what hops */
    LABEL_DIRECTION, /* of that movement */
    LABEL_CAMERA,    /* which way the picture turns or goes */
    LABEL_CAMERA_KIND,
    LABEL_SECOND, /* of two things the class that comes later in its list; else none */
    LABEL_LAYOUT, /* where that one stands as seen from the other */
    LABEL_HEAD_COUNT
};
enum { LABEL_OPEN = -1, LABEL_VALUES_MAX = 32 };

struct label_set {
    int8_t value[LABEL_HEAD_COUNT];
};

const char *label_head_name(enum label_head head);
int label_head_find(const char *name); /* -1 when unknown */
int label_n_values(enum label_head head);
/* A stable identifier, "none" for the answer that there is nothing. */
const char *label_value_name(enum label_head head, int value);
void label_of(const struct scene *s, struct label_set *out);
/* The same for one frame, which shows no movement. */
void label_of_still(const struct scene *s, struct label_set *out);

#endif
