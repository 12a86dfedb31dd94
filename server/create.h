/* create.h - every POST that makes a job, step by step: body, rules of its operation, sources,
 * fingerprint, queue. */
#ifndef SERVER_CREATE_H
#define SERVER_CREATE_H

#include "server/server.h"

void create_run(struct server *s, struct request *req);

#endif
