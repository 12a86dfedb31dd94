/* ask.h - what misora-decode is asked for, from its arguments (common/base/decode_wire.h). Pure. */
#ifndef DECODE_ASK_H
#define DECODE_ASK_H

#include <stdbool.h>

enum ask_kind { ASK_ANY, ASK_IMAGE, ASK_VIDEO };

struct ask {
    enum ask_kind kind;
    int width, height; /* of the answer; both 0: only the facts */
    int fps;           /* of the answer; 0: the file's own */
    int from;          /* first frame; < 0: from the end */
    int n_max;         /* frames; 0: up to the end */
};

/* False when the arguments are not KIND WIDTHxHEIGHT FPS FROM N_MAX. */
bool ask_parse(struct ask *out, int argc, char **argv);

#endif
