/* redis.h - the hiredis door: a pool of blocking connections and typed replies.
 *
 * Owns sockets, deadlines, reconnects and the breaker. It knows nothing about jobs: that is
 * queue.h. The pool may be used from any thread; a connection belongs to the thread that
 * borrowed it until it is given back. No call blocks longer than its deadline (2 s unless the
 * options say otherwise, plus the wait that a blocking command asks for).
 *
 * Every failure to get an answer is ERR_UNAVAILABLE with words: unreachable, too slow, garbage
 * on the wire, LOADING, MISCONF, OOM, READONLY, BUSY, NOAUTH, function missing. A command that
 * failed because an idle connection had died is sent once more on a new one; all functions of
 * our library are safe to repeat. */
#ifndef COMMON_REDIS_H
#define COMMON_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

enum {
    REDIS_CALL_MS = 2000,     /* deadline of one call, also of connecting */
    REDIS_CONNS_MAX = 256,    /* connections of one pool */
    REDIS_ARGS_MAX = 256,     /* arguments of one command */
    REDIS_WAIT_MAX_MS = 30000 /* longest wait of a blocking command */
};

struct redis_opts {
    const char
        *url; /* redis://[[user]:password@]host[:port] or unix:/path; NULL = 127.0.0.1:6379 */
    const char *password; /* wins over the one in the url; NULL = none */
    const char *ns;       /* namespace: all keys begin with "{ns}:"; NULL = "misora" */
    int timeout_ms;       /* 0 = REDIS_CALL_MS */
    int max_conns;        /* 0 = 32 */
};

struct redis_pool;
struct redis;       /* one borrowed connection */
struct redis_reply; /* an owned tree of replies */

/* Copies the options; does not connect, so a server may start before its Redis.
 * ERR_INPUT when the url or namespace cannot be read. */
MUST_CHECK enum err redis_pool_open(struct redis_pool **out, const struct redis_opts *opts,
                                    struct fail *f);

/* Lends a connection and connects it when needed. While the breaker is open (Redis refused the
 * last connects) it fails at once instead of waiting again. */
MUST_CHECK enum err redis_pool_borrow(struct redis_pool *pool, struct redis **out, struct fail *f);

/* Takes the connection back; a broken one is closed here. NULL is fine. */
void redis_pool_give(struct redis_pool *pool, struct redis *r);

/* True when Redis answered the last connect with NOAUTH, WRONGPASS or NOPERM: waiting does not
 * help, an operator must act (exit 78). */
bool redis_pool_is_refused(struct redis_pool *pool);

/* All connections must have been given back. NULL is fine. */
void redis_pool_close(struct redis_pool *pool);

/* "{ns}:" - borrowed from the pool that lent `r`. */
const char *redis_prefix(const struct redis *r);

/* One command, binary safe. The reply is the caller's: redis_reply_free. An error reply becomes a
 * failure and never a reply. `out` may be NULL when only success matters. */
MUST_CHECK enum err redis_call(struct redis *r, struct redis_reply **out, int n_args,
                               const struct str *args, struct fail *f);

/* Same for a command that may block `wait_ms` on the server (BLPOP, XREAD BLOCK): the deadline is
 * wait_ms later. Never resent. */
MUST_CHECK enum err redis_call_wait(struct redis *r, struct redis_reply **out, int wait_ms,
                                    int n_args, const struct str *args, struct fail *f);

/* The text of the last error reply or socket error on `r`, "" when there was none. Borrowed. */
const char *redis_last_error(const struct redis *r);

enum redis_kind { REDIS_NIL, REDIS_TEXT, REDIS_NUMBER, REDIS_LIST };

enum redis_kind redis_reply_kind(const struct redis_reply *reply);
/* Number of elements of a list, 0 for all else. */
size_t redis_reply_len(const struct redis_reply *reply);
/* Element i, or a nil reply when the list is shorter: never NULL. Borrowed from the tree. */
const struct redis_reply *redis_reply_at(const struct redis_reply *reply, size_t i);
/* The bytes of a text (also of a status line), NUL-terminated; {"",0} for all else. Borrowed. */
struct str redis_reply_str(const struct redis_reply *reply);
/* Same as a C string; a value with an inner NUL ends there. */
const char *redis_reply_text(const struct redis_reply *reply);
/* The value of a number, or of a text that is one; `otherwise` for all else. */
int64_t redis_reply_i64(const struct redis_reply *reply, int64_t otherwise);
/* Value of `name` in a flat list name, value, name, value..; a nil reply when it is absent. */
const struct redis_reply *redis_reply_field(const struct redis_reply *reply, const char *name);
/* NULL is fine. */
void redis_reply_free(struct redis_reply *reply);

#endif
