#include "worker/conf.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/log.h"
#include "common/base/str.h"
#include "engine/lora.h"
#include "worker/wire.h"

#define AT(field) offsetof(struct conf, field)

static const struct config_row rows[] = {
    {"redis_url", CONFIG_TEXT, AT(redis_url), "redis://127.0.0.1:6379", 1, 512,
     "redis://[[user]:password@]host[:port] or unix:/path"},
    {"redis_password", CONFIG_SECRET, AT(redis_password), "", 0, 512,
     "wins over the one in redis_url"},
    {"namespace", CONFIG_TEXT, AT(namespace), "misora", 1, 32, "prefix of all keys in Redis"},
    {"worker_id", CONFIG_TEXT, AT(worker_id), "", 0, QUEUE_NAME_MAX - 1,
     "name of this worker, unique among all; empty: host and a number kept in spool_dir"},
    {"lanes", CONFIG_TEXT, AT(lanes), "default", 1, 511,
     "queues to serve, in order of preference: a,b"},
    {"model_dir", CONFIG_TEXT, AT(model_dir), "models/tiny", 1, 900,
     "folder of the model in the diffusers layout"},
    {"store_dir", CONFIG_TEXT, AT(store_dir), "store", 1, 900,
     "directory of videos and uploads, the same as the servers'"},
    S3_CONFIG_ROWS(struct conf, s3),
    {"spool_dir", CONFIG_TEXT, AT(spool_dir), "spool", 1, 800,
     "directory for work in progress; one worker each"},
    {"device", CONFIG_TEXT, AT(device), "cpu", 1, 15, "cpu, cuda, cuda:N or ref"},
    {"threads", CONFIG_INT, AT(threads), "0", 0, 1024, "threads of the model; 0: all cores"},
    {"precision", CONFIG_TEXT, AT(precision), "auto", 3, 4,
     "numbers of the products: auto, f32, bf16 or int8"},
    {"loras", CONFIG_TEXT, AT(loras), "", 0, WIRE_LORAS_MAX - 1,
     "LoRA files that are added to the transformer: FILE[:SCALE],FILE[:SCALE]"},
    {"loras_late", CONFIG_TEXT, AT(loras_late), "", 0, WIRE_LORAS_MAX - 1,
     "the same for the second transformer of two (Wan 2.2 A14B)"},
    {"cache_dir", CONFIG_TEXT, AT(cache_dir), "", 0, 900,
     "directory where encoded prompts are kept, at most 256 MiB; empty: nowhere"},
    {"lease", CONFIG_MS, AT(lease_ms), "30s", 1000, 600000,
     "how long a claim holds without a beat"},
    {"beat", CONFIG_MS, AT(beat_ms), "5s", 100, 60000, "how often the claim is renewed"},
    {"stall", CONFIG_MS, AT(stall_ms), "120s", 1000, 86400000,
     "a model that reports nothing for so long is killed and its job runs again"},
    {"drain", CONFIG_MS, AT(drain_ms), "25s", 0, 600000,
     "after SIGTERM the running job is handed back within this"},
    {"min_free_bytes", CONFIG_BYTES, AT(min_free_bytes), "1G", 0, 1e15,
     "no job is taken when store or spool have less room"},
    {"webhooks", CONFIG_BOOL, AT(webhooks), "on", 0, 0, "send webhooks from this worker"},
    {"webhook_secret", CONFIG_SECRET, AT(webhook_secret), "", 0, 120,
     "whsec_... for all webhooks; empty: each tenant has its own"},
    {"webhook_http", CONFIG_BOOL, AT(webhook_http), "off", 0, 0, "allow http:// webhook addresses"},
    {"webhook_private", CONFIG_BOOL, AT(webhook_private), "off", 0, 0,
     "allow webhooks to private addresses; for closed networks"},
    {"metrics_port", CONFIG_INT, AT(metrics_port), "0", 0, 65535,
     "port of /metrics on 127.0.0.1; 0: none"},
    {"log_level", CONFIG_TEXT, AT(log_level), "info", 4, 5, "debug, info, warn or error"},
};

const struct config_table conf_table = {
    .program = "misora-worker",
    .about = "Takes jobs from Redis, computes videos, stores them and sends webhooks.",
    .rows = rows,
    .n_rows = COUNT_OF(rows),
};

enum err conf_lanes(struct conf_lanes *out, const struct conf *c, struct fail *f) {
    struct str rest, part;
    *out = (struct conf_lanes){0};
    snprintf(out->text, sizeof(out->text), "%s", c->lanes);
    rest = str_of(out->text);
    while (rest.n > 0 && str_split(&rest, ',', &part)) {
        if (part.n == 0 || part.n >= QUEUE_NAME_MAX || out->n == QUEUE_LANES_MAX)
            return FAIL(f, ERR_CONFIG, "lanes is %s; need 1 to %d names of 1 to %d bytes", c->lanes,
                        QUEUE_LANES_MAX, QUEUE_NAME_MAX - 1);
        out->names[out->n++] = part.p;
        out->text[part.p - out->text + (ptrdiff_t)part.n] = '\0';
    }
    return out->n > 0 ? ERR_OK : FAIL(f, ERR_CONFIG, "lanes is empty");
}

static enum err check_loras(const char *name, const char *text, struct fail *f) {
    struct lora_list list;
    struct fail why = {0};
    if (lora_list_parse(&list, text, &why) == ERR_OK) return ERR_OK;
    return FAIL(f, ERR_CONFIG, "%s: %.200s", name, why.text);
}

enum err conf_check(const struct conf *c, struct fail *f) {
    enum err rc = ERR_OK;
    enum log_level level;
    struct conf_lanes lanes;
    TRY(check_loras("loras", c->loras, f));
    TRY(check_loras("loras_late", c->loras_late, f));
    if (!log_parse_level(c->log_level, &level))
        return FAIL(f, ERR_CONFIG, "log_level is %s; need debug, info, warn or error",
                    c->log_level);
    if (c->lease_ms <= 3 * c->beat_ms)
        return FAIL(f, ERR_CONFIG, "lease %lld ms must be more than three beats of %lld ms",
                    (long long)c->lease_ms, (long long)c->beat_ms);
    if (strcmp(c->store_dir, c->spool_dir) == 0)
        return FAIL(f, ERR_CONFIG, "spool_dir and store_dir are both %s; they must differ",
                    c->store_dir);
    TRY(s3_check(&c->s3, f));
    TRY(conf_lanes(&lanes, c, f));
out:
    return rc;
}
