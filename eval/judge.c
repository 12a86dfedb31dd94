#include "eval/judge.h"

#include <string.h>

#include "common/base/assert.h"
#include "eval/judge_camera.h"
#include "eval/judge_stay.h"
#include "eval/judge_thing.h"
#include "eval/pace.h"

/* Shares of right verdicts by `test_judge --clips N`, and how many clips they are of. */
static const struct judge rows[JUDGE_COUNT] = {
    [JUDGE_CAMERA] = {"camera_way", "the camera goes the way it is said to, or stands",
                      "of the world's movement", 1, 200, judge_camera_fits, judge_camera_look},
    [JUDGE_PARALLAX] = {"parallax", "a camera that travels moves near things more than far ones",
                        "share of the change", 0.95, 200, judge_camera_parallax_fits,
                        judge_camera_parallax},
    [JUDGE_DIRECTION] = {"direction", "the main thing crosses the picture the way it is said to",
                         "widths to the right", 1, 100, judge_thing_fits_way, judge_thing_way},
    [JUDGE_GRAVITY] = {"gravity", "what bounces rises and falls along parabolas of one gravity",
                       "units/s^2", 1, 100, judge_thing_fits_fall, judge_thing_fall},
    [JUDGE_PUSH] = {"push", "what is run into goes on along the blow", "widths along the blow", 1,
                    100, judge_thing_fits_push, judge_thing_push},
    [JUDGE_PERMANENCE] = {"permanence",
                          "what goes behind the wall comes out on the other side, as it was",
                          "distance of colours", 1, 200, judge_stay_fits_hidden, judge_stay_hidden},
    [JUDGE_PERSISTENCE] = {"persistence", "strokes and bites stay", "share that stays", 0.975, 200,
                           judge_stay_fits_marks, judge_stay_marks},
    [JUDGE_EGO_MOTION] = {"ego_motion", "a player turns and walks the way it is told, move by move",
                          "share of moves", 1, 200, judge_camera_player_fits, judge_camera_player},
    [JUDGE_BLOCK] = {"block",
                     "a block that was put down or dug out still is when the player looks "
                     "back",
                     "share that is there", 0.99, 200, judge_stay_fits_block, judge_stay_block},
    [JUDGE_PACE] = {"pace", "what crosses the picture keeps its speed", "change of speed", 0.99,
                    100, pace_fits, pace_look},
};

const struct judge *judge_get(enum judge_name name) {
    ASSERT(name < JUDGE_COUNT);
    return &rows[name];
}

int judge_find(const char *name) {
    for (int i = 0; i < JUDGE_COUNT; i++)
        if (strcmp(rows[i].name, name) == 0) return i;
    return -1;
}

int judge_fits(enum judge_name name, const struct scene *s) {
    return judge_get(name)->fits(s);
}

enum err judge_look(enum judge_name name, struct judge_verdict *out, const struct reel *clip,
                    const struct scene *s, struct fail *f) {
    enum err rc = ERR_OK;
    const struct judge *j = judge_get(name);
    *out = (struct judge_verdict){0};
    ASSERT(j->fits(s));
    if (clip->width != s->W || clip->height != s->H)
        return FAIL(f, ERR_INPUT, "the clip is %dx%d and the scene %dx%d", clip->width,
                    clip->height, s->W, s->H);
    TRY(j->look(out, clip, s, f));
    out->is_usable = j->accuracy >= JUDGE_USABLE;
out:
    return rc;
}
