/* conf.h - what an operator may set for misora-worker: one table, one struct. */
#ifndef WORKER_CONF_H
#define WORKER_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/queue.h"
#include "common/s3.h"

struct conf {
    char *redis_url, *redis_password, *namespace, *worker_id, *lanes;
    char *model_dir, *store_dir, *spool_dir, *device, *precision, *cache_dir, *log_level;
    char *loras, *loras_late;
    struct s3_conf s3;
    int64_t threads, lease_ms, beat_ms, stall_ms, drain_ms, min_free_bytes, metrics_port;
    bool webhooks, webhook_http, webhook_private;
    char *webhook_secret;
};

extern const struct config_table conf_table;

/* Rules over several options; ERR_CONFIG with the rule in words. */
MUST_CHECK enum err conf_check(const struct conf *c, struct fail *f);

struct conf_lanes {
    char text[512];
    const char *names[QUEUE_LANES_MAX];
    int n;
};
/* Cuts "a,b" into names; ERR_CONFIG when there is none, too many, or one is empty. */
MUST_CHECK enum err conf_lanes(struct conf_lanes *out, const struct conf *c, struct fail *f);

#endif
