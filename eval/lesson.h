/* lesson.h - what train/judge.py reads: clips of the world with their labels, on a stream.
 *
 * Little-endian, one record after another:
 *   "MLES" | u32 world version | u64 seed | u16 W, H, frames, n_labels | i8 labels[n_labels] |
 *   u8 rgb[frames][H][W][3]
 * Labels stand in the order of enum label_head, -1 is open. The frames are those that the judge
 * looks at (sight_frame), not all of the clip. */
#ifndef EVAL_LESSON_H
#define EVAL_LESSON_H

#include <stdint.h>
#include <stdio.h>

#include "common/base/err.h"

/* Scenes first .. first + count - 1 of draw_mixed. ERR_IO when the reader is gone. */
MUST_CHECK enum err lesson_write(FILE *out, uint64_t first_seed, int64_t first, int64_t count,
                                 struct fail *f);
/* The heads and their answers as one line of JSON, in the order of the labels. */
void lesson_heads(FILE *out);

#endif
