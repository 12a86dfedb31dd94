/* job_state.h - the states of a job and the table of legal moves. Pure: no I/O.
 *
 * The Lua library carries out the moves; this table is what they must be, and a test walks every
 * cell of it against the real library. Nothing leaves an ended state. */
#ifndef COMMON_JOB_STATE_H
#define COMMON_JOB_STATE_H

#include <stdbool.h>

enum job_state {
    JOB_STATE_NONE,      /* no such job */
    JOB_STATE_QUEUED,    /* claimable */
    JOB_STATE_SCHEDULED, /* waits for its time (delay, backoff) */
    JOB_STATE_RUNNING,
    JOB_STATE_SUCCEEDED,
    JOB_STATE_FAILED,
    JOB_STATE_CANCELED,
    JOB_STATE_EXPIRED, /* was not started before its deadline */
    JOB_STATE_COUNT
};

enum job_move {
    JOB_MOVE_SUBMIT, /* with or without delay */
    JOB_MOVE_CLAIM,
    JOB_MOVE_BEAT,
    JOB_MOVE_COMPLETE,
    JOB_MOVE_FAIL_RETRY,
    JOB_MOVE_FAIL_FATAL,
    JOB_MOVE_FAIL_RELEASE,
    JOB_MOVE_FAIL_CRASH,
    JOB_MOVE_CANCEL,
    JOB_MOVE_TICK, /* time: promotion, deadline, lost lease */
    JOB_MOVE_COUNT
};

/* Word stored in Redis, such as "queued". */
const char *job_state_name(enum job_state state);
/* JOB_STATE_NONE for a word that is no state. */
enum job_state job_state_parse(const char *name);
/* The OpenAI status: queued, in_progress, completed, failed. */
const char *job_state_status(enum job_state state);
bool job_state_is_ended(enum job_state state);

const char *job_state_move_name(enum job_move move);
/* True when `move` may take a job from `from` to `to`, its lease and tries allowing. */
bool job_state_may(enum job_move move, enum job_state from, enum job_state to);

#endif
