#include "worker/tally.h"

#define FINISHED "misora_worker_jobs_total"
#define HOOKS    "misora_webhook_attempts_total"

const struct metrics_row tally_rows[TALLY_COUNT] = {
    [TALLY_DONE] = {FINISHED, "end=\"completed\"", METRICS_COUNTER, "Jobs by how they ended here."},
    [TALLY_FAILED] = {FINISHED, "end=\"failed\"", METRICS_COUNTER, "Jobs by how they ended here."},
    [TALLY_CANCELLED] = {FINISHED, "end=\"stopped\"", METRICS_COUNTER,
                         "Jobs by how they ended here."},
    [TALLY_CRASHED] = {FINISHED, "end=\"crashed\"", METRICS_COUNTER,
                       "Jobs by how they ended here."},
    [TALLY_STALE] = {FINISHED, "end=\"stale\"", METRICS_COUNTER, "Jobs by how they ended here."},
    [TALLY_JOB_SECONDS] = {"misora_job_duration_seconds", 0, METRICS_HISTOGRAM,
                           "From claim to stored result."},
    [TALLY_VIDEO_SECONDS] = {"misora_generated_video_seconds_total", 0, METRICS_COUNTER,
                             "Seconds of video made."},
    [TALLY_OUTPUT_BYTES] = {"misora_output_bytes_total", 0, METRICS_COUNTER, "Bytes stored."},
    [TALLY_BUSY] = {"misora_worker_busy", 0, METRICS_GAUGE, "1 while a job is held."},
    [TALLY_REDIS_MISSES] = {"misora_redis_misses_total", 0, METRICS_COUNTER,
                            "Calls to Redis without an answer."},
    [TALLY_ESTIMATE_ERROR] = {"misora_estimate_error_ratio", 0, METRICS_GAUGE,
                              "By how much of the truth the last estimate was wrong."},
    [TALLY_HOOK_OK] = {HOOKS, "result=\"ok\"", METRICS_COUNTER, "Webhook attempts by result."},
    [TALLY_HOOK_RETRY] = {HOOKS, "result=\"retry\"", METRICS_COUNTER,
                          "Webhook attempts by result."},
    [TALLY_HOOK_DEAD] = {HOOKS, "result=\"dead\"", METRICS_COUNTER, "Webhook attempts by result."},
};
