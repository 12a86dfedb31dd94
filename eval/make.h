/* make.h - what a model makes of a row of the suite.
 *
 * One thread; the engine's. A clip is a function of (weights, row, way), so it may be kept on disk
 * and found again. */
#ifndef EVAL_MAKE_H
#define EVAL_MAKE_H

#include "engine/engine.h"
#include "eval/reel.h"
#include "eval/suite.h"

/* How it is sampled. */
struct make_way {
    int n_steps;     /* 0: as the folder asks for */
    double guidance; /* < 0: as the folder asks for */
};
enum { MAKE_HASH_HEX = 16, MAKE_POLICY_MOVES = 3, MAKE_POLICY_NEW = 16 };

/* Moves that a player is told one after another in a row of SUITE_POLICY, and the scene in which
 * all the time is spent with move i. */
void make_policy_scene(struct scene *out, const struct scene *s, int i);
/* The scene that a row asks for: that of its seed, for SUITE_EDIT with another colour. */
MUST_CHECK enum err make_target(struct scene *out, const struct suite_row *row, struct fail *f);

/* First digits of the SHA-256 over the files of a model that decide what it makes. */
MUST_CHECK enum err make_hash(char out[MAKE_HASH_HEX + 1], const char *folder, struct fail *f);
/* Of what a clip is made from, but for the model. */
uint64_t make_fingerprint(const struct suite_row *row);
/* Generates the clip. The caller ends it with reel_free(). */
MUST_CHECK enum err make_clip(struct engine *e, struct reel *out, const struct suite_row *row,
                              const struct make_way *way, struct fail *f);

#endif
