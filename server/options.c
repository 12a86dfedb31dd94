#include "server/options.h"

#include <stddef.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/limits.h"
#include "common/base/log.h"
#include "server/http.h"
#include "server/link.h"

#define AT(field) offsetof(struct options, field)

static const struct config_row rows[] = {
    {"bind", CONFIG_TEXT, AT(bind), "127.0.0.1", 2, 64,
     "IP address to listen on; others than loopback need behind_proxy"},
    {"port", CONFIG_INT, AT(port), "8080", 0, 65535, "port of the API; 0 takes any free one"},
    {"metrics_bind", CONFIG_TEXT, AT(metrics_bind), "127.0.0.1", 2, 64,
     "IP address of the socket for /metrics"},
    {"metrics_port", CONFIG_INT, AT(metrics_port), "0", 0, 65535,
     "port for /metrics; 0 takes any free one and logs it"},
    {"redis_url", CONFIG_TEXT, AT(redis_url), "redis://127.0.0.1:6379", 1, 512,
     "redis://[[user]:password@]host[:port] or unix:/path"},
    {"redis_password", CONFIG_SECRET, AT(redis_password), "", 0, 512,
     "wins over the one in redis_url"},
    {"namespace", CONFIG_TEXT, AT(namespace), "misora", 1, 32, "prefix of all keys in Redis"},
    {"store_dir", CONFIG_TEXT, AT(store_dir), "store", 1, 900,
     "directory of videos and uploads, the same as the workers'"},
    S3_CONFIG_ROWS(struct options, s3),
    {"public_url", CONFIG_TEXT, AT(public_url), "", 0, 512,
     "https://HOST[:PORT] under which clients reach this service; links are built from it"},
    {"link_secret", CONFIG_SECRET, AT(link_secret), "", 0, 128,
     "what links to videos are signed with where there is no S3 store; 24 bytes or more, the same "
     "on all servers"},
    {"models_dir", CONFIG_TEXT, AT(models_dir), "models", 0, 900,
     "directory whose folders are models; their ids are misora-FOLDER"},
    {"model_aliases", CONFIG_TEXT, AT(model_aliases), "sora-2=misora-tiny,sora-2-pro=misora-tiny",
     0, 2048, "other names of models: name=id,name=id"},
    {"lane", CONFIG_TEXT, AT(lane), "default", 1, 60, "queue that new jobs join"},
    {"log_level", CONFIG_TEXT, AT(log_level), "info", 4, 5, "debug, info, warn or error"},
    {"no_auth", CONFIG_BOOL, AT(no_auth), "off", 0, 0,
     "serve without API keys; only when bound to loopback"},
    {"behind_proxy", CONFIG_BOOL, AT(behind_proxy), "off", 0, 0,
     "a proxy such as deploy/nginx.conf stands in front: bind may be any address and "
     "X-Forwarded-For is believed"},
    {"threads", CONFIG_INT, AT(threads), "8", 2, 256, "threads that serve requests"},
    {"max_connections", CONFIG_INT, AT(max_connections), "2000", 16, 60000,
     "open connections, all threads together"},
    {"max_parked", CONFIG_INT, AT(max_parked), "1500", 1, 60000,
     "long polls and event streams that wait at once; below max_connections"},
    {"max_large_bodies", CONFIG_INT, AT(max_large_bodies), "4", 1, 1024,
     "bodies over 256 KiB that are read at once"},
    {"max_upload_bytes", CONFIG_BYTES, AT(max_upload_bytes), "33M", 65536, 64 * 1024 * 1024,
     "largest body of a form; a picture in it may have 32 MiB"},
    {"max_video_bytes", CONFIG_BYTES, AT(max_video_bytes), "513M", 65536, 1024 * 1024 * 1024,
     "largest body of a form with clips; each may have 512 MiB"},
    {"min_free_bytes", CONFIG_BYTES, AT(min_free_bytes), "1G", 0, 1e15,
     "uploads are refused when the store has less room"},
    {"idle_timeout", CONFIG_MS, AT(idle_timeout_ms), "75s", 1000, 3600000,
     "a connection without traffic is closed after this"},
    {"drain_notice", CONFIG_MS, AT(drain_notice_ms), "5s", 0, 60000,
     "after SIGTERM /readyz says no for this long before the port closes"},
    {"drain", CONFIG_MS, AT(drain_ms), "10s", 0, 600000,
     "then running requests get this long to end"},
    {"poll_after", CONFIG_MS, AT(poll_after_ms), "1s", 1000, 8000,
     "the interval that clients are told to poll in"},
    {"rate_per_second", CONFIG_REAL, AT(rate_per_second), "20", 0.01, 1e6,
     "requests of one API key; a key may have its own"},
    {"rate_burst", CONFIG_INT, AT(rate_burst), "40", 1, 1000000,
     "requests of one API key that may come at once"},
    {"webhook_secret", CONFIG_SECRET, AT(webhook_secret), "", 0, 120,
     "the workers' secret for all webhooks, when they have one; empty: each tenant has its own"},
    {"webhook_http", CONFIG_BOOL, AT(webhook_http), "off", 0, 0, "allow http:// webhook addresses"},
    {"webhook_private", CONFIG_BOOL, AT(webhook_private), "off", 0, 0,
     "allow webhooks to private addresses; for closed networks"},
    {"chat_url", CONFIG_TEXT, AT(chat_url), "", 0, 2048,
     "OpenAI-compatible chat endpoint that rewrites prompts, such as "
     "http://127.0.0.1:8000/v1/chat/completions; empty: the built-in rewriter"},
    {"chat_key", CONFIG_SECRET, AT(chat_key), "", 0, 512, "its key, sent as a bearer token"},
    {"chat_model", CONFIG_TEXT, AT(chat_model), "default", 1, 128, "the model that it shall use"},
    {"chat_timeout", CONFIG_MS, AT(chat_timeout_ms), "8s", 100, 60000,
     "after this the built-in rewriter answers instead"},
    {"price_per_second", CONFIG_REAL, AT(price_per_second), "0", 0, 1e6,
     "of computing, for the cost in estimates; 0: none is told"},
    {"currency", CONFIG_TEXT, AT(currency), "USD", 3, 3, "of that price"},
};

const struct config_table options_table = {
    .program = "misora-server",
    .about = "The HTTP API of Misora: takes prompts, hands out videos. Keeps no state of its own.",
    .rows = rows,
    .n_rows = COUNT_OF(rows),
};

enum err options_check(const struct options *o, struct fail *f) {
    enum log_level level;
    if (!log_parse_level(o->log_level, &level))
        return FAIL(f, ERR_CONFIG, "log_level is %s; need debug, info, warn or error",
                    o->log_level);
    if (o->no_auth && !http_is_loopback(o->bind))
        return FAIL(f, ERR_CONFIG, "no_auth needs bind on loopback, not %s: anybody could use it",
                    o->bind);
    if (!o->behind_proxy && !http_is_loopback(o->bind))
        return FAIL(f, ERR_CONFIG,
                    "bind %s is open to the network; put deploy/nginx.conf in front and set "
                    "behind_proxy, or bind 127.0.0.1",
                    o->bind);
    if (o->max_parked >= o->max_connections)
        return FAIL(f, ERR_CONFIG, "max_parked %lld must be below max_connections %lld",
                    (long long)o->max_parked, (long long)o->max_connections);
    if (o->threads > o->max_connections)
        return FAIL(f, ERR_CONFIG, "threads %lld must not be above max_connections %lld",
                    (long long)o->threads, (long long)o->max_connections);
    size_t n_secret = o->link_secret ? strlen(o->link_secret) : 0, n_url = strlen(o->public_url);
    if (n_secret > 0 && n_secret < LINK_SECRET_MIN)
        return FAIL(f, ERR_CONFIG, "link_secret has %zu bytes; need %d or more", n_secret,
                    LINK_SECRET_MIN);
    if (n_url > 0 && (strncmp(o->public_url, "http", 4) != 0 || o->public_url[n_url - 1] == '/'))
        return FAIL(f, ERR_CONFIG, "public_url is %s; need https://HOST[:PORT] without a final /",
                    o->public_url);
    return s3_check(&o->s3, f);
}
