/* judge_camera.h - rows of judge.c about the eyes: which way a camera goes, what its travel does to
 * near and far things, and whether a player goes where it is told to.
 *
 * All of them ask gain.h how much of the movement that the world expects is in the pictures. */
#ifndef EVAL_JUDGE_CAMERA_H
#define EVAL_JUDGE_CAMERA_H

#include "eval/judge.h"
#include "eval/reel.h"

/* value: the camera's movement over the world's; for a camera that stands, pixels a frame. */
int judge_camera_fits(const struct scene *s);
enum err judge_camera_look(struct judge_verdict *out, const struct reel *clip,
                           const struct scene *s, struct fail *f);
/* value: how much better the world's parallax explains the pictures than a shift of the whole
 * picture does, 1 - (difference left) / (difference left). */
int judge_camera_parallax_fits(const struct scene *s);
enum err judge_camera_parallax(struct judge_verdict *out, const struct reel *clip,
                               const struct scene *s, struct fail *f);
/* value: the share of moves (turns, steps, jumps) that go the right way; right when all do. */
int judge_camera_player_fits(const struct scene *s);
enum err judge_camera_player(struct judge_verdict *out, const struct reel *clip,
                             const struct scene *s, struct fail *f);

#endif
