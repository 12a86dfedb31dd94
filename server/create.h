/* create.h - POST /v1/videos step by step: body, rules, picture, fingerprint, queue. */
#ifndef SERVER_CREATE_H
#define SERVER_CREATE_H

#include "server/server.h"

void create_run(struct server *s, struct request *req);

#endif
