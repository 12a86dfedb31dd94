/* source.h - what a request names becomes assets of its job: files and data: URLs get their place
 * in the store under their hash, earlier videos are looked up. Runs when all else was found good,
 * so that a refused request leaves nothing behind. */
#ifndef SERVER_SOURCE_H
#define SERVER_SOURCE_H

#include "server/server.h"
#include "server/validate.h"

/* Fills the assets of asked->job and what follows from them: size, seconds and words that the
 * client left to the source. ERR_INPUT: the problem says what. */
MUST_CHECK enum err source_resolve(struct server *s, struct request *req, struct body *body,
                                   struct validate_result *asked, struct problem *p);

/* For an estimate: the same without storing anything. */
MUST_CHECK enum err source_learn(struct server *s, struct request *req,
                                 struct validate_result *asked, struct problem *p);

#endif
