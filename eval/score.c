#include "eval/score.h"

#include <math.h>
#include <string.h>

#include "common/base/assert.h"
#include "eval/pair.h"

enum { WINDOW_FRAMES = 33, WINDOW_STEP = 24, HEAD = 17, ENDS = 9 };

enum err score_truth(struct reel *out, const struct suite_row *row, const struct scene *scene,
                     struct fail *f) {
    return reel_render(out, scene, row->task == SUITE_STILL ? 1 : row->opts.frames, f);
}

static int is_right(const struct label_set *want, const struct label_set *got, enum label_head h) {
    return want->value[h] == LABEL_OPEN || want->value[h] == got->value[h];
}

/* Every two seconds the same questions. */
static enum err look_through(struct score_side *out, struct sight *s, const struct label_set *want,
                             const struct reel *r, struct fail *f) {
    enum err rc = ERR_OK;
    for (int at = 0; at + WINDOW_FRAMES <= r->n_frames; at += WINDOW_STEP) {
        struct sight_view v;
        TRY(sight_look(s, &v, reel_frame(r, at), WINDOW_FRAMES, r->width, r->height, f));
        out->n_windows++;
        out->n_stable +=
            is_right(want, &v.label, LABEL_ENVIRONMENT) && is_right(want, &v.label, LABEL_COLOUR);
    }
out:
    return rc;
}

/* The first frame that was not given, or that follows on it; 0: none. */
static int seam_of(const struct suite_row *row) {
    switch (row->task) {
    case SUITE_FIRST: return 1;
    case SUITE_EXTEND:
    case SUITE_PREPEND: return HEAD;
    case SUITE_POLICY: return row->opts.frames;
    case SUITE_CONNECT: return ENDS;
    default: return 0;
    }
}

static double mean_psnr(const struct reel *a, const struct reel *b, int from, int n) {
    double sum = 0;
    for (int i = from; i < from + n; i++)
        sum += stat_psnr(reel_frame(a, i), reel_frame(b, i), reel_frame_bytes(a));
    return sum / n;
}

/* How well given frames came through. */
static double given_psnr(const struct suite_row *row, const struct reel *truth,
                         const struct reel *made) {
    int n = truth->n_frames;
    switch (row->task) {
    case SUITE_FIRST: return mean_psnr(truth, made, 0, 1);
    case SUITE_EXTEND: return mean_psnr(truth, made, 0, HEAD);
    case SUITE_PREPEND: return mean_psnr(truth, made, HEAD, n - HEAD);
    case SUITE_CONNECT: return mean_psnr(truth, made, 0, ENDS);
    default: return NAN;
    }
}

static enum err ask(struct score_side *out, enum judge_name name, const struct reel *r,
                    const struct scene *s, struct fail *f) {
    struct judge_verdict v;
    enum err rc = judge_look(name, &v, r, s, f);
    if (rc != ERR_OK) return rc;
    out->geometry[name].n++;
    out->geometry[name].n_right += v.is_right;
    return ERR_OK;
}

/* The judges of geometry know scenes that are asked for in words. */
static enum err ask_geometry(struct score_side *out, const struct scene *s, const struct reel *r,
                             struct fail *f) {
    enum err rc = ERR_OK;
    for (int k = 0; k < JUDGE_COUNT; k++)
        if (judge_fits((enum judge_name)k, s)) TRY(ask(out, (enum judge_name)k, r, s, f));
    if (pair_fits(s)) {
        TRY(pair_look(&out->pair.n_right, r, s, f));
        out->pair.n = 1;
    }
out:
    return rc;
}

/* What a player was told last fills the frames that were added last. */
static enum err ask_policy(struct score_side *out, const struct scene *s, const struct reel *r,
                           struct fail *f) {
    enum err rc = ERR_OK;
    for (int i = 0; i < MAKE_POLICY_MOVES; i++) {
        struct scene move;
        struct reel part = *r;
        make_policy_scene(&move, s, i);
        part.rgb = reel_frame(r, i ? s->frames + (i - 1) * MAKE_POLICY_NEW - 1 : 0);
        part.n_frames = i ? MAKE_POLICY_NEW + 1 : s->frames;
        move.frames = (uint16_t)part.n_frames;
        move.move[0].t1 = (float)part.n_frames / s->fps;
        if (judge_fits(JUDGE_EGO_MOTION, &move)) TRY(ask(out, JUDGE_EGO_MOTION, &part, &move, f));
    }
out:
    return rc;
}

static enum err measure(struct score_side *out, struct sight *s, const struct score *score,
                        const struct scene *scene, const struct reel *r, struct fail *f) {
    enum err rc = ERR_OK;
    const struct suite_row *row = score->row;
    int n = r->n_frames < WINDOW_FRAMES ? r->n_frames : WINDOW_FRAMES, seam = seam_of(row);
    *out =
        (struct score_side){.flicker = NAN, .seam_drop = NAN, .loop_drop = NAN, .given_psnr = NAN};
    TRY(sight_look(s, &out->view, r->rgb, n, r->width, r->height, f));
    out->sharpness = stat_sharpness(r);
    if (scene->cam.kind == WORLD_CAMERA_STATIC && r->n_frames > 2 && scene->n_view == 1)
        out->flicker = stat_flicker(r);
    if (seam > 0 && seam < r->n_frames) out->seam_drop = stat_seam_drop(r, seam);
    if (row->task == SUITE_LOOP) out->loop_drop = stat_loop_drop(r);
    if (row->task == SUITE_TEXT) TRY(ask_geometry(out, scene, r, f));
    if (row->task == SUITE_POLICY && r->n_frames > scene->frames) TRY(ask_policy(out, scene, r, f));
    if (row->task == SUITE_MINUTE) TRY(look_through(out, s, &score->want, r, f));
    stat_thumb(reel_frame(r, r->n_frames / 2), r->width, r->height, out->thumb);
out:
    return rc;
}

enum err score_clip(struct score *out, struct sight *s, const struct suite_row *row,
                    const struct scene *scene, const struct reel *truth, const struct reel *made,
                    struct fail *f) {
    enum err rc = ERR_OK;
    *out = (struct score){.row = row};
    if (row->task == SUITE_STILL)
        label_of_still(scene, &out->want);
    else
        label_of(scene, &out->want);
    TRY(measure(&out->render, s, out, scene, truth, f));
    TRY(measure(&out->made, s, out, scene, made, f));
    out->made.given_psnr = given_psnr(row, truth, made);
out:
    return rc;
}
