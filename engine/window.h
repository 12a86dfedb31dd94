/* window.h - a long clip as windows of latent frames that overlap. Pure arithmetic.
 *
 *   latent frames of the clip   0 1 2 3 4 5 6 7 8 9 ...
 *   window 0                    . . . . . . .
 *   window 1                            h h h . . . .      h: head, made from what is there already
 *
 * Windows are as equal as whole numbers allow: a short last one would be a length that the model
 * was not trained on, with little room for anything new. */
#ifndef ENGINE_WINDOW_H
#define ENGINE_WINDOW_H

#include <stdint.h>

/* How a window learns what came before it. */
enum window_head {
    /* The last latents as they are. For models that were trained so, or do not mind. */
    WINDOW_HEAD_CARRY,
    /* The same, but the first of them is replaced by its last frame, encoded alone: a model that
     * was trained on clips from their beginning knows latent 0 only as a frame without a past. */
    WINDOW_HEAD_ANCHOR,
    /* The last frames, decoded, encoded anew, and decoded once more: two decodings that go over
     * into each other. For models that are told pixels, not latents. */
    WINDOW_HEAD_ENCODE,
    WINDOW_HEAD_COUNT
};

/* All in latent frames. */
struct window_plan {
    int64_t L;       /* length of the clip, at least 1 */
    int64_t longest; /* of one window; 0 = the whole clip is one */
    int64_t overlap; /* length of a head, 1 .. longest - 1 */
};

struct window {
    int64_t first, n; /* latent frames first .. first + n - 1 of the clip */
    int64_t n_head;   /* of these exist already; 0 in the first window */
};

int64_t window_count(const struct window_plan *p);
/* i is 0 .. window_count() - 1. */
struct window window_at(const struct window_plan *p, int64_t i);

#endif
