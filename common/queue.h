/* queue.h - the job queue: one typed call per function of common/lua/misora.lua.
 *
 * All rules live in the Lua library; here are only types, argument order and the reading of
 * replies. Every call takes a borrowed connection (common/redis.h), is blocking, and is safe to
 * repeat after ERR_UNAVAILABLE: the library recognises the second copy. Strings in a result
 * belong to the result and live until its _free.
 *
 * Who may call what: server: submit, cancel, delete, rate, and all of queue_view.h. Worker: claim,
 * beat, complete, fail, tick, gc, purge, and queue_hook.h. A server without keys (--no-auth) uses
 * the tenant "local".
 *
 * Failures common to all: ERR_UNAVAILABLE (redis.h says when; also a schema that is not ours),
 * ERR_CORRUPT (a record or a reply that makes no sense), ERR_INPUT (an argument over its cap). */
#ifndef COMMON_QUEUE_H
#define COMMON_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/limits.h"
#include "common/job_state.h"
#include "common/redis.h"

enum {
    QUEUE_ID_MAX = 64,     /* "video_" + 32 hex + NUL, with room for other kinds */
    QUEUE_LEASE_MAX = 64,  /* epoch "-" 32 hex */
    QUEUE_NAME_MAX = 64,   /* tenant, lane, worker name, phase, code, with NUL */
    QUEUE_TEXT_MAX = 1024, /* a reason in words */
    QUEUE_URL_MAX = 2048,
    QUEUE_SPEC_MAX = LIMIT_SPEC_BYTES,
    QUEUE_RESULT_MAX = 64 * 1024,
    QUEUE_PATH_MAX = 1024, /* name of a checkpoint or stored object */
    QUEUE_LANES_MAX = 16,  /* lanes of one claim */
    QUEUE_WAKE_MAX_MS = 5000,
    QUEUE_BATCH_MAX = 256, /* rows of one gc list */
    QUEUE_LEASE_MS = 30000 /* the usual lease; beat every sixth of it */
};

#define QUEUE_TENANT_LOCAL "local"
#define QUEUE_SCHEMA       "1" /* of the keys; common/lua/1_words.lua has the same */

/* ---- start-up ---- */

/* Redis is 7 or newer, noeviction, AOF on, schema and library equal to those of this binary;
 * else ERR_CONFIG with one line that says what to do (exit 78). ERR_UNAVAILABLE when it cannot be
 * asked. */
MUST_CHECK enum err queue_check(struct redis *r, struct fail *f);

/* ---- server ---- */

struct queue_order { /* a new job */
    const char *id;  /* made by the caller before the call, so that a resend is recognised */
    const char *tenant, *lane;
    int priority;            /* 0..9, 9 first; only inside one tenant */
    int64_t cost_ms;         /* estimated device time, for fairness; >= 1 */
    const char *spec;        /* canonical JSON of the request; its SHA-256 is stored beside it */
    const char *fingerprint; /* hex SHA-256 of what the client asked (without a random seed, with
                                file digests) */
    const char *idem;        /* hex SHA-256 of path and Idempotency-Key, or NULL */
    int64_t idem_ttl_ms;     /* 0 = 24 h */
    int64_t delay_ms;        /* 0 = claimable at once */
    int64_t queue_ttl_ms;    /* expires when not started by then; 0 = never */
    int64_t run_limit_ms;    /* longest run of one attempt; 0 = none */
    int max_tries;           /* 1..100; lost workers are counted apart */
    const char *hook_url;    /* NULL = no webhook */
    const char *hook_events; /* comma list of completed,failed,cancelled,in_progress; NULL =
                                completed,failed */
    int64_t keep_ms; /* lifetime of the stored result after the end; 0 = the server-wide default */
};

enum queue_born {
    QUEUE_NEW,
    QUEUE_DUP /* our own resend */,
    QUEUE_REPLAY /* same idempotency key */
};

struct queue_ticket {
    enum queue_born born;
    char id[QUEUE_ID_MAX]; /* of the job that now exists: another one's on QUEUE_REPLAY */
};

/* ERR_CONFLICT: the idempotency key was used with another fingerprint, or the id exists.
 * ERR_BUSY: the lane is full. ERR_LIMIT: the tenant has its limit of live jobs. fail.text names the
 * limit. */
MUST_CHECK enum err queue_submit(struct redis *r, struct queue_ticket *out,
                                 const struct queue_order *order, struct fail *f);

/* Waiting job: ends at once. Running job: the worker is told at its next beat. Ended job:
 * unchanged. `out` is the state after the call. ERR_NOT_FOUND: unknown, deleted or another
 * tenant's. */
MUST_CHECK enum err queue_cancel(struct redis *r, enum job_state *out, const char *id,
                                 const char *tenant, const char *why, struct fail *f);

/* Cancel if needed, and hide: after this the job is ERR_NOT_FOUND for everybody but the worker
 * that runs it; its objects and keys go with the next gc once it has ended. `out` as in
 * queue_cancel. */
MUST_CHECK enum err queue_delete(struct redis *r, enum job_state *out, const char *id,
                                 const char *tenant, struct fail *f);

/* Token bucket (GCRA): `*wait_ms` is 0 when the request may pass, else when to try again. `left` is
 * how many more would pass now. `name` is any key of the caller's, such as "key:KID" or
 * "authfail:IP". */
struct queue_rate {
    double per_second;
    int burst;
};
MUST_CHECK enum err queue_rate(struct redis *r, int64_t *wait_ms, int *left, const char *name,
                               const struct queue_rate *rate, struct fail *f);

/* A create whose answer may not have reached its client (api 5.5): remember it for 11 minutes ...
 */
MUST_CHECK enum err queue_undelivered_add(struct redis *r, const char *tenant,
                                          const char *fingerprint, const char *id, struct fail *f);
/* ... and take it once; ERR_NOT_FOUND when there is none. */
MUST_CHECK enum err queue_undelivered_take(struct redis *r, char out[QUEUE_ID_MAX],
                                           const char *tenant, const char *fingerprint,
                                           struct fail *f);

/* ---- worker ---- */

struct queue_seek {     /* who looks for work */
    const char *worker; /* name, unique among living workers, such as host-pid-random */
    const char *lanes[QUEUE_LANES_MAX]; /* in order of preference */
    int n_lanes;
    int64_t lease_ms; /* 0 = QUEUE_LEASE_MS */
    int wait_ms;      /* 0 = answer at once; else wait up to this for work, <= QUEUE_WAKE_MAX_MS */
};

struct queue_claim {
    char id[QUEUE_ID_MAX];
    char tenant[QUEUE_NAME_MAX], lane[QUEUE_NAME_MAX];
    char lease[QUEUE_LEASE_MAX]; /* the whole token; also part of the name of the stored object */
    const char *spec;            /* JSON; its hash was checked */
    const char *ckpt;            /* name of the last checkpoint, "" = none */
    int n_crashes;               /* workers lost on this job so far */
    int try;                     /* 1 = first attempt */
    int max_tries;
    int64_t run_limit_ms, created_ms;
    int64_t keep_ms;         /* 0 = the server-wide default */
    struct redis_reply *own; /* memory of the strings above */
};

/* ERR_NOT_FOUND: nothing to do now. ERR_CANCELLED: this worker is banned (three jobs lost in ten
 * minutes while others live): exit 75. ERR_CORRUPT: claimed, but spec and hash differ: `out` is
 * filled (spec ""), call queue_fail with QUEUE_FATAL. Free with queue_claim_free in all cases. */
MUST_CHECK enum err queue_claim(struct redis *r, struct queue_claim *out,
                                const struct queue_seek *seek, struct fail *f);
void queue_claim_free(struct queue_claim *claim);

enum queue_verdict {
    QUEUE_GO_ON,   /* the lease holds */
    QUEUE_CANCEL,  /* stop, then queue_fail(QUEUE_CANCELLED) */
    QUEUE_TIMEOUT, /* the run limit is over: stop, then queue_fail(QUEUE_TIMED_OUT) */
    QUEUE_STALE    /* the job is no longer ours: stop, publish nothing, delete our object */
};

struct queue_beat {
    int64_t lease_ms; /* 0 = QUEUE_LEASE_MS */
    int progress;     /* 0..99; never goes back for the reader */
    const char
        *phase; /* loading, encode_prompt, encode_media, denoise, decode, encode_video, upload */
    int step, n_steps;
    int64_t eta_ms;   /* time left, -1 = unknown */
    const char *ckpt; /* name of a new checkpoint, NULL = unchanged; the old one goes to gc */
};
/* Extends the lease and stores the progress; writes a progress event when anything visible changed
 * (the caller holds to 4 per second). */
MUST_CHECK enum err queue_beat(struct redis *r, enum queue_verdict *out, const char *id,
                               const char *lease, const struct queue_beat *beat, struct fail *f);

/* `result` is JSON (object key, sha256, bytes, variants). QUEUE_GO_ON: it is now the one result,
 * also when an earlier copy of this call did it. QUEUE_CANCEL and QUEUE_STALE as above. */
MUST_CHECK enum err queue_complete(struct redis *r, enum queue_verdict *out, const char *id,
                                   const char *lease, const char *result, struct fail *f);

enum queue_why {
    QUEUE_RETRY,     /* may work next time: runs again after delay_ms while tries are left */
    QUEUE_FATAL,     /* will never work */
    QUEUE_CANCELLED, /* answer to QUEUE_CANCEL */
    QUEUE_TIMED_OUT, /* answer to QUEUE_TIMEOUT */
    QUEUE_RELEASE,   /* drain: runs elsewhere, the try is not counted */
    QUEUE_CRASH,     /* the compute child died; counted apart, poison after three */
    QUEUE_WHY_COUNT
};
struct queue_fail {
    enum queue_why why;
    const char *code; /* error.code of the API: out_of_memory, invalid_media, internal_error, .. */
    const char *message; /* error.message, in words */
    int64_t delay_ms;    /* of QUEUE_RETRY and QUEUE_CRASH; queue_backoff_ms */
    const char *ckpt;    /* checkpoint to continue from, NULL = unchanged */
};
/* `out` is the new state; QUEUE_STALE leaves it alone. */
MUST_CHECK enum err queue_fail(struct redis *r, enum queue_verdict *verdict, enum job_state *out,
                               const char *id, const char *lease, const struct queue_fail *fail,
                               struct fail *f);

/* random(0.5..1) * min(10 min, 10 s * 2^try). */
int64_t queue_backoff_ms(int try);

struct queue_ticked {
    int n_promoted, n_expired, n_requeued, n_failed;
};
/* Promotes due jobs, expires queue deadlines, takes back leases that ran out. Any process may call
 * it about once a second; it is bounded and needs no leader. `out` may be NULL. */
MUST_CHECK enum err queue_tick(struct redis *r, struct queue_ticked *out, int64_t lease_ms,
                               struct fail *f);

/* ---- garbage ---- */

enum queue_waste {
    QUEUE_WASTE_JOB,    /* deleted or past record retention: remove its objects, then queue_purge */
    QUEUE_WASTE_RESULT, /* past its lifetime: remove the objects of `result`, then queue_gc_done */
    QUEUE_WASTE_OBJECT, /* an old checkpoint: remove object `id`, then queue_gc_done */
    QUEUE_WASTE_COUNT
};
struct queue_waste_row {
    enum queue_waste kind;
    const char *id;     /* job id, or name of the object */
    const char *tenant; /* "" for objects */
    const char *result; /* JSON as given to queue_complete, "" = none */
};
struct queue_gc {
    int n_rows;
    struct queue_waste_row row[QUEUE_BATCH_MAX];
    struct redis_reply *own;
};
/* What may be removed now, at most QUEUE_BATCH_MAX rows. Record retention is 30 days unless meta
 * says otherwise. */
MUST_CHECK enum err queue_gc_list(struct redis *r, struct queue_gc *out, struct fail *f);
void queue_gc_free(struct queue_gc *gc);
/* For results and objects, after their removal. */
MUST_CHECK enum err queue_gc_done(struct redis *r, const struct queue_waste_row *row,
                                  struct fail *f);
/* Removes every key of an ended job. ERR_BUSY: it has not ended or a webhook is still due.
 * ERR_NOT_FOUND: gone. */
MUST_CHECK enum err queue_purge(struct redis *r, const char *id, const char *tenant,
                                struct fail *f);

#endif
