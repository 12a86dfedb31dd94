#include "common/job_state.h"

#include <string.h>

#include "common/base/assert.h"

static const struct {
    const char *name, *status;
    bool is_ended;
} states[JOB_STATE_COUNT] = {
    [JOB_STATE_NONE] = {"none", "queued", false},
    [JOB_STATE_QUEUED] = {"queued", "queued", false},
    [JOB_STATE_SCHEDULED] = {"scheduled", "queued", false},
    [JOB_STATE_RUNNING] = {"running", "in_progress", false},
    [JOB_STATE_SUCCEEDED] = {"succeeded", "completed", true},
    [JOB_STATE_FAILED] = {"failed", "failed", true},
    [JOB_STATE_CANCELED] = {"canceled", "failed", true},
    [JOB_STATE_EXPIRED] = {"expired", "failed", true},
};

#define AS(state) (1u << JOB_STATE_##state)

/* moves[m].to[from]: the set of states that move m may lead to. An empty set refuses the move. */
static const struct {
    const char *name;
    unsigned to[JOB_STATE_COUNT];
} moves[JOB_MOVE_COUNT] = {
    [JOB_MOVE_SUBMIT] = {"submit", {[JOB_STATE_NONE] = AS(QUEUED) | AS(SCHEDULED)}},
    [JOB_MOVE_CLAIM] = {"claim", {[JOB_STATE_QUEUED] = AS(RUNNING)}},
    [JOB_MOVE_BEAT] = {"beat", {[JOB_STATE_RUNNING] = AS(RUNNING)}},
    /* From waiting only by the last holder of the lease: its work is not thrown away. */
    [JOB_MOVE_COMPLETE] = {"complete",
                           {[JOB_STATE_RUNNING] = AS(SUCCEEDED),
                            [JOB_STATE_QUEUED] = AS(SUCCEEDED),
                            [JOB_STATE_SCHEDULED] = AS(SUCCEEDED)}},
    [JOB_MOVE_FAIL_RETRY] = {"fail retry",
                             {[JOB_STATE_RUNNING] =
                                  AS(QUEUED) | AS(SCHEDULED) | AS(FAILED) | AS(CANCELED)}},
    [JOB_MOVE_FAIL_FATAL] = {"fail fatal", {[JOB_STATE_RUNNING] = AS(FAILED) | AS(CANCELED)}},
    [JOB_MOVE_FAIL_RELEASE] = {"fail release", {[JOB_STATE_RUNNING] = AS(QUEUED) | AS(CANCELED)}},
    [JOB_MOVE_FAIL_CRASH] = {"fail crash",
                             {[JOB_STATE_RUNNING] =
                                  AS(QUEUED) | AS(SCHEDULED) | AS(FAILED) | AS(CANCELED)}},
    [JOB_MOVE_CANCEL] = {"cancel",
                         {[JOB_STATE_QUEUED] = AS(CANCELED),
                          [JOB_STATE_SCHEDULED] = AS(CANCELED),
                          [JOB_STATE_RUNNING] = AS(RUNNING)}},
    [JOB_MOVE_TICK] = {"tick",
                       {[JOB_STATE_QUEUED] = AS(EXPIRED),
                        [JOB_STATE_SCHEDULED] = AS(QUEUED) | AS(EXPIRED),
                        [JOB_STATE_RUNNING] =
                            AS(QUEUED) | AS(SCHEDULED) | AS(FAILED) | AS(CANCELED)}},
};

const char *job_state_name(enum job_state state) {
    ASSERT(state < JOB_STATE_COUNT);
    return states[state].name;
}

enum job_state job_state_parse(const char *name) {
    for (int i = 1; i < JOB_STATE_COUNT; i++)
        if (strcmp(states[i].name, name) == 0) return (enum job_state)i;
    return JOB_STATE_NONE;
}

const char *job_state_status(enum job_state state) {
    ASSERT(state < JOB_STATE_COUNT);
    return states[state].status;
}

bool job_state_is_ended(enum job_state state) {
    ASSERT(state < JOB_STATE_COUNT);
    return states[state].is_ended;
}

const char *job_state_move_name(enum job_move move) {
    ASSERT(move < JOB_MOVE_COUNT);
    return moves[move].name;
}

bool job_state_may(enum job_move move, enum job_state from, enum job_state to) {
    ASSERT(move < JOB_MOVE_COUNT && from < JOB_STATE_COUNT && to < JOB_STATE_COUNT);
    return (moves[move].to[from] & (1u << to)) != 0;
}
