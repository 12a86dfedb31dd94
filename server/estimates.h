/* estimates.h - POST /v1/videos/estimates: tokens, seconds, memory and cost of a request, before
 * it is made. Nothing is queued or stored. */
#ifndef SERVER_ESTIMATES_H
#define SERVER_ESTIMATES_H

#include "server/server.h"

void estimates_create(struct server *s, struct request *req);

#endif
