/* main.c - misora-worker: options, and which of the two processes this is. */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/str.h"
#include "worker/child.h"
#include "worker/conf.h"
#include "worker/supervisor.h"

static bool has_flag(int argc, char **argv, const char *flag) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0) return true;
    return false;
}

/* Rules over several options hold for --check-config as for a start. */
static enum err check(const struct conf *c, struct fail *f) {
    enum log_level level;
    enum err rc = conf_check(c, f);
    if (rc == ERR_OK && log_parse_level(c->log_level, &level)) log_set_level(level);
    return rc;
}

int main(int argc, char **argv) {
    struct conf conf = {0};
    struct fail f = {0};
    enum config_verdict verdict = CONFIG_RUN;
    int exit_code = EXIT_CODE_CONFIG;
    int64_t parent = 0;
    if (argc == 3 && strcmp(argv[1], "--child") == 0 &&
        str_parse_i64(str_of(argv[2]), 1, INT32_MAX, &parent))
        return child_main((int)parent);

    enum err rc = config_read(&conf_table, &conf, argc, argv, &verdict, &exit_code, &f);
    if (rc == ERR_OK && (verdict == CONFIG_RUN || has_flag(argc, argv, "--check-config"))) {
        exit_code = EXIT_CODE_CONFIG;
        rc = check(&conf, &f);
        if (rc == ERR_OK && verdict == CONFIG_RUN) rc = supervisor_run(&conf, &exit_code, &f);
    }
    config_free(&conf_table, &conf);
    if (rc == ERR_OK) return 0;
    fprintf(stderr, "misora-worker: %s\n", f.text);
    return exit_code;
}
