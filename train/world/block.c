#include "train/world/block.h"

#include <string.h>

#include "common/base/assert.h"

#define AHEAD 15.0f /* the grid's middle lies this far in front of the eye */
enum { TREE_CELL = 7, TRUNK = 3, STONE_FROM = 4 };

/* ---------------------------------------------------------------- terrain */

/* How far a column is from where the scene plays. A player turns: the same on all sides. */
static float remote(const struct scene *s, int x, int z) {
    float a = (float)x + .5f, b = (float)z + .5f;
    if (s->cam.kind == WORLD_CAMERA_PLAYER) return sqrtf(a * a + b * b);
    return num_max(.62f * num_abs(a), b > 0 ? 1.7f * b : -.45f * b);
}

int block_ground(const struct scene *s, int x, int z) {
    float far = remote(s, x, z), a = (float)x + s->drift * 2, b = (float)z, n;
    if (far < 7) return 0;
    n = .7f * num_noise(a * .11f, b * .11f) + .3f * num_noise(a * .27f + 9, b * .27f);
    return num_floor(num_clamp((far - 6.5f) * .11f, 0, 1) * n * 7.5f);
}

/* The lowest corner of tree cell (i, j) holds a tree or none. */
static int find_tree(const struct scene *s, int i, int j, int *x, int *z) {
    int key = i + num_floor(s->drift * 3);
    if (num_hash(key, j + 400) < .3f) return 0;
    *x = i * TREE_CELL + 1 + (int)(num_hash(key, j + 500) * 4.99f);
    *z = j * TREE_CELL + 1 + (int)(num_hash(key, j + 600) * 4.99f);
    return remote(s, *x, *z) > 6.2f;
}

static void put(struct block_grid *g, int x, int y, int z, enum block_kind kind) {
    int i = x - g->x0, j = z - g->z0, k = y - BLOCK_FLOOR;
    if (i < 0 || j < 0 || k < 0 || i >= BLOCK_SIDE || j >= BLOCK_SIDE || k >= BLOCK_TALL) return;
    g->cell[j][i][k] = (uint8_t)kind;
    if (kind != BLOCK_AIR && g->top[j][i] < k + 1) g->top[j][i] = (uint8_t)(k + 1);
}

static void put_tree(struct block_grid *g, int x, int z, int ground) {
    for (int y = 0; y < TRUNK; y++)
        put(g, x, ground + y, z, BLOCK_LOG);
    for (int dz = -1; dz <= 1; dz++)
        for (int dx = -1; dx <= 1; dx++)
            for (int y = 2; y < 4; y++)
                if (dx || dz || y > 2) put(g, x + dx, ground + y, z + dz, BLOCK_LEAVES);
    put(g, x, ground + 4, z, BLOCK_LEAVES);
}

static enum block_kind skin_of(const struct scene *s, int ground) {
    if (s->weather == WORLD_WEATHER_SNOW) return BLOCK_SNOW;
    if (ground >= STONE_FROM) return BLOCK_STONE;
    return num_hash(num_floor(s->drift), 77) < .2f ? BLOCK_SAND : BLOCK_GRASS;
}

static void put_column(struct block_grid *g, const struct scene *s, int x, int z) {
    int ground = block_ground(s, x, z), n = ground - BLOCK_FLOOR;
    uint8_t *cell = g->cell[z - g->z0][x - g->x0];
    enum block_kind skin = skin_of(s, ground);
    memset(cell, ground >= STONE_FROM ? BLOCK_STONE : BLOCK_DIRT, (size_t)n);
    cell[n - 1] = (uint8_t)skin;
    g->top[z - g->z0][x - g->x0] = (uint8_t)n;
}

static int is_same_cell(const struct world_event *a, const struct world_event *b) {
    return (int)a->p[0] == (int)b->p[0] && (int)a->p[1] == (int)b->p[1] &&
           (int)a->p[2] == (int)b->p[2];
}

/* A block above the ground that is dug out and that nobody put there stands from the beginning. */
static int stands_from_the_beginning(const struct scene *s, int event) {
    const struct world_event *e = &s->event[event];
    if (e->kind != WORLD_EVENT_DIG || e->p[1] < 0) return 0;
    for (int i = 0; i < event; i++)
        if (is_same_cell(&s->event[i], e)) return 0;
    return 1;
}

static void put_events(struct block_grid *g, const struct scene *s, float t) {
    for (int i = 0; i < s->n_event; i++) {
        const struct world_event *e = &s->event[i];
        int x = (int)e->p[0], y = (int)e->p[1], z = (int)e->p[2];
        float span = .6f, q = (t - e->t + span) / span;
        if (stands_from_the_beginning(s, i)) put(g, x, y, z, BLOCK_COBBLE);
        if (e->kind == WORLD_EVENT_DIG && t >= e->t) put(g, x, y, z, BLOCK_AIR);
        if (e->kind == WORLD_EVENT_PLACE && t >= e->t) put(g, x, y, z, BLOCK_PLANK);
        if (e->kind != WORLD_EVENT_DIG || q <= 0 || q >= 1) continue;
        g->crack = q;
        g->crack_at[0] = x;
        g->crack_at[1] = y;
        g->crack_at[2] = z;
    }
}

void block_make(struct block_grid *g, const struct scene *s, const struct path_view *v, float t) {
    struct vec mid = num_along(v->eye, v->fw, AHEAD);
    int i0, j0, x, z;
    memset(g, 0, sizeof *g);
    g->x0 = num_floor(mid.x) - BLOCK_SIDE / 2;
    g->z0 = num_floor(mid.z) - BLOCK_SIDE / 2;
    for (int j = 0; j < BLOCK_SIDE; j++)
        for (int i = 0; i < BLOCK_SIDE; i++)
            put_column(g, s, g->x0 + i, g->z0 + j);
    i0 = num_floor((float)g->x0 / TREE_CELL) - 1;
    j0 = num_floor((float)g->z0 / TREE_CELL) - 1;
    for (int j = j0; j < j0 + BLOCK_SIDE / TREE_CELL + 3; j++)
        for (int i = i0; i < i0 + BLOCK_SIDE / TREE_CELL + 3; i++)
            if (find_tree(s, i, j, &x, &z)) put_tree(g, x, z, block_ground(s, x, z));
    put_events(g, s, t);
}

/* ---------------------------------------------------------------- rays */

/* One column of a ray between t0 and t1: walks its cells from where the ray comes in. */
static int walk_column(const uint8_t *cell, float oy, float dy, float t0, float t1,
                       struct block_hit *h) {
    int up = dy > 0 ? 1 : -1, y = num_floor(oy + dy * t0), last = num_floor(oy + dy * t1);
    float t = t0;
    if (y - BLOCK_FLOOR < 0) y = BLOCK_FLOOR;
    for (int n = 0; n <= BLOCK_TALL; n++, y += up) {
        int k = y - BLOCK_FLOOR;
        if (k >= 0 && k < BLOCK_TALL && cell[k]) {
            h->t = t;
            h->kind = cell[k];
            h->y = y;
            if (n) h->n = num_vec(0, (float)-up, 0);
            return 1;
        }
        if (y == last || (k < 0 && up < 0) || (k >= BLOCK_TALL && up > 0)) return 0;
        t = ((float)(y + (up > 0)) - oy) / dy;
    }
    return 0;
}

int block_find(const struct block_grid *g, struct vec o, struct vec d, float limit,
               struct block_hit *out) {
    int x = num_floor(o.x), z = num_floor(o.z), sx = d.x > 0 ? 1 : -1, sz = d.z > 0 ? 1 : -1;
    float ax = num_abs(d.x) < 1e-6f ? 1e9f : num_abs(1 / d.x),
          az = num_abs(d.z) < 1e-6f ? 1e9f : num_abs(1 / d.z);
    float tx = ax * (sx > 0 ? (float)(x + 1) - o.x : o.x - (float)x),
          tz = az * (sz > 0 ? (float)(z + 1) - o.z : o.z - (float)z), t0 = 0;
    int by_x = 0;
    for (int n = 0; n < 2 * BLOCK_SIDE && t0 < limit; n++) {
        int i = x - g->x0, j = z - g->z0, steps_x = tx < tz;
        float t1 = num_min(steps_x ? tx : tz, limit), low;
        if (i < 0 || j < 0 || i >= BLOCK_SIDE || j >= BLOCK_SIDE) return 0;
        low = num_min(o.y + d.y * t0, o.y + d.y * t1);
        if (low < (float)(g->top[j][i] + BLOCK_FLOOR)) {
            out->n = by_x ? num_vec((float)-sx, 0, 0) : num_vec(0, 0, (float)-sz);
            if (walk_column(g->cell[j][i], o.y, d.y, t0, t1, out) && out->t > 1e-3f) {
                out->x = x;
                out->z = z;
                return out->t < limit;
            }
        } else if (d.y > 0 && low > (float)(BLOCK_TALL + BLOCK_FLOOR)) {
            return 0;
        }
        t0 = t1;
        by_x = steps_x;
        if (steps_x) {
            tx += ax;
            x += sx;
        } else {
            tz += az;
            z += sz;
        }
    }
    return 0;
}

/* ---------------------------------------------------------------- faces */

static const struct {
    struct vec top, side;
} skins[BLOCK_KIND_COUNT] = {
    [BLOCK_GRASS] = {{.44f, .70f, .30f}, {.56f, .41f, .28f}},
    [BLOCK_SNOW] = {{.92f, .94f, .98f}, {.56f, .43f, .32f}},
    [BLOCK_SAND] = {{.91f, .82f, .58f}, {.84f, .74f, .52f}},
    [BLOCK_DIRT] = {{.55f, .40f, .27f}, {.52f, .38f, .26f}},
    [BLOCK_STONE] = {{.60f, .61f, .63f}, {.52f, .53f, .56f}},
    [BLOCK_LOG] = {{.62f, .48f, .30f}, {.42f, .30f, .18f}},
    [BLOCK_LEAVES] = {{.26f, .52f, .22f}, {.22f, .46f, .20f}},
    [BLOCK_PLANK] = {{.93f, .72f, .38f}, {.84f, .62f, .30f}},
    [BLOCK_COBBLE] = {{.66f, .66f, .68f}, {.56f, .56f, .59f}},
};

/* Where a face is hit: 0..1 from its middle to its rim. */
static float rim_of(const struct block_hit *h, struct vec at) {
    float a = num_abs(2 * (at.x - (float)h->x) - 1), b = num_abs(2 * (at.y - (float)h->y) - 1),
          c = num_abs(2 * (at.z - (float)h->z) - 1);
    if (h->n.x > .5f || h->n.x < -.5f) return num_max(b, c);
    if (h->n.y > .5f || h->n.y < -.5f) return num_max(a, c);
    return num_max(a, b);
}

struct vec block_colour(const struct block_grid *g, const struct block_hit *h, struct vec at) {
    int is_top = h->n.y > .5f, has_turf = h->kind == BLOCK_GRASS || h->kind == BLOCK_SNOW;
    struct vec c = is_top ? skins[h->kind].top : skins[h->kind].side;
    float shade = .96f + .07f * num_hash(h->x * 3 + h->y * 17, h->z);
    ASSERT(h->kind < BLOCK_KIND_COUNT);
    if (has_turf && !is_top && at.y - (float)h->y > .74f) c = skins[h->kind].top;
    if (h->t < 11) shade -= .10f * num_step(.86f, .94f, rim_of(h, at)) * (1 - h->t / 11);
    if (h->n.x > .5f || h->n.x < -.5f) shade *= .78f;
    if (h->n.y < -.5f) shade *= .6f;
    if (g->crack > 0 && h->x == g->crack_at[0] && h->y == g->crack_at[1] && h->z == g->crack_at[2])
        shade *= rim_of(h, at) < g->crack ? .62f : 1;
    return num_mul(c, shade);
}
