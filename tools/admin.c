#include "tools/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/config.h"
#include "common/queue_admin.h"
#include "common/queue_key.h"
#include "common/queue_view.h"
#include "common/redis.h"

enum { WORDS_MAX = 3, REFUSED = 1 };

struct options {
    char *redis_url, *namespace, *redis_password;
    char *tenant, *key_env, *scopes;
    double rate;
    int64_t burst, max_live, expires_in;
    bool yes;
};

#define AT(name) offsetof(struct options, name)
static const struct config_row rows[] = {
    {"redis_url", CONFIG_TEXT, AT(redis_url), "redis://127.0.0.1:6379", 1, 250,
     "redis://host:port or unix:/path"},
    {"namespace", CONFIG_TEXT, AT(namespace), "misora", 1, 32, "prefix of all keys"},
    {"redis_password", CONFIG_SECRET, AT(redis_password), "", 0, 200, "password of Redis"},
    {"tenant", CONFIG_TEXT, AT(tenant), "default", 1, 63, "keys add: whose key"},
    {"key_env", CONFIG_TEXT, AT(key_env), "live", 1, 8, "keys add: second word of the key"},
    {"scopes", CONFIG_TEXT, AT(scopes), "all", 1, 120, "keys add: what it may do"},
    {"rate", CONFIG_REAL, AT(rate), "0", 0, 1e6,
     "keys add: requests per second, 0 = the server's default"},
    {"burst", CONFIG_INT, AT(burst), "0", 0, 1e6,
     "keys add: requests at once, 0 = the server's default"},
    {"max_live", CONFIG_INT, AT(max_live), "0", 0, 1e6,
     "keys add: unfinished jobs of the tenant, 0 = default"},
    {"expires_in", CONFIG_MS, AT(expires_in), "0ms", 0, 3.2e11, "keys add: lifetime, 0 = for ever"},
    {"yes", CONFIG_BOOL, AT(yes), "off", 0, 0, "dead drop: do it"},
};
static const struct config_table table = {
    "misora admin", "Migrates, audits and repairs the job queue, and makes API keys.", rows,
    sizeof(rows) / sizeof(rows[0])};

/* What a command works with. */
struct job {
    struct redis *r;
    const struct options *opt;
    const char *id; /* last word of the command, NULL when there is none */
};

/* ---- commands: ERR_OK, or a failure; *code is the exit code of a success ---- */

static enum err migrate(const struct job *j, int *code, struct fail *f) {
    struct queue_migration m;
    enum err rc = queue_admin_migrate(j->r, &m, f);
    (void)code;
    if (rc == ERR_OK)
        printf("schema %s -> %s: %" PRId64 " keys seen, %" PRId64
               " changed; job functions loaded\n",
               m.from, QUEUE_SCHEMA, m.n_seen, m.n_changed);
    return rc;
}

static void tell(void *ctx, const char *text) {
    (void)ctx;
    printf("%s\n", text);
}

static enum err audit(const struct job *j, int *code, struct fail *f) {
    struct queue_audit a;
    enum err rc = queue_admin_audit(j->r, &a, tell, NULL, f);
    if (rc != ERR_OK) return rc;
    printf("%" PRId64 " keys, %" PRId64 " problems\n", a.n_keys, a.n_problems);
    if (a.n_problems > 0) *code = REFUSED;
    return ERR_OK;
}

static enum err dead_list(const struct job *j, int *code, struct fail *f) {
    struct queue_dead *d = mem_take(1, sizeof(*d));
    (void)code;
    if (d == NULL) return FAIL(f, ERR_NOMEM, "no memory for the list");
    enum err rc = queue_admin_dead(j->r, d, f);
    for (int i = 0; rc == ERR_OK && i < d->n_rows; i++)
        printf("%s  %-12s  %-20s  %" PRId64 "  %.100s\n", d->row[i].id, d->row[i].tenant,
               d->row[i].code, d->row[i].done_ms / 1000, d->row[i].message);
    if (rc == ERR_OK) printf("%" PRId64 " dead letters\n", d->n_all);
    mem_free(d);
    return rc;
}

static void print_job(const struct queue_job *job) {
    printf("id        %s\ntenant    %s\nlane      %s\nstate     %s\n", job->id, job->tenant,
           job->lane, job_state_name(job->state));
    printf("error     %s: %s\n", job->error_code, job->error_message);
    printf("tries     %d of %d, workers lost %d\n", job->try, job->max_tries, job->n_crashes);
    printf("created   %" PRId64 "\nended     %" PRId64 "\nworker    %s\nrequest   %s\n",
           job->created_ms / 1000, job->done_ms / 1000, job->worker, job->spec);
}

static enum err dead_show(const struct job *j, int *code, struct fail *f) {
    enum err rc = ERR_OK;
    char tenant[QUEUE_NAME_MAX];
    struct queue_view view = {0};
    struct queue_attempts attempts;
    (void)code;
    TRY(queue_admin_owner(j->r, tenant, j->id, f));
    TRY(queue_view_get(j->r, &view, j->id, tenant, f));
    TRY(queue_admin_attempts(j->r, &attempts, j->id, f));
    print_job(&view.job);
    for (int i = 0; i < attempts.n_rows; i++)
        printf("attempt   %s\n", attempts.row[i]);
out:
    queue_view_free(&view);
    return rc;
}

static enum err dead_retry(const struct job *j, int *code, struct fail *f) {
    (void)code;
    enum err rc = queue_admin_retry(j->r, j->id, f);
    if (rc == ERR_OK) printf("%s is queued again\n", j->id);
    return rc;
}

static enum err dead_drop(const struct job *j, int *code, struct fail *f) {
    enum err rc = ERR_OK;
    char tenant[QUEUE_NAME_MAX];
    enum job_state state;
    struct queue_view view = {0};
    (void)code;
    TRY(queue_admin_owner(j->r, tenant, j->id, f));
    TRY(queue_view_get(j->r, &view, j->id, tenant, f));
    if (view.job.state != JOB_STATE_FAILED)
        TRY(FAIL(f, ERR_CONFLICT, "job %s is %s; only a failed job can be dropped", j->id,
                 job_state_name(view.job.state)));
    if (!j->opt->yes) TRY(FAIL(f, ERR_INPUT, "this deletes %s for good: say --yes", j->id));
    TRY(queue_delete(j->r, &state, j->id, tenant, f));
    printf("%s is deleted\n", j->id);
out:
    queue_view_free(&view);
    return rc;
}

static enum err keys_add(const struct job *j, int *code, struct fail *f) {
    struct queue_key key = {.rate_per_second = j->opt->rate,
                            .burst = (int)j->opt->burst,
                            .max_live = (int)j->opt->max_live};
    char text[QUEUE_KEY_TEXT_MAX];
    (void)code;
    if (!str_copy(key.tenant, sizeof(key.tenant), str_of(j->opt->tenant)) ||
        !str_copy(key.scopes, sizeof(key.scopes), str_of(j->opt->scopes)))
        return FAIL(f, ERR_INPUT, "the tenant or the scopes are too long");
    if (j->opt->expires_in > 0) key.expires_ms = now_wall_ms() + j->opt->expires_in;
    enum err rc = queue_key_add(j->r, text, &key, j->opt->key_env, f);
    if (rc != ERR_OK) return rc;
    printf("%s\n", text);
    fprintf(stderr, "key %s of tenant %s; this is the only time that it is shown\n", key.kid,
            key.tenant);
    explicit_bzero(text, sizeof(text));
    return ERR_OK;
}

static enum err keys_list(const struct job *j, int *code, struct fail *f) {
    struct queue_keys *keys = mem_take(1, sizeof(*keys));
    (void)code;
    if (keys == NULL) return FAIL(f, ERR_NOMEM, "no memory for the list");
    enum err rc = queue_key_list(j->r, keys, f);
    for (int i = 0; rc == ERR_OK && i < keys->n_keys; i++) {
        const struct queue_key *k = &keys->key[i];
        bool is_over = k->expires_ms > 0 && k->expires_ms <= now_wall_ms();
        printf("%s  %-16s  %-12s  rate %g/%d  live %d  created %" PRId64 "  %s\n", k->kid,
               k->tenant, k->scopes, k->rate_per_second, k->burst, k->max_live,
               k->created_ms / 1000,
               k->is_disabled ? "revoked"
               : is_over      ? "expired"
                              : "valid");
    }
    mem_free(keys);
    return rc;
}

static enum err keys_revoke(const struct job *j, int *code, struct fail *f) {
    (void)code;
    enum err rc = queue_key_revoke(j->r, j->id, f);
    if (rc == ERR_OK) printf("key %s is revoked\n", j->id);
    return rc;
}

static const struct command {
    const char *word, *sub, *argument; /* NULL = none */
    bool needs_data;                   /* refuse a Redis that was not migrated */
    enum err (*run)(const struct job *j, int *code, struct fail *f);
    const char *help;
} commands[] = {
    {"migrate", NULL, NULL, false, migrate,
     "load the job functions and bring the data to this release"},
    {"audit", NULL, NULL, true, audit, "check that all keys agree; exit 1 when they do not"},
    {"dead", "ls", NULL, true, dead_list, "failed jobs, newest first"},
    {"dead", "show", "ID", true, dead_show, "a job with its request and attempts"},
    {"dead", "retry", "ID", true, dead_retry, "run a failed job again with fresh tries"},
    {"dead", "drop", "ID", true, dead_drop, "delete a failed job (--yes)"},
    {"keys", "add", NULL, true, keys_add, "make an API key and print it once"},
    {"keys", "ls", NULL, true, keys_list, "all keys without their secrets"},
    {"keys", "revoke", "KID", true, keys_revoke, "make a key invalid"},
};

static void print_usage(FILE *to) {
    fprintf(to,
            "usage: misora admin COMMAND [FLAG...]   (misora admin --help lists the flags)\n\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];
        fprintf(to, "  %-8s %-7s %-4s  %s\n", c->word, c->sub != NULL ? c->sub : "",
                c->argument != NULL ? c->argument : "", c->help);
    }
    fprintf(to, "\n");
}

/* The command that the words name, with exactly its number of words. */
static const struct command *find_command(char **words, int n_words) {
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];
        int n = 1 + (c->sub != NULL) + (c->argument != NULL);
        if (n != n_words || strcmp(c->word, words[0]) != 0) continue;
        if (c->sub == NULL || strcmp(c->sub, words[1]) == 0) return c;
    }
    return NULL;
}

/* Before a command touches data, it must be data of this release. A namespace that has none is most
 * likely a wrong one. */
static enum err check_data(const struct command *c, struct redis *r, struct fail *f) {
    return c->needs_data ? queue_check(r, f) : ERR_OK;
}

static int exit_code_of(enum err rc, bool is_refused) {
    if (is_refused || rc == ERR_CONFIG) return EXIT_CODE_CONFIG;
    if (rc == ERR_UNAVAILABLE) return EXIT_CODE_UNAVAILABLE;
    if (rc == ERR_INPUT) return EXIT_CODE_USAGE;
    return REFUSED;
}

static int run(const struct command *c, const struct options *opt, const char *id) {
    enum err rc = ERR_OK;
    int code = 0;
    struct fail f = {0};
    struct redis_pool *pool = NULL;
    struct job j = {NULL, opt, id};
    struct redis_opts where = {.url = opt->redis_url, .ns = opt->namespace, .max_conns = 1};
    if (opt->redis_password != NULL && opt->redis_password[0] != 0)
        where.password = opt->redis_password;
    TRY(redis_pool_open(&pool, &where, &f));
    TRY(redis_pool_borrow(pool, &j.r, &f));
    TRY(check_data(c, j.r, &f));
    TRY(c->run(&j, &code, &f));
out:
    if (rc != ERR_OK) {
        code = exit_code_of(rc, pool != NULL && redis_pool_is_refused(pool));
        fprintf(stderr, "misora admin: %s\n", f.text);
    }
    if (j.r != NULL) redis_pool_give(pool, j.r);
    redis_pool_close(pool);
    return code;
}

int admin_main(int argc, char **argv) {
    int n_words = 0, code = 0;
    enum config_verdict verdict = CONFIG_DONE;
    struct options opt = {0};
    struct fail f = {0};
    while (n_words < WORDS_MAX && n_words + 1 < argc && argv[n_words + 1][0] != '-')
        n_words++;
    const struct command *c = n_words > 0 ? find_command(argv + 1, n_words) : NULL;
    bool wants_help = argc > 1 && strcmp(argv[1], "--help") == 0;
    if (wants_help) print_usage(stdout);
    if (c == NULL && !wants_help) {
        print_usage(stderr);
        return EXIT_CODE_USAGE;
    }
    enum err rc = config_read(&table, &opt, argc - n_words, argv + n_words, &verdict, &code, &f);
    if (rc != ERR_OK) fprintf(stderr, "misora admin: %s\n", f.text);
    if (rc == ERR_OK && verdict == CONFIG_RUN) code = run(c, &opt, argv[n_words]);
    config_free(&table, &opt);
    return code;
}
