/* sheet.h - a contact sheet: up to 25 tiles, picked evenly while the frames pass by.
 *
 * Only the grid is held, never the clip. Every frame is handed in, in order; the sheet decides
 * which ones it keeps. Tiles run left to right, top to bottom. Owner: one thread per struct. */
#ifndef WORKER_MEDIA_SHEET_H
#define WORKER_MEDIA_SHEET_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum { SHEET_TILES_MAX = 25, SHEET_TILE_SIDE_MAX = 192 };

struct sheet; /* opaque */

struct sheet_opts {
    int width, height;         /* of the frames */
    int out_width, out_height; /* of the delivered video: the shape of a tile */
    int n_frames;              /* of the whole clip */
};

MUST_CHECK enum err sheet_open(struct sheet **out, const struct sheet_opts *opts, struct fail *f);
MUST_CHECK enum err sheet_frame(struct sheet *s, const uint8_t *rgb, size_t stride, struct fail *f);
/* Writes the grid as webp and frees. */
MUST_CHECK enum err sheet_close(struct sheet *s, const char *path, struct fail *f);
void sheet_drop(struct sheet *s); /* NULL is fine */

#endif
