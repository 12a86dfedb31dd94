/* server.h - what all handlers share: one process, no state but connections and counters.
 *
 * Made once by server_open(), read by all threads. Any number of such processes may serve the same
 * Redis and the same store. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/guard.h"
#include "common/redis.h"
#include "common/s3.h"
#include "common/store.h"
#include "server/breaker.h"
#include "server/http.h"
#include "server/hub.h"
#include "server/meter.h"
#include "server/models.h"
#include "server/options.h"
#include "server/pulse.h"
#include "server/route.h"

struct auth;

struct server {
    struct options opts;
    struct redis_pool *pool;
    struct breaker breaker;
    struct pulse pulse;
    struct store store;
    struct s3 s3; /* where the store has its objects, when it is configured */
    struct models models;
    struct guard_rules hooks;
    struct hub *hub;
    struct meter *meter;
    struct auth *auth;
    const struct route_table *routes;
    atomic_bool is_leaving; /* SIGTERM came: /readyz says no, replies close their connections */
    atomic_bool is_closed;  /* the time to drain is over: whatever still comes is refused */
    atomic_int n_active;    /* requests between begin and done */
    atomic_int n_large_bodies;
    atomic_int n_chats; /* calls to the chat endpoint that are under way */
};

/* Opens everything that opts name; opts move into the server. server_close() ends it in any case.
 */
MUST_CHECK enum err server_open(struct server *s, struct fail *f);
void server_close(struct server *s);

/* A connection for a few calls of one request, which holds one at a time. Give it back with
 * server_give(). */
MUST_CHECK enum err server_lend(struct server *s, struct request *req, struct redis **out,
                                struct fail *f);
/* The same, but on failure the reply is set. */
MUST_CHECK enum err server_borrow(struct server *s, struct request *req, struct redis **out);
/* NULL is fine. */
void server_give(struct server *s, struct request *req, struct redis *r);

/* The problem that a failed call of the queue or the store is for the client; what is ours goes to
 * the log with the id of the request. */
void server_note_fail(const struct request *req, const struct fail *f, struct problem *p);
/* The same as a reply. */
void server_reply_fail(struct request *req, const struct fail *f);

#endif
