/* config.h - one table of options per program.
 *
 * A row names the option, its type, its place in the program's struct, its default, its range and
 * what it is for. From the table come: defaults, the configuration file ("key = value" lines, '#'
 * comments), the environment (MISORA_KEY), the flags (--key VALUE, --key=VALUE, --switch), --help,
 * the printed effective values and the sample file in config/. Later sources win: default < file
 * < environment < flag. Anything unknown or out of range is an error that names its place. */
#ifndef COMMON_CONFIG_H
#define COMMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

enum config_type {
    CONFIG_INT,    /* int64_t; range applies */
    CONFIG_REAL,   /* double; range applies */
    CONFIG_BOOL,   /* bool: on|off|true|false|yes|no|1|0; as a flag without value: on */
    CONFIG_TEXT,   /* char * owned by the struct, ended by config_free(); range is the length */
    CONFIG_MS,     /* int64_t milliseconds: 500ms, 30s, 5m, 2h, 1d; range in ms */
    CONFIG_BYTES,  /* int64_t bytes: 512, 64K, 28M, 2G; range in bytes */
    CONFIG_SECRET, /* char *; only from the environment, or from the file that KEY_file names */
};

struct config_row {
    const char *name; /* lower_case; the flag writes '-' for '_' */
    enum config_type type;
    size_t offset;
    const char *preset; /* the default as text */
    double min, max;
    const char *help;
};

struct config_table {
    const char *program; /* "misora-server" */
    const char *about;   /* one sentence for --help */
    const struct config_row *rows;
    int n_rows;
};

enum config_verdict {
    CONFIG_RUN,  /* go on with the values */
    CONFIG_DONE, /* --help, --check-config or --sample-config did its work: exit 0 */
};

/* Exit codes of all programs (sysexits.h): wrong command line, wrong data, a part is away,
 * try again later, wrong configuration, a bug. */
enum { EXIT_CODE_USAGE = 64, EXIT_CODE_DATA = 65, EXIT_CODE_UNAVAILABLE = 69, EXIT_CODE_BUG = 70,
       EXIT_CODE_RETRY = 75, EXIT_CODE_CONFIG = 78 };

/* Fills `out` (the program's zeroed struct) from all sources. --config FILE names the file. On
 * failure the text holds place, value and need, and *exit_code EXIT_CODE_USAGE for a wrong command
 * line or EXIT_CODE_CONFIG for a wrong value. Whatever the result, config_free() ends it. */
MUST_CHECK enum err config_read(const struct config_table *t, void *out, int argc, char **argv,
                                enum config_verdict *verdict, int *exit_code, struct fail *f);
/* One value from text, as the file would give it; `place` starts the error text. For tests. */
MUST_CHECK enum err config_set(const struct config_table *t, void *out, const char *name,
                               const char *text, const char *place, struct fail *f);
/* Prints the effective values, secrets hidden, or (values NULL) the commented sample file. */
void config_print(const struct config_table *t, const void *values);
void config_free(const struct config_table *t, void *out);

#endif
