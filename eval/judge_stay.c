#include "eval/judge_stay.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "train/world/path.h"

enum { FRAMES_MIN = 17, SHOTS_MAX = 12 };
#define CHANGED      30.0       /* of 0..255: a pixel shows another thing */
#define SEEN_SHARE   (1.0 / 80) /* of the picture: so large is a thing at least */
#define COLOUR_MAX   42.0       /* of two views of one thing */
#define HIDDEN_SHARE .45        /* of its pixels that may still be seen behind the wall */
#define RATIO_MAX    2.2        /* of the two views */
#define KEPT_MIN     .80        /* of strokes and bites */
#define GROWN_MIN    .006       /* of the picture: they are there at all */
#define BLOCK_MIN    .5

static double difference(const uint8_t *a, const uint8_t *b) {
    return fmax(abs(a[0] - b[0]), fmax(abs(a[1] - b[1]), abs(a[2] - b[2])));
}

/* The mean of n frames: what falls through the picture fades. */
static void mean_frame(uint8_t *out, const struct reel *clip, int first, int n) {
    size_t bytes = reel_frame_bytes(clip);
    for (size_t i = 0; i < bytes; i++) {
        int sum = 0;
        for (int t = first; t < first + n; t++)
            sum += reel_frame(clip, t)[i];
        out[i] = (uint8_t)((sum + n / 2) / n);
    }
}

static double sure(double value, double line) {
    return fmin(1, fabs(value - line) / line);
}

/* ---------------------------------------------------------------- behind the wall */

int judge_stay_fits_hidden(const struct scene *s) {
    return s->n_view <= 1 && s->frames >= FRAMES_MIN && s->n_ent == 1 &&
           s->ent[0].action == WORLD_ACTION_BEHIND && s->cam.kind == WORLD_CAMERA_STATIC;
}

/* What one half of the picture shows at one end of the clip and not at the other. */
struct side {
    double n, hidden; /* pixels; of them in the middle of the clip */
    double colour[3];
};

static void add_colour(double out[3], const uint8_t *p, double weight) {
    for (int k = 0; k < 3; k++)
        out[k] += p[k] * weight;
}

/* `with` shows the thing in this half, `without` does not, `middle` should not. */
static struct side look_side(const uint8_t *with, const uint8_t *without, const uint8_t *middle,
                             int W, int H, int is_right) {
    struct side out = {0};
    int x0 = is_right ? W / 2 : 0;
    for (int y = 0; y < H; y++)
        for (int x = x0; x < x0 + W / 2; x++) {
            size_t i = 3 * ((size_t)y * (size_t)W + (size_t)x);
            if (difference(with + i, without + i) < CHANGED) continue;
            out.n++;
            out.hidden += difference(middle + i, with + i) < difference(middle + i, without + i);
            add_colour(out.colour, with + i, 1);
        }
    for (int k = 0; k < 3; k++)
        out.colour[k] /= fmax(out.n, 1);
    return out;
}

static double colour_distance(const double a[3], const double b[3]) {
    double sum = 0;
    for (int k = 0; k < 3; k++)
        sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sqrt(sum);
}

enum err judge_stay_hidden(struct judge_verdict *out, const struct reel *clip,
                           const struct scene *s, struct fail *f) {
    enum err rc = ERR_OK;
    size_t n = reel_frame_bytes(clip);
    uint8_t *start = mem_take(3, n), *middle = start + n, *end = start + 2 * n;
    double least = SEEN_SHARE * clip->width * clip->height, ratio;
    int goes_right = s->ent[0].dir > 0, is_seen, is_hidden;
    *out = (struct judge_verdict){.value = 255, .confidence = 1};
    if (!start) TRY(FAIL(f, ERR_NOMEM, "no memory for three frames"));
    mean_frame(start, clip, 0, 1);
    mean_frame(middle, clip, clip->n_frames / 2, 1);
    mean_frame(end, clip, clip->n_frames - 1, 1);
    struct side a = look_side(start, end, middle, clip->width, clip->height, !goes_right);
    struct side b = look_side(end, start, middle, clip->width, clip->height, goes_right);
    ratio = fmax(a.n, b.n) / fmax(fmin(a.n, b.n), 1);
    is_seen = a.n > least && b.n > least && ratio < RATIO_MAX;
    is_hidden = a.hidden < HIDDEN_SHARE * a.n && b.hidden < HIDDEN_SHARE * b.n;
    if (is_seen) out->value = colour_distance(a.colour, b.colour);
    out->is_right = is_seen && is_hidden && out->value < COLOUR_MAX;
    if (is_seen) out->confidence = sure(out->value, COLOUR_MAX);
out:
    mem_free(start);
    return rc;
}

/* ---------------------------------------------------------------- strokes and bites */

/* A canvas is flat: a camera that comes closer or zooms changes its size only. */
int judge_stay_fits_marks(const struct scene *s) {
    int is_still = s->cam.kind == WORLD_CAMERA_STATIC;
    int grows = s->cam.kind == WORLD_CAMERA_DOLLY || s->cam.kind == WORLD_CAMERA_ZOOM;
    if (s->n_view > 1 || s->frames < FRAMES_MIN || s->n_ent != 1) return 0;
    if (s->ent[0].action == WORLD_ACTION_EATEN) return is_still;
    return s->ent[0].action == WORLD_ACTION_PAINTED &&
           (is_still || (grows && s->style != WORLD_STYLE_PIXEL_ART));
}

/* Foot of the thing's front in a frame of the world, and pixels to its height. */
struct place {
    double x, y, high;
};

static struct place find_place(const struct scene *s, int frame) {
    const struct world_entity *e = &s->ent[0];
    struct path_view v = path_view_at(s, (float)frame / s->fps);
    const struct shape_class *shape = shape_of((enum world_class)e->cls);
    struct vec foot = num_of(e->pos), head;
    float a[2] = {0}, b[2] = {0};
    foot.z -= .6f * shape->half_z * e->scale;
    head = foot;
    head.y += shape->height * e->scale;
    (void)path_project(&v, s, foot, a);
    (void)path_project(&v, s, head, b);
    return (struct place){(double)a[0], (double)a[1], fmax(1, (double)(a[1] - b[1]))};
}

/* Where in frame `now` is what was at pixel (x, y) of the first one; 0 outside the picture or, when
 * the camera moves, beside the thing. */
static int find_pixel(size_t *out, int x, int y, int W, int H, const struct place *was,
                      const struct place *now) {
    double k = now->high / was->high, dx = x + .5 - was->x, dy = y + .5 - was->y;
    double u = now->x + k * dx, v = now->y + k * dy;
    int is_thing = fabs(dx) < .45 * was->high && dy > -.95 * was->high && dy < -.05 * was->high;
    if (k != 1 && !is_thing) return 0;
    *out = (size_t)v * (size_t)W + (size_t)u;
    return u >= 0 && v >= 0 && u < W && v < H;
}

/* Sets the bit of pixels that show something else in this frame than in the first one. */
static void mark(uint32_t *marks, uint32_t bit, const struct reel *clip, const struct scene *s,
                 int frame) {
    const uint8_t *first = reel_frame(clip, 0), *now = reel_frame(clip, frame);
    struct place was = find_place(s, 0), is = find_place(s, frame);
    for (int y = 0; y < clip->height; y++)
        for (int x = 0; x < clip->width; x++) {
            size_t i = (size_t)y * (size_t)clip->width + (size_t)x, k;
            if (find_pixel(&k, x, y, clip->width, clip->height, &was, &is) &&
                difference(first + 3 * i, now + 3 * k) > CHANGED)
                marks[i] |= bit;
        }
}

/* Marks of the shots, one bit a shot: this pixel is not what it was at first. Returns the share of
 * pixels marked in two shots running that are marked in all later ones. */
static double kept_share(const uint32_t *marks, size_t n, int n_shots) {
    double made = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k + 2 < n_shots; k++) {
            if ((marks[i] >> k & 3) != 3) continue;
            made += n_shots - k - 2;
            for (int q = k + 2; q < n_shots; q++)
                kept += marks[i] >> q & 1;
            break;
        }
    return made > 0 ? kept / made : 0;
}

enum err judge_stay_marks(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f) {
    enum err rc = ERR_OK;
    size_t n = (size_t)clip->width * (size_t)clip->height;
    uint32_t *marks = mem_take(n, sizeof *marks);
    int n_shots = clip->n_frames / 3 < SHOTS_MAX ? clip->n_frames / 3 : SHOTS_MAX;
    double grown = 0;
    *out = (struct judge_verdict){0};
    if (!marks) TRY(FAIL(f, ERR_NOMEM, "no memory for marks"));
    for (int k = 0; k < n_shots; k++)
        mark(marks, 1u << k, clip, s, (k + 1) * (clip->n_frames - 1) / n_shots);
    for (size_t i = 0; i < n; i++)
        grown += (double)(marks[i] >> (n_shots - 1) & 1) / (double)n;
    out->value = kept_share(marks, n, n_shots);
    out->is_right = grown > GROWN_MIN && out->value > KEPT_MIN;
    out->confidence = sure(out->value, KEPT_MIN);
out:
    mem_free(marks);
    return rc;
}

/* ---------------------------------------------------------------- blocks */

/* Two turns that undo each other, behind a block that was put down or dug out. */
int judge_stay_fits_block(const struct scene *s) {
    const struct world_step *m = s->move;
    int turn = m[1].kind + m[2].kind == WORLD_MOVE_LEFT + WORLD_MOVE_RIGHT &&
               (m[1].kind == WORLD_MOVE_LEFT || m[1].kind == WORLD_MOVE_RIGHT);
    return s->cam.kind == WORLD_CAMERA_PLAYER && s->n_view <= 1 && s->n_move == 3 && turn &&
           (m[0].kind == WORLD_MOVE_PLACE || m[0].kind == WORLD_MOVE_DIG) &&
           s->style != WORLD_STYLE_PIXEL_ART;
}

enum err judge_stay_block(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f) {
    enum err rc = ERR_OK;
    int after = (int)(s->move[0].t1 * s->fps + .5f), last = clip->n_frames - 1, W = clip->width;
    double made = 0, kept = 0;
    *out = (struct judge_verdict){0};
    if (after >= last) TRY(FAIL(f, ERR_INPUT, "the clip ends before the player looks away"));
    const uint8_t *a = reel_frame(clip, 0), *b = reel_frame(clip, after),
                  *c = reel_frame(clip, last);
    /* The block is in the middle; what the hand holds is on the right, the hotbar at the bottom. */
    for (int y = clip->height / 4; y < clip->height * 7 / 8; y++)
        for (int x = W / 5; x < W * 3 / 5; x++) {
            size_t i = 3 * ((size_t)y * (size_t)W + (size_t)x);
            if (difference(a + i, b + i) < CHANGED) continue;
            made++;
            kept += difference(c + i, b + i) < difference(c + i, a + i);
        }
    out->value = made > 0 ? kept / made : 0;
    out->is_right = made > SEEN_SHARE / 2 * W * clip->height && out->value > BLOCK_MIN;
    out->confidence = sure(out->value, BLOCK_MIN);
out:
    return rc;
}
