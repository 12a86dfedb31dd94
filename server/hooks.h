/* hooks.h - what a receiver of webhooks needs from us: the secret that signs them. Any thread. */
#ifndef SERVER_HOOKS_H
#define SERVER_HOOKS_H

#include "server/server.h"

/* GET /v1/webhooks/default/secret: {"key":"whsec_.."}, the caller's own unless one secret is
 * configured for all. Made at the first request, then always the same. */
void hooks_secret(struct server *s, struct request *req);

#endif
