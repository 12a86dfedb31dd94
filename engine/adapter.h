/* adapter.h - in what form a model can be told what is given. Pure.
 *
 * One request is a canvas with given frames. Checkpoints differ in what they were trained to be
 * told; each way is a row here, with what it can say. What a model cannot be told is refused in
 * words, never left out. */
#ifndef ENGINE_ADAPTER_H
#define ENGINE_ADAPTER_H

#include "common/base/err.h"

enum adapter_kind {
    ADAPTER_TOKENS,  /* a timestep per token: known latents stand at 0 (TI2V, the embedded model) */
    ADAPTER_REPAINT, /* plain text to video: known latents are painted over at every step */
    ADAPTER_CHANNELS, /* 4 channels of mask and the latents of known frames (Wan I2V, FLF2V) */
    ADAPTER_CONTROL,  /* a control volume: inactive, reactive, mask (VACE) */
    ADAPTER_SOURCE,   /* the latents of a source clip as channels (Lucy Edit) */
    ADAPTER_KIND_COUNT
};

/* What a request needs, as bits. */
enum {
    ADAPTER_NOTHING = 1,     /* words alone */
    ADAPTER_HEAD = 2,        /* exact frames at the beginning */
    ADAPTER_TAIL = 4,        /* exact frames at the end */
    ADAPTER_MIDDLE = 8,      /* exact frames elsewhere */
    ADAPTER_REGION = 16,     /* a part of the picture */
    ADAPTER_SOFT = 32,       /* a whole clip to begin from, with noise on it */
    ADAPTER_MIXED = 64,      /* such noise on a part only */
    ADAPTER_FRAMES = 127,    /* all of these */
    ADAPTER_GUIDE = 128,     /* a clip that says how things move: depth, lines, poses */
    ADAPTER_REFERENCE = 256, /* pictures of what shall be in it */
    ADAPTER_ALL = 511
};

/* The bits that a model of this kind has. */
unsigned adapter_can(enum adapter_kind kind);
const char *adapter_name(enum adapter_kind kind);
/* ERR_UNSUPPORTED names the model and the first need that it does not have. */
MUST_CHECK enum err adapter_check(enum adapter_kind kind, unsigned needs, const char *model,
                                  struct fail *f);

#endif
