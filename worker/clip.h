/* clip.h - rendered frames become the three files of a result while they pass by.
 *
 * DIR/video.mp4, DIR/thumbnail.webp (the middle frame) and DIR/spritesheet.webp. No more than one
 * frame is held. Frames of another rate are repeated or dropped as the plan says. Engine thread. */
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
/* rgb [height][width][3] of the plan's canvas, frames in order. */
MUST_CHECK enum err clip_frame(struct clip *c, const uint8_t *rgb, struct fail *f);
/* Ends the files, reads the mp4 back and compares it with the plan, and fills the objects of the
 * receipt (key = file name, sha256, bytes, type) and its sizes. Frees the clip in any case. */
MUST_CHECK enum err clip_close(struct clip *c, struct receipt *out, struct fail *f);
void clip_drop(struct clip *c); /* removes the files; NULL is fine */

#endif
