#include "eval/judge_camera.h"

#include <math.h>

#include "eval/gain.h"

enum { FRAMES_MIN = 9 };
#define STANDS_MAX 0.35 /* pixels a frame: a camera that stands may tremble so much */
#define MOVES_MIN  0.35 /* of the world's movement */
#define MOVES_MAX  2.6
/* Between the worst of 24 renders (-.06) and the best of as many shifted pictures (-.23). */
#define PARALLAX_MIN -.15

/* 1 well inside lo..hi, 0 on the line, in the logarithm. */
static double sure(double value, double line) {
    return fmin(1, fabs(log(fmax(value, 1e-3) / line)) / log(2));
}

static int is_plain(const struct scene *s) {
    return s->n_view <= 1 && !s->is_loop && s->frames >= FRAMES_MIN;
}

/* Water goes its own way, and large pixels stand and then jump. */
int judge_camera_fits(const struct scene *s) {
    return is_plain(s) && s->cam.kind != WORLD_CAMERA_PLAYER && s->env != WORLD_ENV_SEA &&
           s->env != WORLD_ENV_COFFEE_CUP && s->style != WORLD_STYLE_PIXEL_ART;
}

static enum err look_still(struct judge_verdict *out, const struct reel *clip,
                           const struct scene *s, struct fail *f) {
    static const enum gain_part ways[] = {GAIN_RIGHT, GAIN_DOWN, GAIN_GROW};
    enum err rc = ERR_OK;
    double most = 0;
    for (int i = 0; i < 3; i++) {
        struct gain g;
        TRY(gain_measure(&g, clip, s, &(struct gain_opts){ways[i], 0, clip->n_frames}, f));
        most = fmax(most, fabs(g.value));
    }
    *out = (struct judge_verdict){.is_right = most < STANDS_MAX, .value = most};
    out->confidence = sure(most, STANDS_MAX);
out:
    return rc;
}

enum err judge_camera_look(struct judge_verdict *out, const struct reel *clip,
                           const struct scene *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct gain g;
    if (s->cam.kind == WORLD_CAMERA_STATIC) return look_still(out, clip, s, f);
    TRY(gain_measure(&g, clip, s, &(struct gain_opts){GAIN_PLACE, 0, clip->n_frames}, f));
    *out = (struct judge_verdict){.is_right = g.value > MOVES_MIN && g.value < MOVES_MAX,
                                  .value = g.value};
    out->confidence = fmin(sure(g.value, MOVES_MIN), sure(g.value, MOVES_MAX));
out:
    return rc;
}

int judge_camera_parallax_fits(const struct scene *s) {
    return is_plain(s) && s->cam.kind == WORLD_CAMERA_TRUCK && s->style != WORLD_STYLE_PIXEL_ART &&
           s->env != WORLD_ENV_SEA && s->env != WORLD_ENV_BEACH && s->env != WORLD_ENV_COFFEE_CUP;
}

enum err judge_camera_parallax(struct judge_verdict *out, const struct reel *clip,
                               const struct scene *s, struct fail *f) {
    enum err rc = ERR_OK;
    struct gain full, flat;
    double better;
    TRY(gain_measure(&full, clip, s, &(struct gain_opts){GAIN_PLACE, 0, clip->n_frames}, f));
    TRY(gain_measure(&flat, clip, s, &(struct gain_opts){GAIN_SHIFT, 0, clip->n_frames}, f));
    better = 1 - full.left / fmax(flat.left, 1e-3);
    *out = (struct judge_verdict){.is_right = full.value > MOVES_MIN && better > PARALLAX_MIN,
                                  .value = better,
                                  .confidence = fmin(1, fabs(better - PARALLAX_MIN) / .2)};
out:
    return rc;
}

static int is_seen(int move) {
    return move != WORLD_MOVE_DIG && move != WORLD_MOVE_PLACE;
}

int judge_camera_player_fits(const struct scene *s) {
    int n = 0;
    for (int i = 0; i < s->n_move; i++)
        n += is_seen(s->move[i].kind);
    return s->cam.kind == WORLD_CAMERA_PLAYER && s->n_view <= 1 && n > 0;
}

enum err judge_camera_player(struct judge_verdict *out, const struct reel *clip,
                             const struct scene *s, struct fail *f) {
    enum err rc = ERR_OK;
    int n = 0, n_right = 0;
    *out = (struct judge_verdict){.confidence = 1};
    for (int i = 0; i < s->n_move; i++) {
        int first = (int)(s->move[i].t0 * s->fps + .5f), end = (int)(s->move[i].t1 * s->fps + .5f);
        struct gain g;
        if (!is_seen(s->move[i].kind) || end + 1 > clip->n_frames) continue;
        TRY(gain_measure(&g, clip, s, &(struct gain_opts){GAIN_PLACE, first, end - first + 1}, f));
        n++;
        n_right += g.value > MOVES_MIN;
        out->confidence = fmin(out->confidence, sure(g.value, MOVES_MIN));
    }
    out->value = n ? (double)n_right / n : 0;
    out->is_right = n > 0 && n_right == n;
out:
    return rc;
}
