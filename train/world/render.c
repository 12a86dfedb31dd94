#include "train/world/render.h"

#include "common/base/assert.h"
#include "train/world/stage.h"
#include "train/world/weather.h"

/* A rectangle of pixels that holds a solid for certain. */
struct box {
    float x0, y0, x1, y1;
};
struct frame {
    struct stage now, next; /* next is made only when flow is wanted */
    struct weather weather;
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

/* The solids that pixel (x, y) may see. */
static void list_row(const struct frame *fr, int y, struct stage_list *out) {
    out->n = 0;
    for (int i = 0; i < fr->now.n_solid; i++)
        if (fr->box[i].y0 <= (float)(y + 1) && fr->box[i].y1 >= (float)y)
            out->solid[out->n++] = (uint8_t)i;
}
static void list_pixel(const struct frame *fr, const struct stage_list *row, int x,
                       struct stage_list *out) {
    out->n = 0;
    for (int i = 0; i < row->n; i++) {
        const struct box *b = &fr->box[row->solid[i]];
        if (b->x0 <= (float)(x + 1) && b->x1 >= (float)x) out->solid[out->n++] = row->solid[i];
    }
}

static void look_row(struct frame *fr, int y) {
    const struct scene *s = fr->now.scene;
    struct stage_list row, on;
    list_row(fr, y, &row);
    for (int x = 0; x < s->W; x++) {
        struct vec d = path_ray(&fr->now.view, s, (float)x + .5f, (float)y + .5f);
        list_pixel(fr, &row, x, &on);
        stage_look(&fr->now, fr->now.view.eye, d, &on, &fr->row[y % 3][x]);
    }
}

/* An edge is where neighbours show different things or clearly different colours. */
static int differs(const struct sight *a, const struct sight *b) {
    struct vec q = num_sub(a->colour, b->colour);
    return a->key != b->key || num_abs(q.x) + num_abs(q.y) + num_abs(q.z) > .16f;
}

static int is_edge(const struct frame *fr, int x, int y) {
    const struct scene *s = fr->now.scene;
    const struct sight *me = &fr->row[y % 3][x];
    return (x > 0 && differs(me, me - 1)) || (x + 1 < s->W && differs(me, me + 1)) ||
           (y > 0 && differs(me, &fr->row[(y + 2) % 3][x])) ||
           (y + 1 < s->H && differs(me, &fr->row[(y + 1) % 3][x]));
}

static struct vec clamp_unit(struct vec c) {
    return num_vec(num_clamp(c.x, 0, 1), num_clamp(c.y, 0, 1), num_clamp(c.z, 0, 1));
}

static struct vec supersample(const struct frame *fr, int x, int y, const struct stage_list *on) {
    struct vec sum = num_vec(0, 0, 0);
    for (int k = 0; k < 4; k++) {
        float px = (float)x + .25f + .5f * (float)(k & 1),
              py = (float)y + .25f + .5f * (float)(k >> 1);
        struct sight one;
        stage_look(&fr->now, fr->now.view.eye, path_ray(&fr->now.view, fr->now.scene, px, py), on,
                   &one);
        sum = num_add(sum, clamp_unit(one.colour));
    }
    return num_mul(sum, .25f);
}

static void put_row(const struct frame *fr, int y, uint8_t *rgb) {
    const struct scene *s = fr->now.scene;
    struct stage_list row, on;
    list_row(fr, y, &row);
    for (int x = 0; x < s->W; x++) {
        struct vec c = clamp_unit(fr->row[y % 3][x].colour);
        uint8_t *out = rgb + 3 * ((size_t)y * s->W + (size_t)x);
        if (is_edge(fr, x, y)) {
            list_pixel(fr, &row, x, &on);
            c = supersample(fr, x, y, &on);
        }
        if (fr->weather.n)
            c = num_mix(c, num_vec(.97f, .98f, 1),
                        weather_cover(&fr->weather, x, y, fr->row[y % 3][x].far));
        out[0] = (uint8_t)(c.x * 255 + .5f);
        out[1] = (uint8_t)(c.y * 255 + .5f);
        out[2] = (uint8_t)(c.z * 255 + .5f);
    }
}

/* Where the thing seen in this pixel is one frame later. The sky is infinitely far. */
static void put_flow(const struct frame *fr, int x, int y, struct vec d, float out[2]) {
    const struct sight *me = &fr->row[y % 3][x];
    const struct path_view *next = &fr->next.view;
    struct vec at = num_along(fr->now.view.eye, d, me->far);
    float p[2];
    if (me->key == STAGE_KEY_SKY) at = num_add(next->eye, d);
    if (me->key >= 0) {
        struct vec u = geometry_inward(&fr->now.solid[me->key], at);
        at = geometry_outward(&fr->next.solid[me->key], u);
    }
    out[0] = out[1] = 0;
    if (!path_project(next, fr->now.scene, at, p)) return;
    out[0] = p[0] - ((float)x + .5f);
    out[1] = p[1] - ((float)y + .5f);
}

static void put_labels(const struct frame *fr, int y, uint8_t *ids, float *depth, float *flow) {
    const struct scene *s = fr->now.scene;
    for (int x = 0; x < s->W; x++) {
        const struct sight *me = &fr->row[y % 3][x];
        size_t i = (size_t)y * s->W + (size_t)x;
        struct vec d = path_ray(&fr->now.view, s, (float)x + .5f, (float)y + .5f);
        if (ids) ids[i] = (uint8_t)stage_id(&fr->now, me->key);
        if (depth)
            depth[i] = me->key == STAGE_KEY_SKY
                           ? WORLD_DEPTH_FAR
                           : num_min(me->far * num_dot(d, fr->now.view.fw), WORLD_DEPTH_FAR);
        if (flow) put_flow(fr, x, y, d, flow + 2 * i);
    }
}

void render_frame(const struct scene *s, int frame, uint8_t *rgb, uint8_t *ids, float *depth,
                  float *flow) {
    struct frame fr;
    ASSERT(s->W >= 1 && s->W <= WORLD_SIDE_MAX && s->H >= 1 && s->H <= WORLD_SIDE_MAX);
    stage_make(&fr.now, s, (float)frame / s->fps);
    if (flow) stage_make(&fr.next, s, (float)(frame + 1) / s->fps);
    weather_make(&fr.weather, s, &fr.now.view, fr.now.t);
    for (int i = 0; i < fr.now.n_solid; i++)
        fr.box[i] = cover(&fr.now.view, s, &fr.now.solid[i]);
    for (int y = 0; y <= s->H; y++) {
        if (y < s->H) look_row(&fr, y);
        if (y == 0) continue;
        if (rgb) put_row(&fr, y - 1, rgb);
        if (ids || depth || flow) put_labels(&fr, y - 1, ids, depth, flow);
    }
}
