#include "eval/judge_thing.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "eval/mask.h"

#define BIT(x) (1u << (x))
enum { FRAMES_MIN = 17, ARC_MIN = 5 };
#define WAY_MIN     .06 /* widths of the picture */
#define PUSH_MIN    .025
#define GRAVITY     4.5
#define GRAVITY_OFF .25 /* of it */
#define FIT_MIN     .95 /* R^2 */
#define BALL_RADIUS .7  /* of a ball of scale 1 */

static int is_watched(const struct scene *s) {
    return s->n_view <= 1 && !s->is_loop && s->frames >= FRAMES_MIN && s->n_ent > 0 &&
           s->cam.kind == WORLD_CAMERA_STATIC && s->style != WORLD_STYLE_BLACK_WHITE;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median of x over the frames first..end-1 in which the thing is seen; NAN when it is not. */
static double middle_x(const struct mask_spot *at, int first, int end) {
    double list[64];
    int n = 0;
    for (int t = first; t < end && n < 64; t++)
        if (at[t].area > 0) list[n++] = at[t].x;
    qsort(list, (size_t)n, sizeof *list, compare);
    return n ? list[n / 2] : NAN;
}

static double beyond(double value, double line) {
    return fmin(1, fabs(value - line) / (2 * fabs(line)));
}

/* ---------------------------------------------------------------- which way */

int judge_thing_fits_way(const struct scene *s) {
    static const unsigned ways = BIT(WORLD_ACTION_ROLL) | BIT(WORLD_ACTION_SLIDE) |
                                 BIT(WORLD_ACTION_WALK) | BIT(WORLD_ACTION_RUN) |
                                 BIT(WORLD_ACTION_FLY) | BIT(WORLD_ACTION_SAIL) |
                                 BIT(WORLD_ACTION_BEHIND) | BIT(WORLD_ACTION_THROW);
    return is_watched(s) && (ways & BIT(s->ent[0].action)) && s->ent[0].dir;
}

enum err judge_thing_way(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                         struct fail *f) {
    enum err rc = ERR_OK;
    struct mask_spot *at;
    int n = clip->n_frames, part = n / 5 > 1 ? n / 5 : 1;
    double way;
    *out = (struct judge_verdict){0};
    TRY(mask_follow(&at, clip, s, 0, f));
    way = (middle_x(at, n - part, n) - middle_x(at, 0, part)) / clip->width;
    if (!isnan(way))
        *out = (struct judge_verdict){.is_right = way * s->ent[0].dir > WAY_MIN,
                                      .value = way,
                                      .confidence = beyond(way * s->ent[0].dir, WAY_MIN)};
out:
    mem_free(at);
    return rc;
}

/* ---------------------------------------------------------------- gravity */

/* Its size is the measure of length, so the ball must be told from the place to the pixel: not by
 * shades of grey, and not in pictures that are held or in large pixels. */
int judge_thing_fits_fall(const struct scene *s) {
    const struct world_entity *e = &s->ent[0];
    return is_watched(s) && e->action == WORLD_ACTION_BOUNCE && e->cls == WORLD_CLASS_BALL &&
           s->style == WORLD_STYLE_PLAIN && s->n_ent == 1 && e->colour != WORLD_COLOUR_WHITE &&
           e->colour != WORLD_COLOUR_BLACK;
}

/* y = a t^2 + b t + c over frames first..end-1, y upwards; returns R^2. */
static double fit(const double *y, int first, int end, double out[3]) {
    double s[5] = {0}, r[3] = {0}, mean = 0, all = 0, left = 0;
    int n = end - first;
    for (int t = first; t < end; t++) {
        double u = t - .5 * (first + end - 1), p = 1;
        for (int k = 0; k < 5; k++, p *= u) {
            s[k] += p;
            if (k < 3) r[k] += p * y[t];
        }
        mean += y[t] / n;
    }
    /* The middle of the times is 0, so odd sums vanish. */
    out[1] = r[1] / s[2];
    out[0] = (s[0] * r[2] - s[2] * r[0]) / (s[0] * s[4] - s[2] * s[2]);
    out[2] = (r[0] - out[0] * s[2]) / s[0];
    for (int t = first; t < end; t++) {
        double u = t - .5 * (first + end - 1), d = y[t] - (out[0] * u * u + out[1] * u + out[2]);
        left += d * d;
        all += (y[t] - mean) * (y[t] - mean);
    }
    return all > 0 ? 1 - left / all : 0;
}

struct arcs {
    int n;
    double pull, fit; /* means, weighted by frames: pixels a frame^2, R^2 */
    double apex[16];
};

/* Arcs lie between lowest points; their ends, where the ball touches the ground, do not count. */
static struct arcs find_arcs(const double *y, int n) {
    struct arcs a = {0};
    double weight = 0;
    for (int first = 0; first < n;) {
        int end = first + 1, is_rising = 1;
        while (end < n && (is_rising || y[end] <= y[end - 1] + .3)) {
            is_rising = is_rising && y[end] > y[end - 1] - .3;
            end++;
        }
        int from = first > 0 ? first + 1 : 0, to = end < n ? end - 1 : n;
        if (to - from >= ARC_MIN && a.n < 16) {
            double p[3], r = fit(y, from, to, p);
            a.pull += -2 * p[0] * (to - from);
            a.fit += r * (to - from);
            weight += to - from;
            a.apex[a.n++] = p[0] < 0 ? p[2] - p[1] * p[1] / (4 * p[0]) : p[2];
        }
        first = end > first + 1 ? end - 1 : end;
        if (end >= n) break;
    }
    if (weight > 0) a.pull /= weight, a.fit /= weight;
    return a;
}

enum err judge_thing_fall(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f) {
    enum err rc = ERR_OK;
    struct mask_spot *at = NULL;
    struct arcs a;
    int n = clip->n_frames, is_lost = 0, grows = 0;
    double *y = NULL, radius = 0, gravity, off;
    *out = (struct judge_verdict){0};
    TRY(mask_follow(&at, clip, s, 0, f));
    y = mem_take((size_t)n, sizeof *y);
    if (!y) TRY(FAIL(f, ERR_NOMEM, "no memory for the heights of a ball"));
    for (int t = 0; t < n; t++) {
        is_lost |= at[t].area <= 0;
        y[t] = -at[t].y;
        radius += .5 * (at[t].right - at[t].left + 1) / n;
    }
    if (is_lost) goto out;
    a = find_arcs(y, n);
    for (int i = 1; i < a.n; i++)
        grows |= a.apex[i] > a.apex[i - 1] + .25 * radius;
    gravity = a.pull * s->fps * s->fps / (radius / (BALL_RADIUS * s->ent[0].scale));
    off = fabs(gravity / GRAVITY - 1);
    *out = (struct judge_verdict){.is_right =
                                      a.n > 0 && off < GRAVITY_OFF && a.fit > FIT_MIN && !grows,
                                  .value = gravity,
                                  .confidence = a.n > 0 ? beyond(off, GRAVITY_OFF) : 0};
out:
    mem_free(y);
    mem_free(at);
    return rc;
}

/* ---------------------------------------------------------------- a blow */

int judge_thing_fits_push(const struct scene *s) {
    return is_watched(s) && s->ent[0].action == WORLD_ACTION_COLLIDE && s->n_ent > 1;
}

/* Before the blow it stands, after it it has gone on the same way; as long as it is seen. */
enum err judge_thing_push(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                          struct fail *f) {
    enum err rc = ERR_OK;
    struct mask_spot *at;
    int n = clip->n_frames, part = n / 8 > 1 ? n / 8 : 1, dir = s->ent[0].dir;
    double before, after, w = clip->width;
    *out = (struct judge_verdict){0};
    TRY(mask_follow(&at, clip, s, 1, f));
    before = dir * (middle_x(at, n / 2 - 2 * part, n / 2 - part) - middle_x(at, 0, part)) / w;
    after = dir * (middle_x(at, n - part, n) - middle_x(at, n / 2 - 2 * part, n / 2 - part)) / w;
    if (!isnan(before) && !isnan(after))
        *out =
            (struct judge_verdict){.is_right = after > PUSH_MIN && fabs(before) < .6 * after + .02,
                                   .value = after,
                                   .confidence = beyond(after, PUSH_MIN)};
out:
    mem_free(at);
    return rc;
}
