/* record.h - the binary records of `worldgen --serve`; the format is drawn in world.h.
 *
 * Owns its frame buffers between make and free. One thread. */
#ifndef TRAIN_WORLD_RECORD_H
#define TRAIN_WORLD_RECORD_H

#include <stdio.h>

#include "train/world/world.h"

struct record {
    uint8_t *rgb; /* all frames of one clip */
    uint8_t *ids; /* one frame, as depth and flow */
    float *depth, *flow;
    uint8_t *tile_id; /* all frames at 1/16 */
    float *tile_near, *tile_flow;
    char *text; /* captions and JSON, one after another */
    size_t n_rgb, n_tile;
};

enum { RECORD_TEXT_MAX = 16384, RECORD_CAPTION_SALT = 0x5ca9 };
struct record_opts {
    int has_ids, has_depth, has_flow;
    float turn; /* radians: see world_scene_turn */
};

MUST_CHECK enum err record_make(struct record *r, const struct world_opts *o, struct fail *f);
void record_free(struct record *r);
/* Writes one clip. Fails with ERR_IO when the reader is gone. */
MUST_CHECK enum err record_write(struct record *r, FILE *out, uint64_t seed,
                                 const struct world_opts *o, const struct record_opts *opts,
                                 struct fail *f);
/* CRC-32 as zlib, png and zip have it. Start with 0. */
uint32_t record_crc(uint32_t crc, const void *data, size_t n);

#endif
