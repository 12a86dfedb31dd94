/* reel.h - the frames of one clip in memory, and as a file that appears whole or not at all.
 *
 * File: "MCLP" | u16 W, H | u32 frames | u64 fingerprint | u8 rgb[frames][H][W][3], little-endian.
 * The fingerprint says what the clip was made from; a file with another one counts as missing. */
#ifndef EVAL_REEL_H
#define EVAL_REEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/words/world.h"

struct reel {
    uint8_t *rgb; /* [n_frames,height,width,3] */
    int n_frames, width, height;
};

MUST_CHECK enum err reel_make(struct reel *r, int n_frames, int width, int height, struct fail *f);
void reel_free(struct reel *r); /* safe on a zeroed struct */
/* Bytes of one frame; the first byte of frame i. */
static inline size_t reel_frame_bytes(const struct reel *r) {
    return (size_t)r->width * (size_t)r->height * 3;
}
static inline uint8_t *reel_frame(const struct reel *r, int i) {
    return r->rgb + (size_t)i * reel_frame_bytes(r);
}

/* All frames of a scene, or the first n_frames of them. */
MUST_CHECK enum err reel_render(struct reel *out, const struct scene *s, int n_frames,
                                struct fail *f);
MUST_CHECK enum err reel_write(const struct reel *r, const char *path, uint64_t fingerprint,
                               struct fail *f);
/* ERR_NOT_FOUND when there is no such file of this fingerprint. */
MUST_CHECK enum err reel_read(struct reel *out, const char *path, uint64_t fingerprint,
                              struct fail *f);

#endif
