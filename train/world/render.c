#include "train/world/render.h"

#include <string.h>

#include "common/base/assert.h"
#include "train/world/hud.h"
#include "train/world/stage.h"
#include "train/world/style.h"
#include "train/world/weather.h"

/* A rectangle of pixels that holds a solid for certain. */
struct box {
    float x0, y0, x1, y1;
};
struct frame {
    struct stage now, next; /* next is made only when flow is wanted */
    struct weather weather;
    struct hud hud;
    int pixel; /* a pixel of the drawing is this many of the picture */
    struct box box[STAGE_SOLID_MAX];
    struct sight row[3][WORLD_SIDE_MAX]; /* ring of the last rows, row y is at y % 3 */
};

static struct box cover(const struct path_view *v, const struct scene *s, const struct solid *k) {
    struct vec q = num_sub(k->c, v->eye);
    float x = num_dot(q, v->rt), y = num_dot(q, v->up), z = num_dot(q, v->fw), r = k->bound;
    float lo = z - r, hi = z + r, w = (float)s->W, h = (float)s->H;
    struct box b = {0, 0, w, h};
    if (r <= 0 || hi < .01f) return (struct box){1, 1, 0, 0};
    if (lo < .05f) return b;
    b.x0 = ((x - r) / ((x - r < 0 ? lo : hi) * v->tan_x) + 1) * .5f * w - 1;
    b.x1 = ((x + r) / ((x + r > 0 ? lo : hi) * v->tan_x) + 1) * .5f * w + 1;
    b.y0 = (1 - (y + r) / ((y + r > 0 ? lo : hi) * v->tan_y)) * .5f * h - 1;
    b.y1 = (1 - (y - r) / ((y - r < 0 ? lo : hi) * v->tan_y)) * .5f * h + 1;
    return b;
}

/* The solids that a line may see, and between which pixels it sees any. */
struct line {
    struct stage_list on;
    float x0, x1;
};

static void list_row(const struct frame *fr, int y, struct line *out) {
    out->on.n = 0;
    out->x0 = 1e9f;
    out->x1 = -1e9f;
    for (int i = 0; i < fr->now.n_solid; i++) {
        if (fr->box[i].y0 > (float)(y + 1) || fr->box[i].y1 < (float)y) continue;
        out->on.solid[out->on.n++] = (uint8_t)i;
        out->x0 = num_min(out->x0, fr->box[i].x0);
        out->x1 = num_max(out->x1, fr->box[i].x1);
    }
}

/* The solids that pixel x of the line may see. */
static void list_pixel(const struct frame *fr, const struct line *row, int x,
                       struct stage_list *out) {
    out->n = 0;
    if ((float)(x + 1) < row->x0 || (float)x > row->x1) return;
    for (int i = 0; i < row->on.n; i++) {
        const struct box *b = &fr->box[row->on.solid[i]];
        if (b->x0 <= (float)(x + 1) && b->x1 >= (float)x) out->solid[out->n++] = row->on.solid[i];
    }
}

static void put_hud(const struct frame *fr, int x, int y, struct sight *out) {
    struct vec c;
    float cover = hud_cover(&fr->hud, x, y, &c);
    if (cover <= 0) return;
    *out = (struct sight){STAGE_KEY_HUD, 0, num_mix(out->colour, c, cover)};
}

static void look_row(struct frame *fr, int y) {
    const struct scene *s = fr->now.scene;
    struct line row;
    struct stage_list on;
    struct stage_meeting m;
    struct path_row rays = path_row_at(&fr->now.view, s, (float)y + .5f);
    list_row(fr, y, &row);
    for (int x = 0; x < s->W; x++) {
        struct vec d = path_row_ray(&rays, (float)x + .5f);
        list_pixel(fr, &row, x, &on);
        stage_find(&fr->now, fr->now.view.eye, d, &on, &m);
        fr->row[y % 3][x] =
            (struct sight){m.key, m.far, stage_shine(&fr->now, fr->now.view.eye, d, &m)};
        if (fr->hud.is_shown) put_hud(fr, x, y, &fr->row[y % 3][x]);
    }
}

enum edge { EDGE_NONE, EDGE_COLOUR, EDGE_THING };

/* An edge is where neighbours show different things or one thing in clearly different colours. */
static enum edge compare(const struct sight *a, const struct sight *b) {
    struct vec q = num_sub(a->colour, b->colour);
    if (a->key != b->key) return EDGE_THING;
    return num_abs(q.x) + num_abs(q.y) + num_abs(q.z) > .30f ? EDGE_COLOUR : EDGE_NONE;
}

static enum edge edge_at(const struct frame *fr, int x, int y) {
    const struct scene *s = fr->now.scene;
    const struct sight *me = &fr->row[y % 3][x];
    enum edge by[4] = {x > 0 ? compare(me, me - 1) : EDGE_NONE,
                       x + 1 < s->W ? compare(me, me + 1) : EDGE_NONE,
                       y > 0 ? compare(me, &fr->row[(y + 2) % 3][x]) : EDGE_NONE,
                       y + 1 < s->H ? compare(me, &fr->row[(y + 1) % 3][x]) : EDGE_NONE};
    enum edge most = EDGE_NONE;
    for (int i = 0; i < 4; i++)
        if (by[i] > most) most = by[i];
    return most;
}

static struct vec clamp_unit(struct vec c) {
    return num_vec(num_clamp(c.x, 0, 1), num_clamp(c.y, 0, 1), num_clamp(c.z, 0, 1));
}

/* The pixel among this one and its neighbours that shows the same thing, or NULL. */
static const struct sight *find_alike(const struct frame *fr, int x, int y, int key) {
    const struct scene *s = fr->now.scene;
    const struct sight *me = &fr->row[y % 3][x];
    if (me->key == key) return me;
    if (x > 0 && me[-1].key == key) return me - 1;
    if (x + 1 < s->W && me[1].key == key) return me + 1;
    if (y > 0 && fr->row[(y + 2) % 3][x].key == key) return &fr->row[(y + 2) % 3][x];
    if (y + 1 < s->H && fr->row[(y + 1) % 3][x].key == key) return &fr->row[(y + 1) % 3][x];
    return NULL;
}

/* Rays through the quarters of a pixel; rays[] are the upper and the lower line of them. Where two
 * things meet each of four only has to tell which of them it sees: the colour is that of the pixel
 * beside. Where one thing changes its colour two are coloured by themselves. */
static struct vec supersample(const struct frame *fr, int x, int y, const struct path_row rays[2],
                              const struct stage_list *on, enum edge edge) {
    struct vec sum = num_vec(0, 0, 0), eye = fr->now.view.eye;
    int step = edge == EDGE_THING ? 1 : 3;
    for (int k = 0; k < 4; k += step) {
        struct vec d = path_row_ray(&rays[k >> 1], (float)x + .25f + .5f * (float)(k & 1));
        const struct sight *alike;
        struct stage_meeting m;
        stage_find(&fr->now, eye, d, on, &m);
        alike = edge == EDGE_THING ? find_alike(fr, x, y, m.key) : NULL;
        sum = num_add(sum, clamp_unit(alike ? alike->colour : stage_shine(&fr->now, eye, d, &m)));
    }
    return num_mul(sum, edge == EDGE_THING ? .25f : .5f);
}

/* 1 where two things meet, less where two parts of one thing do. */
static float outline_at(const struct frame *fr, int x, int y) {
    const struct scene *s = fr->now.scene;
    const struct sight *me = &fr->row[y % 3][x];
    const struct sight *by[2] = {x + 1 < s->W ? me + 1 : me,
                                 y + 1 < s->H ? &fr->row[(y + 1) % 3][x] : me};
    float most = 0;
    for (int i = 0; i < 2; i++) {
        if (by[i]->key == me->key) continue;
        if (stage_id(&fr->now, me->key) != stage_id(&fr->now, by[i]->key)) return 1;
        most = .35f;
    }
    return most;
}

static struct vec finish(const struct frame *fr, int x, int y, const struct path_row rays[2],
                         const struct line *row) {
    const struct sight *me = &fr->row[y % 3][x];
    enum world_style style = (enum world_style)fr->now.scene->style;
    struct vec c = clamp_unit(me->colour);
    struct stage_list on;
    enum edge edge;
    edge = me->key == STAGE_KEY_HUD ? EDGE_NONE : edge_at(fr, x, y);
    if (edge != EDGE_NONE) {
        list_pixel(fr, row, x, &on);
        c = supersample(fr, x, y, rays, &on, edge);
    }
    if (fr->weather.n)
        c = num_mix(c, fr->weather.colour, weather_cover(&fr->weather, x, y, me->far));
    if (style == WORLD_STYLE_PLAIN) return c;
    return clamp_unit(
        style_colour(style, c, style == WORLD_STYLE_INK_WASH ? outline_at(fr, x, y) : 0));
}

/* One row of the drawing, in pixels of the picture; both end where the picture ends. */
static void put_row(const struct frame *fr, int y, const struct render_target *out, int W, int H) {
    const struct scene *s = fr->now.scene;
    int n = fr->pixel;
    struct line row;
    struct path_row rays[2] = {path_row_at(&fr->now.view, s, (float)y + .25f),
                               path_row_at(&fr->now.view, s, (float)y + .75f)};
    list_row(fr, y, &row);
    for (int x = 0; x < s->W; x++) {
        struct vec c = finish(fr, x, y, rays, &row);
        uint8_t rgb[3] = {(uint8_t)(c.x * 255 + .5f), (uint8_t)(c.y * 255 + .5f),
                          (uint8_t)(c.z * 255 + .5f)};
        for (int j = y * n; j < y * n + n && j < H; j++)
            for (int i = x * n; i < x * n + n && i < W; i++)
                memcpy(out->rgb + 3 * ((size_t)j * (size_t)out->pitch + (size_t)i), rgb, 3);
    }
}

/* Where the thing seen in this pixel is one frame later. The sky is infinitely far. */
static void put_flow(const struct frame *fr, int x, int y, struct vec d, float out[2]) {
    const struct sight *me = &fr->row[y % 3][x];
    const struct path_view *next = &fr->next.view;
    struct vec at = num_along(fr->now.view.eye, d, me->far);
    float p[2];
    out[0] = out[1] = 0;
    if (me->key == STAGE_KEY_HUD) return;
    if (me->key == STAGE_KEY_SKY) at = num_add(next->eye, d);
    if (me->key >= 0) {
        struct vec u = geometry_inward(&fr->now.solid[me->key], at);
        at = geometry_outward(&fr->next.solid[me->key], u);
    }
    if (!path_project(next, fr->now.scene, at, p)) return;
    out[0] = p[0] - ((float)x + .5f);
    out[1] = p[1] - ((float)y + .5f);
}

static void put_labels(const struct frame *fr, int y, const struct render_target *out) {
    const struct scene *s = fr->now.scene;
    struct path_row rays = path_row_at(&fr->now.view, s, (float)y + .5f);
    for (int x = 0; x < s->W; x++) {
        const struct sight *me = &fr->row[y % 3][x];
        size_t i = (size_t)y * (size_t)out->pitch + (size_t)x;
        struct vec d = path_row_ray(&rays, (float)x + .5f);
        if (out->ids) out->ids[i] = (uint8_t)stage_id(&fr->now, me->key);
        if (out->depth)
            out->depth[i] = me->key == STAGE_KEY_SKY
                                ? WORLD_DEPTH_FAR
                                : num_min(me->far * num_dot(d, fr->now.view.fw), WORLD_DEPTH_FAR);
        if (out->flow) put_flow(fr, x, y, d, out->flow + 2 * i);
    }
}

/* Rays of one drawing. A drawing in large pixels is a smaller scene; its labels are made apart. */
static void draw(const struct scene *s, const struct scene *picture, int frame, int pixel,
                 const struct render_target *out) {
    struct frame fr;
    int has_labels = out->ids || out->depth || out->flow;
    float t = (float)style_frame(s, frame) / s->fps,
          t_next = (float)style_frame(s, frame + 1) / s->fps;
    fr.pixel = pixel;
    stage_make(&fr.now, s, t);
    if (out->flow) stage_make(&fr.next, s, t_next);
    weather_make(&fr.weather, s, &fr.now.view, fr.now.t);
    fr.hud = hud_make(s, fr.now.t);
    for (int i = 0; i < fr.now.n_solid; i++)
        fr.box[i] = cover(&fr.now.view, s, &fr.now.solid[i]);
    for (int y = 0; y <= s->H; y++) {
        if (y < s->H) look_row(&fr, y);
        if (y == 0) continue;
        if (out->rgb) put_row(&fr, y - 1, out, picture->W, picture->H);
        if (has_labels) put_labels(&fr, y - 1, out);
    }
}

void render_frame(const struct scene *s, int frame, const struct render_target *out) {
    int pixel = style_pixel(s);
    struct render_target rest = *out;
    ASSERT(s->W >= 1 && s->W <= WORLD_SIDE_MAX && s->H >= 1 && s->H <= WORLD_SIDE_MAX);
    if (pixel > 1 && out->rgb) {
        struct scene small = *s;
        small.W = (uint16_t)((s->W + pixel - 1) / pixel);
        small.H = (uint16_t)((s->H + pixel - 1) / pixel);
        draw(&small, s, frame, pixel,
             &(struct render_target){.rgb = out->rgb, .pitch = out->pitch});
        rest.rgb = NULL;
    }
    if (rest.rgb || rest.ids || rest.depth || rest.flow) draw(s, s, frame, 1, &rest);
}
