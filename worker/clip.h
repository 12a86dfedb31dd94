/* clip.h - rendered frames become the three files of a result while they pass by.
 *
 * DIR/video.mp4, DIR/thumbnail.webp (the middle frame) and DIR/spritesheet.webp. No more than one
 * frame is held. What comes from a source clip comes in the size of the result, what was rendered
 * in that of the canvas. Engine thread. */
#ifndef WORKER_CLIP_H
#define WORKER_CLIP_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/receipt.h"
#include "worker/plan.h"

struct clip; /* opaque */

/* `crf` below 0 means the default. The plan is borrowed until the clip is closed or dropped. */
MUST_CHECK enum err clip_open(struct clip **out, const char *dir, const struct plan *plan, int crf,
                              struct fail *f);
/* rgb [height][width][3] of the plan's canvas, shown in n_copies frames of the result. */
MUST_CHECK enum err clip_frame(struct clip *c, const uint8_t *rgb, int n_copies, struct fail *f);
/* The next frame of the result, in its size; only for plans with pieces of their assets. */
MUST_CHECK enum err clip_out_frame(struct clip *c, const uint8_t *rgb, struct fail *f);
/* Ends the files, reads the mp4 back and compares it with the plan, and fills the objects of the
 * receipt (key = file name, sha256, bytes, type) and its sizes. Frees the clip in any case. */
MUST_CHECK enum err clip_close(struct clip *c, struct receipt *out, struct fail *f);
void clip_drop(struct clip *c); /* removes the files; NULL is fine */

#endif
