#include "eval/pace.h"

#include <math.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "eval/mask.h"

#define BIT(x) (1u << (x))
enum { FRAMES_MIN = 17, SEEN_MIN = 5 };
#define CHANGE_MAX .42
#define JUMP_MAX   .05 /* widths of the picture */

int pace_fits(const struct scene *s) {
    static const unsigned steady = BIT(WORLD_ACTION_SLIDE) | BIT(WORLD_ACTION_WALK) |
                                   BIT(WORLD_ACTION_RUN) | BIT(WORLD_ACTION_FLY) |
                                   BIT(WORLD_ACTION_SAIL);
    return s->n_view <= 1 && !s->is_loop && s->frames >= FRAMES_MIN && s->n_ent == 1 &&
           s->style != WORLD_STYLE_PIXEL_ART && s->style != WORLD_STYLE_BLACK_WHITE &&
           s->cam.kind == WORLD_CAMERA_STATIC && (steady & BIT(s->ent[0].action)) && s->ent[0].dir;
}

/* The straight line through x of the frames in which the thing is seen: pixels a frame, and where
 * it is at frame `at`. NAN when it is seen too rarely. */
static double slope(const struct mask_spot *spot, int first, int end, int at, double *x_at) {
    double n = 0, t = 0, x = 0, tt = 0, tx = 0, k;
    for (int i = first; i < end; i++) {
        if (spot[i].area <= 0) continue;
        n++;
        t += i;
        x += spot[i].x;
        tt += (double)i * i;
        tx += i * spot[i].x;
    }
    if (n < SEEN_MIN) return NAN;
    k = (n * tx - t * x) / (n * tt - t * t);
    *x_at = x / n + k * (at - t / n);
    return k;
}

enum err pace_measure(struct pace *out, const struct reel *clip, const struct scene *s, int at,
                      struct fail *f) {
    enum err rc = ERR_OK;
    struct mask_spot *spot;
    int first = at > PACE_WINDOW ? at - PACE_WINDOW : 0,
        end = at + PACE_WINDOW < clip->n_frames ? at + PACE_WINDOW : clip->n_frames;
    double x0 = 0, x1 = 0, unit = s->fps / (double)clip->width;
    ASSERT(at > 0 && at < clip->n_frames);
    *out = (struct pace){NAN, NAN, 2, 1};
    TRY(mask_follow(&spot, clip, s, 0, f));
    out->before = slope(spot, first, at, at, &x0) * unit;
    out->after = slope(spot, at, end, at, &x1) * unit;
    if (isnan(out->before) || isnan(out->after)) goto out;
    out->change =
        fabs(out->after - out->before) / fmax(1e-6, fmax(fabs(out->before), fabs(out->after)));
    out->jump = fabs(x1 - x0) / clip->width;
out:
    mem_free(spot);
    return rc;
}

enum err pace_look(struct judge_verdict *out, const struct reel *clip, const struct scene *s,
                   struct fail *f) {
    struct pace p;
    enum err rc = pace_measure(&p, clip, s, clip->n_frames / 2, f);
    *out = (struct judge_verdict){0};
    if (rc != ERR_OK) return rc;
    *out = (struct judge_verdict){.is_right = p.change < CHANGE_MAX && p.jump < JUMP_MAX,
                                  .value = p.change,
                                  .confidence = fmin(1, fabs(p.change - CHANGE_MAX) / CHANGE_MAX)};
    return rc;
}
