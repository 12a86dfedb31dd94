#include "train/world/weather.h"

#define BOX_X 9.0f
#define BOX_Y 5.0f
#define BOX_Z 7.0f

static float wrap(float a, float size) {
    return a - (float)num_floor(a / size) * size;
}

/* How fast the two fall, how wide they are and how long the streak behind one is, in units. */
static const struct fall {
    int n;
    float speed, spread, sway, r, tail;
    struct vec colour;
} falls[WORLD_WEATHER_COUNT] = {
    [WORLD_WEATHER_SNOW] = {40, .55f, .3f, .18f, .042f, 0, {.97f, .98f, 1}},
    [WORLD_WEATHER_RAIN] = {34, 6.0f, 1.5f, 0, .011f, .5f, {.80f, .86f, .94f}},
};

/* Where flake i is; the box begins a little in front of the eye. In a loop it falls through the
 * box a whole number of times. */
static struct vec flake_at(int i, const struct scene *s, const struct fall *f,
                           const struct path_view *v, float t) {
    float a = num_hash(i, 71), b = num_hash(i, 72), c = num_hash(i, 73),
          fall = f->speed + f->spread * num_hash(i, 74);
    float sway = f->sway * num_sin(2 * NUM_PI * (path_rate(s, .35f) * t + a));
    float x = v->eye.x - BOX_X / 2 + wrap(a * BOX_X + sway - v->eye.x, BOX_X);
    float z = v->eye.z + 1.8f + wrap(c * BOX_Z - v->eye.z, BOX_Z);
    if (s->is_loop) fall = path_rate(s, fall / BOX_Y) * BOX_Y;
    return num_vec(x, wrap(b * BOX_Y - fall * t, BOX_Y), z);
}

void weather_make(struct weather *w, const struct scene *s, const struct path_view *v, float t) {
    const struct fall *f = &falls[s->weather];
    w->n = 0;
    w->colour = f->colour;
    for (int i = 0; i < f->n; i++) {
        struct vec at = flake_at(i, s, f, v, t), q = num_sub(at, v->eye);
        float p[2], end[2], far = sqrtf(num_dot(q, q)), reach;
        if (!path_project(v, s, at, p)) continue;
        at.y -= f->tail;
        if (!path_project(v, s, at, end)) continue;
        w->flake[w->n].x = p[0];
        w->flake[w->n].y = p[1];
        w->flake[w->n].dx = end[0] - p[0];
        w->flake[w->n].dy = end[1] - p[1];
        w->flake[w->n].r = f->r * .5f * (float)s->H / (far * v->tan_y);
        reach = w->flake[w->n].r + .7f;
        w->flake[w->n].x0 = num_min(p[0], end[0]) - reach;
        w->flake[w->n].x1 = num_max(p[0], end[0]) + reach;
        w->flake[w->n].y0 = num_min(p[1], end[1]) - reach;
        w->flake[w->n].y1 = num_max(p[1], end[1]) + reach;
        w->flake[w->n++].far = far;
    }
}

float weather_cover(const struct weather *w, int x, int y, float far) {
    float most = 0, px = (float)x + .5f, py = (float)y + .5f;
    for (int i = 0; i < w->n; i++) {
        float r = w->flake[i].r, ex = w->flake[i].dx, ey = w->flake[i].dy, dx, dy, a, k,
              reach = r + .7f;
        if (px < w->flake[i].x0 || px > w->flake[i].x1 || py < w->flake[i].y0 ||
            py > w->flake[i].y1 || w->flake[i].far > far)
            continue;
        dx = px - w->flake[i].x;
        dy = py - w->flake[i].y;
        k = num_clamp((dx * ex + dy * ey) / (ex * ex + ey * ey + 1e-6f), 0, 1);
        dx -= k * ex;
        dy -= k * ey;
        a = dx * dx + dy * dy;
        if (a > reach * reach) continue;
        a = num_clamp(reach - sqrtf(a), 0, 1) * num_min(1, r * 1.3f + (ey > 0 ? .3f : 0));
        if (a > most) most = a;
    }
    return most * .92f;
}
