/* characters.h - /v1/videos/characters: a named subject, taken from a clip, for later prompts.
 *
 * The models here have no memory for faces: a character is shown to them as the first frame of the
 * new video, and where the prompt has its name the words of its description stand. What goes
 * beyond that is refused in words. */
#ifndef SERVER_CHARACTERS_H
#define SERVER_CHARACTERS_H

#include "server/server.h"
#include "server/validate.h"

void characters_create(struct server *s, struct request *req);
void characters_get(struct server *s, struct request *req);

/* Puts the characters of a request into its job: the first frame, and the words. */
MUST_CHECK enum err characters_resolve(struct server *s, struct request *req,
                                       struct validate_result *asked, struct problem *p);

#endif
