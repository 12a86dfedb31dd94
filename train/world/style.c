#include "train/world/style.h"

int style_pixel(const struct scene *s) {
    int side = s->W < s->H ? s->W : s->H;
    if (s->style != WORLD_STYLE_PIXEL_ART) return 1;
    return side < 64 ? 2 : side < 144 ? 4 : 4 * (side / 72);
}

int style_frame(const struct scene *s, int frame) {
    return s->style == WORLD_STYLE_CLAY && s->fps >= 8 ? frame - (frame & 1) : frame;
}

static float tone(float a, float steps) {
    return (float)num_floor(num_clamp(a, 0, 1) * steps + .5f) / steps;
}

/* Ink of three waters on warm paper, with a little of the thing's own colour. */
static struct vec ink(struct vec c, float grey, float outline) {
    const struct vec paper = {.95f, .93f, .86f}, black = {.12f, .12f, .14f};
    float dark = 1 - num_step(.05f, .85f, grey);
    struct vec out = num_mix(paper, black, .25f * dark + .55f * tone(dark, 4) * dark), tint;
    tint = num_sub(c, num_vec(grey, grey, grey));
    out = num_add(out, num_mul(tint, .55f));
    return num_mix(out, black, .75f * outline);
}

struct vec style_colour(enum world_style style, struct vec c, float outline) {
    float grey = .30f * c.x + .59f * c.y + .11f * c.z, k;
    switch (style) {
    case WORLD_STYLE_PIXEL_ART: return num_vec(tone(c.x, 7), tone(c.y, 7), tone(c.z, 7));
    case WORLD_STYLE_INK_WASH: return ink(c, grey, outline);
    case WORLD_STYLE_BLACK_WHITE:
        k = num_step(.02f, .98f, grey) * .5f + grey * .5f;
        return num_vec(k, k, k);
    case WORLD_STYLE_CLAY:
        c = num_mix(c, num_vec(grey, grey, grey), .12f);
        return num_vec(.05f + .93f * c.x, .04f + .92f * c.y, .04f + .90f * c.z);
    default: return c;
    }
}
