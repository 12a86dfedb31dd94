/* options.h - what an operator may set for misora-server: one table, one struct. */
#ifndef SERVER_OPTIONS_H
#define SERVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/s3.h"

struct options {
    char *bind;
    int64_t port;
    char *metrics_bind;
    int64_t metrics_port;
    char *redis_url;
    char *redis_password;
    char *namespace;
    char *store_dir;
    struct s3_conf s3;
    char *public_url;
    char *link_secret;
    char *models_dir;
    char *model_aliases;
    char *lane;
    char *log_level;
    bool no_auth;
    bool behind_proxy;
    int64_t threads;
    int64_t max_connections;
    int64_t max_parked;
    int64_t max_large_bodies;
    int64_t max_upload_bytes;
    int64_t max_video_bytes;
    int64_t min_free_bytes;
    int64_t idle_timeout_ms;
    int64_t drain_notice_ms;
    int64_t drain_ms;
    int64_t poll_after_ms;
    double rate_per_second;
    int64_t rate_burst;
    char *webhook_secret;
    bool webhook_http;
    bool webhook_private;
    char *chat_url;
    char *chat_key;
    char *chat_model;
    int64_t chat_timeout_ms;
    double price_per_second;
    char *currency;
};

extern const struct config_table options_table;

/* Rules over several options; ERR_CONFIG with the rule in words. */
MUST_CHECK enum err options_check(const struct options *o, struct fail *f);

#endif
