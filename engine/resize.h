/* resize.h - a picture of bytes at another size, exactly as Pillow's Image.resize(BICUBIC) does it:
 * antialiased, in whole numbers, rows first and columns then, rounded to bytes in between. Models
 * were trained on what this gives. Host memory; pure. */
#ifndef ENGINE_RESIZE_H
#define ENGINE_RESIZE_H

#include <stdint.h>

#include "common/base/err.h"

enum { RESIZE_SIDE_MAX = 1 << 14 };

struct resize_size {
    int width, height;
};

/* in, out: rgb, height x width x 3. ERR_INPUT for a side below 1 or over RESIZE_SIDE_MAX. */
MUST_CHECK enum err resize_bicubic(uint8_t *out, struct resize_size out_size, const uint8_t *in,
                                   struct resize_size in_size, struct fail *f);

#endif
