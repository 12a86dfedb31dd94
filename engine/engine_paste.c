#include "engine/engine_paste.h"

#include <string.h>

#include "common/base/mem.h"
#include "engine/slot.h"

enum { FULL = 256 }; /* weight of what is given, in whole numbers */

enum err engine_paste_make(struct engine_paste *p, const struct engine_given *given,
                           const struct canvas *canvas, const struct grid *grid, struct fail *f) {
    *p = (struct engine_paste){.given = given, .canvas = *canvas, .grid = *grid, .far_frame = -1};
    if (!given || !given->region.mask) return ERR_OK;
    p->far = mem_take((size_t)canvas->width * (size_t)canvas->height, 1);
    return p->far ? ERR_OK : FAIL(f, ERR_NOMEM, "no memory for a mask");
}

void engine_paste_free(struct engine_paste *p) {
    mem_free(p->far);
    memset(p, 0, sizeof *p);
}

static int least(int a, int b) {
    return a < b ? a : b;
}

/* One more than the nearest neighbour that was visited before. */
static void relax(uint8_t *d, int64_t at, int64_t side, int64_t before, bool has_side,
                  bool has_before, int width_left, int width_right) {
    int best = d[at];
    if (has_side) best = least(best, d[at + side] + 1);
    if (has_before) {
        best = least(best, d[at + before] + 1);
        if (width_left) best = least(best, d[at + before - 1] + 1);
        if (width_right) best = least(best, d[at + before + 1] + 1);
    }
    d[at] = (uint8_t)best;
}

/* Two sweeps over the picture: distances with diagonals that count as one. */
static void measure(struct engine_paste *p, const uint8_t *mask) {
    int W = p->canvas.width, H = p->canvas.height;
    for (int64_t i = 0; i < (int64_t)W * H; i++)
        p->far[i] = mask[i] >= 128 ? 0 : ENGINE_PASTE_FEATHER_PX + 1;
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            relax(p->far, (int64_t)y * W + x, -1, -W, x > 0, y > 0, x > 0, x < W - 1);
    for (int y = H - 1; y >= 0; y--)
        for (int x = W - 1; x >= 0; x--)
            relax(p->far, (int64_t)y * W + x, 1, W, x < W - 1, y<H - 1, x> 0, x < W - 1);
}

static void find_region(struct engine_paste *p, int index) {
    const struct engine_region *r = &p->given->region;
    int frame = index < r->n_frames ? index : r->n_frames - 1;
    if (!r->mask || frame == p->far_frame) return;
    measure(p, r->mask + (int64_t)frame * p->canvas.width * p->canvas.height);
    p->far_frame = frame;
}

/* Weight of a span at a frame, 0..FULL: it swells from an end that borders on something new. */
static int weight_at(const struct engine_paste *p, const struct slot_run *run, int begin,
                     int index) {
    int end = begin + run->n_frames, fade = p->grid.factor_t, w = fade + 1;
    if (index < begin || index >= end || run->n_frames < 2) return 0;
    if (begin > 0) w = least(w, index - begin + 1);
    if (end < p->canvas.n_frames) w = least(w, end - index);
    return w * FULL / (fade + 1);
}

static void mix(const struct engine_paste *p, uint8_t *rgb, const uint8_t *given, int weight) {
    int64_t n = (int64_t)p->canvas.width * p->canvas.height;
    for (int64_t i = 0; i < n; i++) {
        int w = weight;
        if (p->far) w = weight * p->far[i] / (ENGINE_PASTE_FEATHER_PX + 1);
        for (int c = 0; c < 3; c++) {
            int64_t k = 3 * i + c;
            rgb[k] = (uint8_t)((given[k] * w + rgb[k] * (FULL - w) + FULL / 2) / FULL);
        }
    }
}

void engine_paste_frame(struct engine_paste *p, uint8_t *rgb, int index) {
    int64_t L = 1 + (p->canvas.n_frames - 1) / p->grid.factor_t;
    int64_t frame_bytes = (int64_t)p->canvas.width * p->canvas.height * 3;
    for (int i = 0; p->given && i < p->given->n_spans; i++) {
        const struct engine_span *s = &p->given->span[i];
        struct slot_run run = slot_find(&p->grid, s->at, s->clip.size.n_frames, L);
        int begin = s->at + run.n_skip, weight = weight_at(p, &run, begin, index);
        if (weight == 0 || s->level > 0) continue;
        find_region(p, index);
        mix(p, rgb, s->clip.rgb + (index - s->at) * frame_bytes, weight);
    }
}
