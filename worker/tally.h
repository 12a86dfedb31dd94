/* tally.h - the metrics of a worker: one row each, named here, written by common/metrics.c. */
#ifndef WORKER_TALLY_H
#define WORKER_TALLY_H

#include "common/metrics.h"

enum {
    TALLY_DONE,
    TALLY_FAILED,
    TALLY_CANCELLED,
    TALLY_CRASHED,
    TALLY_STALE,
    TALLY_JOB_SECONDS,
    TALLY_VIDEO_SECONDS,
    TALLY_OUTPUT_BYTES,
    TALLY_BUSY,
    TALLY_REDIS_MISSES,
    TALLY_ESTIMATE_ERROR,
    TALLY_HOOK_OK,
    TALLY_HOOK_RETRY,
    TALLY_HOOK_DEAD,
    TALLY_COUNT
};

extern const struct metrics_row tally_rows[TALLY_COUNT];

#endif
