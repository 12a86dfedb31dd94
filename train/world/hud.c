#include "train/world/hud.h"

#include "train/world/player.h"

enum { N_SLOT = 5 };
#define SLOT 8.0f /* units wide */

struct hud hud_make(const struct scene *s, float t) {
    struct hud h = {.is_shown = s->cam.kind == WORLD_CAMERA_PLAYER,
                    .W = (float)s->W,
                    .H = (float)s->H,
                    .unit = num_min((float)s->W, (float)s->H) / 80};
    struct player p;
    if (!h.is_shown) return h;
    p = player_at(s, t);
    h.has_block = p.has_block;
    h.slot = p.has_block ? 1 : 0;
    h.tip_x = h.W - (17 + 9 * p.swing) * h.unit;
    h.tip_y = h.H - (19 + 8 * p.swing) * h.unit;
    return h;
}

static float cover_bar(const struct hud *h, float x, float y, struct vec *c) {
    static const struct vec content[N_SLOT] = {{.62f, .62f, .66f},
                                               {.90f, .68f, .34f},
                                               {.80f, .26f, .22f},
                                               {.36f, .62f, .28f},
                                               {.30f, .46f, .80f}};
    float left = x - (.5f * h->W - .5f * SLOT * N_SLOT * h->unit),
          down = (y - (h->H - (SLOT + 2) * h->unit)) / h->unit, in, rim;
    int i = num_floor(left / (SLOT * h->unit));
    if (i < 0 || i >= N_SLOT || down < 0 || down > SLOT) return 0;
    in = left / h->unit - SLOT * (float)i;
    rim = num_max(num_abs(in - .5f * SLOT), num_abs(down - .5f * SLOT));
    if (rim > .5f * SLOT - 1) {
        *c = i == h->slot ? num_vec(1, 1, 1) : num_vec(.34f, .34f, .37f);
        return 1;
    }
    *c = rim < .5f * SLOT - 2 ? content[i] : num_vec(.20f, .20f, .23f);
    return 1;
}

/* The block in the hand: a cube seen from above its corner, three faces. */
static float cover_block(const struct hud *h, float x, float y, struct vec *c) {
    float u = (x - h->tip_x) / h->unit, v = (y - h->tip_y) / h->unit, a = num_abs(u), r = 9;
    if (a > r) return 0;
    if (v < -.5f * r + .5f * a || v > 1.5f * r - .5f * a || v < -.9f * r) {
        if (v < -.5f * r - .5f * (r - a) || v > 1.1f * r - .5f * a) return 0;
    }
    if (v < .5f * (r - a) - .5f * r + .0f) {
        *c = num_vec(.96f, .77f, .44f);
        return 1;
    }
    *c = u < 0 ? num_vec(.84f, .62f, .30f) : num_vec(.70f, .50f, .24f);
    return 1;
}

/* An arm from the lower right corner to the tip. */
static float cover_arm(const struct hud *h, float x, float y, struct vec *c) {
    float ax = h->W + 2 * h->unit, ay = h->H + 12 * h->unit, dx = h->tip_x - ax, dy = h->tip_y - ay,
          k = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), px, py;
    if (k < 0 || k > 1) return 0;
    px = x - ax - k * dx;
    py = y - ay - k * dy;
    if (px * px + py * py > 25 * h->unit * h->unit) return 0;
    *c = k < .55f ? num_vec(.20f, .52f, .62f) : num_vec(.90f, .68f, .52f);
    if (px * dy - py * dx > 0) *c = num_mul(*c, .86f);
    return 1;
}

float hud_cover(const struct hud *h, int x, int y, struct vec *colour) {
    float px = (float)x + .5f, py = (float)y + .5f, a = num_abs(px - .5f * h->W) / h->unit,
          b = num_abs(py - .5f * h->H) / h->unit, cover;
    if (!h->is_shown) return 0;
    if ((a < .8f && b < 3.4f) || (b < .8f && a < 3.4f)) {
        *colour = num_vec(.97f, .97f, .97f);
        return .8f;
    }
    cover = cover_bar(h, px, py, colour);
    if (cover > 0 || px < .5f * h->W) return cover;
    if (h->has_block) return cover_block(h, px, py, colour);
    return cover_arm(h, px, py, colour);
}
