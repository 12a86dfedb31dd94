#include "train/world/weather.h"

#define BOX_X 9.0f
#define BOX_Y 5.0f
#define BOX_Z 7.0f

static float wrap(float a, float size) {
    return a - (float)num_floor(a / size) * size;
}

/* Where flake i is; the box begins a little in front of the eye. */
static struct vec flake_at(int i, const struct path_view *v, float t) {
    float a = num_hash(i, 71), b = num_hash(i, 72), c = num_hash(i, 73),
          fall = .55f + .3f * num_hash(i, 74);
    float sway = .18f * num_sin(2 * NUM_PI * (.35f * t + a));
    float x = v->eye.x - BOX_X / 2 + wrap(a * BOX_X + sway - v->eye.x, BOX_X);
    float z = v->eye.z + 1.8f + wrap(c * BOX_Z - v->eye.z, BOX_Z);
    return num_vec(x, wrap(b * BOX_Y - fall * t, BOX_Y), z);
}

void weather_make(struct weather *w, const struct scene *s, const struct path_view *v, float t) {
    w->n = 0;
    if (s->weather != WORLD_WEATHER_SNOW) return;
    for (int i = 0; i < WEATHER_FLAKE_MAX; i++) {
        struct vec at = flake_at(i, v, t), q = num_sub(at, v->eye);
        float p[2], far = sqrtf(num_dot(q, q));
        if (!path_project(v, s, at, p)) continue;
        w->flake[w->n].x = p[0];
        w->flake[w->n].y = p[1];
        w->flake[w->n].r = .042f * .5f * (float)s->H / (far * v->tan_y);
        w->flake[w->n++].far = far;
    }
}

float weather_cover(const struct weather *w, int x, int y, float far) {
    float most = 0;
    for (int i = 0; i < w->n; i++) {
        float dx = (float)x + .5f - w->flake[i].x, dy = (float)y + .5f - w->flake[i].y,
              r = w->flake[i].r;
        float a = dx * dx + dy * dy, reach = r + .7f;
        if (a > reach * reach || w->flake[i].far > far) continue;
        a = num_clamp(reach - sqrtf(a), 0, 1) * num_min(1, r * 1.3f);
        if (a > most) most = a;
    }
    return most * .92f;
}
