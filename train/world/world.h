/* world.h - the synthetic world the embedded model is trained on, behind one door.
 *
 * A clip is a pure function of (seed, options): world_scene_make draws one `struct scene`, and
 * pixels, captions, labels and judges are all derived from that struct and from nothing else.
 * world_render is a pure function of (scene, frame): any frame, in any order, on any thread.
 * Output bytes are the same for gcc and clang, -O0 and -O3: no libm, no fused multiply-add.
 * No memory is kept between calls, there are no globals with state. */
#ifndef TRAIN_WORLD_WORLD_H
#define TRAIN_WORLD_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/words/world.h"

struct world_opts {
    int W, H;   /* pixels, multiples of 16 are what the model sees; any 16..1024 renders */
    int frames; /* 1..1200 */
    float fps;  /* 1..60 */
    enum world_split split;
    int hero; /* enum world_hero: only this kind of scene; 0: as they are drawn */
};

/* Draws a scene. The same (seed, opts) gives the same scene for ever. ERR_INPUT when opts are
 * outside the ranges above, or ask for a hero scene that they have no room for. TRAIN never holds a
 * held-out pair, HELD_OUT always holds one. */
MUST_CHECK enum err world_scene_make(struct scene *out, uint64_t seed,
                                     const struct world_opts *opts, struct fail *f);

/* Renders one frame. Each output may be NULL: rgb u8[H*W*3]; ids u8[H*W]; depth float[H*W] along
 * the view axis, WORLD_DEPTH_FAR for sky; flow float[H*W*2], pixels (dx,dy) that the surface in
 * this pixel moves until frame + 1 (a mirror counts as its own surface). */
void world_render(const struct scene *s, int frame, uint8_t *rgb, uint8_t *ids, float *depth,
                  float *flow);
#define WORLD_DEPTH_FAR 1000.0f

/* The same scene at the same times from a camera that stands `turn` radians further to the right
 * around what it looks at. A player's view turns around itself. */
void world_scene_turn(struct scene *s, float turn);
/* The part of a split picture that view k of s->n_view fills, and its own scene (n_view 1). Views
 * are numbered from the upper left, line by line. */
struct world_tile {
    int x, y;
    struct scene scene;
};
void world_view(const struct scene *s, int view, struct world_tile *out);

/* Writes the scene as one line of JSON (names, not numbers) and a NUL. Returns the length it needs
 * without the NUL; when that is >= cap the text was cut. WORLD_JSON_MAX always suffices. */
size_t world_scene_json(const struct scene *s, char *out, size_t cap);
enum { WORLD_JSON_MAX = 8192 };

/* Which values the sampler draws at present (a parser may know more words than that). */
int world_is_drawn(enum world_slot slot, int value);
/* 1 when this class may do this action in this environment in the sampler. */
int world_fits(enum world_env env, enum world_class cls, enum world_action action);

/* Records of `worldgen --serve`, little-endian, one after another on stdout: a header of 72
 * bytes, then the parts without padding in the order of their lengths:
 *   rgb u8[frames][H][W][3] | short_en | long_en | short_zh | long_zh (UTF-8, no NUL) | scene JSON
 * | ids u8[frames][H/16][W/16] | near f32[frames][H/16][W/16] | flow f32[frames][H/16][W/16][2]
 * The last three speak of tiles of 16x16 pixels and are absent unless --ids, --depth, --flow ask
 * for them: the most frequent id; the mean of 1 / depth, 0 for sky; the mean flow in pixels. */
struct world_record {
    char magic[4];    /* "MWLD" */
    uint32_t version; /* WORLD_RECORD_VERSION */
    uint64_t seed;
    uint16_t W, H, frames, channels; /* channels is 3 */
    float fps;
    uint32_t n_rgb, n_short_en, n_long_en, n_short_zh, n_long_zh, n_json, n_ids; /* bytes */
    uint32_t rgb_crc;        /* CRC-32 (zlib) of the rgb part */
    uint32_t world;          /* WORLD_VERSION */
    uint32_t n_near, n_flow; /* bytes */
};
/* WORLD_VERSION counts the worlds: it grows when any seed changes its pixels or words, and what was
 * trained on one world is not resumed on another. */
enum { WORLD_RECORD_VERSION = 3, WORLD_RECORD_BYTES = 72, WORLD_VERSION = 3 };

#endif
