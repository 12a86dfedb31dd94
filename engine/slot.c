#include "engine/slot.h"

#include "common/base/assert.h"

int slot_frame(const struct grid *g, int64_t latent) {
    return latent == 0 ? 0 : (int)(1 + (latent - 1) * g->factor_t);
}

static struct slot_run at_beginning(const struct grid *g, int n_frames) {
    int64_t n = 1 + (n_frames - 1) / g->factor_t;
    return (struct slot_run){.n = n, .n_frames = grid_pixel_frames(g, (int)n)};
}

struct slot_run slot_find(const struct grid *g, int at, int n_frames, int64_t L) {
    struct slot_run r = {0};
    int end = grid_pixel_frames(g, (int)L);
    ASSERT(at >= 0 && n_frames > 0);
    if (at >= end) return r;
    if (n_frames > end - at) n_frames = end - at;
    if (at == 0) return at_beginning(g, n_frames);
    r.first = (at + g->factor_t - 1) / g->factor_t; /* the slot that `at` lies in */
    r.is_still = n_frames == 1;
    if (slot_frame(g, r.first) < at && !r.is_still) r.first++;
    if (!r.is_still) r.n_skip = slot_frame(g, r.first) - at;
    r.n = r.is_still ? 1 : n_frames > r.n_skip ? (n_frames - r.n_skip) / g->factor_t : 0;
    r.n_frames = r.is_still ? 1 : (int)r.n * g->factor_t;
    return r;
}

int slot_warm_frame(int i, int n_warm, int n_frames) {
    int k = i < n_warm ? n_warm - i : i - n_warm;
    if (n_frames == 1) return 0;
    int period = 2 * (n_frames - 1);
    k %= period;
    return k < n_frames ? k : period - k;
}
