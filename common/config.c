#include "common/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/mem.h"
#include "common/base/str.h"

extern char **environ;

enum { NAME_BYTES = 64, PLACE_BYTES = 320 };
static const char env_prefix[] = "MISORA_";

static const struct config_row *row_find(const struct config_table *t, struct str name) {
    for (int i = 0; i < t->n_rows; i++)
        if (str_eq(name, t->rows[i].name)) return &t->rows[i];
    return NULL;
}

static bool is_text(const struct config_row *row) {
    return row->type == CONFIG_TEXT || row->type == CONFIG_SECRET;
}

static void *field(const struct config_row *row, void *out) {
    return (char *)out + row->offset;
}

struct unit {
    const char *suffix;
    int64_t factor;
};
static const struct unit time_units[] = {{"ms", 1},       {"s", 1000},      {"m", 60000},
                                         {"h", 3600000},  {"d", 86400000},  {"", 1}};
static const struct unit size_units[] = {{"K", 1024}, {"M", 1024 * 1024}, {"G", 1024 * 1024 * 1024},
                                         {"", 1}};

static bool parse_with_unit(struct str s, const struct unit *units, int n_units, double min,
                            double max, int64_t *out) {
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    int64_t v;
    if (!str_parse_i64((struct str){s.p, n}, 0, INT64_MAX, &v)) return false;
    for (int i = 0; i < n_units; i++) {
        if (!str_eq((struct str){s.p + n, s.n - n}, units[i].suffix)) continue;
        if (__builtin_mul_overflow(v, units[i].factor, &v)) return false;
        if ((double)v < min || (double)v > max) return false;
        *out = v;
        return true;
    }
    return false;
}

static bool parse_bool(struct str s, bool *out) {
    static const char *const words[][2] = {
        {"on", "off"}, {"true", "false"}, {"yes", "no"}, {"1", "0"}};
    for (int i = 0; i < COUNT_OF(words); i++)
        for (int j = 0; j < 2; j++)
            if (str_eq(s, words[i][j])) {
                *out = j == 0;
                return true;
            }
    return false;
}

static enum err set_text(const struct config_row *row, void *out, struct str s, const char *place,
                         struct fail *f) {
    if (!str_is_utf8(s, NULL))
        return FAIL(f, ERR_CONFIG, "%s: %s is not UTF-8 text", place, row->name);
    if ((double)s.n < row->min || (double)s.n > row->max)
        return FAIL(f, ERR_CONFIG, "%s: %s has %zu bytes, %.0f to %.0f are allowed", place,
                    row->name, s.n, row->min, row->max);
    char *copy = mem_take(s.n + 1, 1);
    if (!copy) return FAIL(f, ERR_NOMEM, "no memory for the option %s", row->name);
    if (s.n) memcpy(copy, s.p, s.n);
    char **at = field(row, out);
    mem_free(*at);
    *at = copy;
    return ERR_OK;
}

static const char *need_of(enum config_type type) {
    switch (type) {
    case CONFIG_BOOL: return "on or off";
    case CONFIG_MS: return "a time such as 500ms, 30s, 5m, 2h";
    case CONFIG_BYTES: return "a size such as 512, 64K, 28M, 2G";
    case CONFIG_REAL: return "a number";
    default: return "a whole number";
    }
}

static enum err set_value(const struct config_row *row, void *out, struct str s, const char *place,
                          struct fail *f) {
    void *at = field(row, out);
    bool is_good = false;
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET: return set_text(row, out, s, place, f);
    case CONFIG_BOOL: is_good = parse_bool(s, at); break;
    case CONFIG_INT: is_good = str_parse_i64(s, (int64_t)row->min, (int64_t)row->max, at); break;
    case CONFIG_REAL: is_good = str_parse_f64(s, row->min, row->max, at); break;
    case CONFIG_MS:
        is_good = parse_with_unit(s, time_units, COUNT_OF(time_units), row->min, row->max, at);
        break;
    case CONFIG_BYTES:
        is_good = parse_with_unit(s, size_units, COUNT_OF(size_units), row->min, row->max, at);
        break;
    }
    if (is_good) return ERR_OK;
    if (row->type == CONFIG_BOOL)
        return FAIL(f, ERR_CONFIG, "%s: %s is \"%.*s\", need %s", place, row->name,
                    (int)(s.n < 80 ? s.n : 80), s.p, need_of(row->type));
    return FAIL(f, ERR_CONFIG, "%s: %s is \"%.*s\", need %s from %.15g to %.15g%s", place,
                row->name, (int)(s.n < 80 ? s.n : 80), s.p, need_of(row->type), row->min, row->max,
                row->type == CONFIG_MS ? " ms" : row->type == CONFIG_BYTES ? " bytes" : "");
}

enum err config_set(const struct config_table *t, void *out, const char *name, const char *text,
                    const char *place, struct fail *f) {
    const struct config_row *row = row_find(t, str_of(name));
    if (!row) return FAIL(f, ERR_CONFIG, "%s: unknown option \"%s\"", place, name);
    return set_value(row, out, str_of(text), place, f);
}

/* Reads a whole regular file into b. */
static enum err read_file(struct buf *b, const char *path, struct fail *f) {
    enum err rc = ERR_OK;
    struct stat st;
    char chunk[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(f, ERR_CONFIG, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        rc = FAIL(f, ERR_CONFIG, "%s: not a regular file", path);
        goto out;
    }
    for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) != 0;) {
        if (n < 0) {
            rc = FAIL(f, ERR_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
            goto out;
        }
        TRY(buf_add(b, chunk, (size_t)n, f));
    }
    if (!str_is_utf8((struct str){b->data, b->len}, NULL))
        rc = FAIL(f, ERR_CONFIG, "%s: not UTF-8 text without NUL", path);
out:
    close(fd);
    return rc;
}

static enum err read_line(const struct config_table *t, void *out, struct str line,
                          const char *place, bool *seen, struct fail *f) {
    struct str key, rest = line;
    line = str_trim(line);
    if (line.n == 0 || line.p[0] == '#') return ERR_OK;
    rest = line;
    if (!memchr(line.p, '=', line.n) || !str_split(&rest, '=', &key))
        return FAIL(f, ERR_CONFIG, "%s: \"%.*s\" is not of the form key = value", place,
                    (int)(line.n < 80 ? line.n : 80), line.p);
    key = str_trim(key);
    const struct config_row *row = row_find(t, key);
    if (!row)
        return FAIL(f, ERR_CONFIG, "%s: unknown option \"%.*s\"", place,
                    (int)(key.n < 80 ? key.n : 80), key.p);
    if (row->type == CONFIG_SECRET)
        return FAIL(f, ERR_CONFIG, "%s: %s is a secret: give it in %s%s or name a file in %s_file",
                    place, row->name, env_prefix, row->name, row->name);
    if (seen[row - t->rows]) return FAIL(f, ERR_CONFIG, "%s: %s is set twice", place, row->name);
    seen[row - t->rows] = true;
    return set_value(row, out, str_trim(rest), place, f);
}

static enum err read_config_file(const struct config_table *t, void *out, const char *path,
                                 struct fail *f) {
    enum err rc = ERR_OK;
    struct buf b;
    bool seen[256] = {0};
    char place[PLACE_BYTES];
    ASSERT(t->n_rows <= COUNT_OF(seen));
    buf_make(&b, LIMIT_CONFIG_FILE_BYTES);
    TRY(read_file(&b, path, f));
    struct str rest = {buf_str(&b), b.len}, line;
    for (int n = 1; str_split(&rest, '\n', &line); n++) {
        snprintf(place, sizeof(place), "%s:%d", path, n);
        TRY(read_line(t, out, line, place, seen, f));
    }
out:
    if (rc == ERR_LIMIT)
        rc = FAIL(f, ERR_CONFIG, "%s: larger than %d bytes", path, LIMIT_CONFIG_FILE_BYTES);
    buf_free(&b);
    return rc;
}

static void upper_name(char out[NAME_BYTES], const char *name) {
    size_t i = 0;
    for (; name[i] && i < NAME_BYTES - 1; i++)
        out[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 32) : name[i];
    out[i] = 0;
}

/* Looks MISORA_NAME up; NULL when it is not set. */
static const char *env_find(const char *name, const char *suffix) {
    char upper[NAME_BYTES], key[2 * NAME_BYTES];
    upper_name(upper, name);
    snprintf(key, sizeof(key), "%s%s%s", env_prefix, upper, suffix);
    return getenv(key);
}

/* A secret may sit in a file that only its owner can read; one trailing line end is cut. */
static enum err read_secret_file(const struct config_row *row, void *out, const char *path,
                                 struct fail *f) {
    enum err rc = ERR_OK;
    struct buf b;
    struct stat st;
    buf_make(&b, 4096);
    TRY(read_file(&b, path, f));
    if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXO | S_IWGRP))) {
        rc = FAIL(f, ERR_CONFIG, "%s: holds the secret %s but others may read or write it (chmod 600)",
                  path, row->name);
        goto out;
    }
    struct str s = {buf_str(&b), b.len};
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == '\r'))
        s.n--;
    if (s.n == 0) {
        rc = FAIL(f, ERR_CONFIG, "%s: empty, it should hold the secret %s", path, row->name);
        goto out;
    }
    TRY(set_value(row, out, s, path, f));
out:
    buf_free(&b);
    return rc;
}

static enum err read_environment(const struct config_table *t, void *out, struct fail *f) {
    enum err rc = ERR_OK;
    char place[PLACE_BYTES], upper[NAME_BYTES];
    for (int i = 0; i < t->n_rows; i++) {
        const struct config_row *row = &t->rows[i];
        const char *v = env_find(row->name, ""), *path = NULL;
        if (row->type == CONFIG_SECRET) path = env_find(row->name, "_FILE");
        upper_name(upper, row->name);
        snprintf(place, sizeof(place), "environment %s%s", env_prefix, upper);
        if (v) TRY(set_value(row, out, str_of(v), place, f));
        if (path) TRY(read_secret_file(row, out, path, f));
    }
out:
    return rc;
}

/* Turns --lease-ms into lease_ms; the row, or NULL. */
static const struct config_row *flag_row(const struct config_table *t, struct str flag) {
    char name[NAME_BYTES];
    if (!str_copy(name, sizeof(name), flag)) return NULL;
    for (char *c = name; *c; c++)
        if (*c == '-') *c = '_';
    const struct config_row *row = row_find(t, str_of(name));
    return row && row->type != CONFIG_SECRET ? row : NULL;
}

static enum err read_flag(const struct config_table *t, void *out, int argc, char **argv, int *i,
                          int *exit_code, struct fail *f) {
    struct str rest = str_of(argv[*i] + 2), name;
    bool has_value = strchr(argv[*i], '=') != NULL;
    str_split(&rest, '=', &name);
    const struct config_row *row = flag_row(t, name);
    *exit_code = EXIT_CODE_USAGE;
    if (!row) return FAIL(f, ERR_CONFIG, "unknown flag \"%.100s\" (see --help)", argv[*i]);
    struct str value = rest;
    if (!has_value && row->type == CONFIG_BOOL) {
        value = str_of("on");
    } else if (!has_value) {
        if (*i + 1 >= argc) return FAIL(f, ERR_CONFIG, "flag \"%.100s\" needs a value", argv[*i]);
        value = str_of(argv[++*i]);
    }
    *exit_code = EXIT_CODE_CONFIG;
    char place[PLACE_BYTES];
    snprintf(place, sizeof(place), "flag --%.*s", (int)name.n, name.p);
    return set_value(row, out, value, place, f);
}

static void print_help(const struct config_table *t) {
    printf("%s - %s\n\nusage: %s [--config FILE] [flags]\n\nflags (default):\n", t->program,
           t->about, t->program);
    for (int i = 0; i < t->n_rows; i++) {
        const struct config_row *row = &t->rows[i];
        if (row->type == CONFIG_SECRET) continue;
        char flag[NAME_BYTES];
        str_copy(flag, sizeof(flag), str_of(row->name));
        for (char *c = flag; *c; c++)
            if (*c == '_') *c = '-';
        printf("  --%-24s %s (%s)\n", flag, row->help, *row->preset ? row->preset : "none");
    }
    printf("  --%-24s print the effective values and stop\n", "check-config");
    printf("  --%-24s print a commented configuration file and stop\n", "sample-config");
    printf("  --%-24s print this and stop\n", "help");
    printf("\nEach flag is also KEY = VALUE in the file (with _ for -) and MISORA_KEY in the "
           "environment.\nSecrets come from the environment only, or from the file that "
           "MISORA_KEY_FILE names:\n");
    for (int i = 0; i < t->n_rows; i++)
        if (t->rows[i].type == CONFIG_SECRET)
            printf("  %-26s %s\n", t->rows[i].name, t->rows[i].help);
}

/* The words that are not options of the table: what they ask, and the file. */
struct words {
    const char *path;
    bool is_check, is_help, is_sample;
};

static enum err find_words(struct words *w, int argc, char **argv, struct fail *f) {
    *w = (struct words){0};
    for (int i = 1; i < argc; i++) {
        struct str s = str_of(argv[i]);
        if (!str_is_utf8(s, NULL)) return FAIL(f, ERR_CONFIG, "argument %d is not UTF-8 text", i);
        if (str_eq(s, "--help")) w->is_help = true;
        if (str_eq(s, "--check-config")) w->is_check = true;
        if (str_eq(s, "--sample-config")) w->is_sample = true;
        if (str_starts(s, "--config=")) w->path = argv[i] + strlen("--config=");
        if (str_eq(s, "--config") && i + 1 < argc) w->path = argv[i + 1];
        if (str_eq(s, "--config") && i + 1 >= argc)
            return FAIL(f, ERR_CONFIG, "flag \"--config\" needs a value");
    }
    return ERR_OK;
}

static enum err read_flags(const struct config_table *t, void *out, int argc, char **argv,
                           int *exit_code, struct fail *f) {
    for (int i = 1; i < argc; i++) {
        struct str s = str_of(argv[i]);
        if (str_eq(s, "--help") || str_eq(s, "--check-config") || str_eq(s, "--sample-config") ||
            str_starts(s, "--config="))
            continue;
        if (str_eq(s, "--config")) {
            i++;
            continue;
        }
        *exit_code = EXIT_CODE_USAGE;
        if (!str_starts(s, "--"))
            return FAIL(f, ERR_CONFIG, "unexpected argument \"%.100s\" (see --help)", argv[i]);
        enum err rc = read_flag(t, out, argc, argv, &i, exit_code, f);
        if (rc != ERR_OK) return rc;
    }
    return ERR_OK;
}

enum err config_read(const struct config_table *t, void *out, int argc, char **argv,
                     enum config_verdict *verdict, int *exit_code, struct fail *f) {
    enum err rc = ERR_OK;
    struct words words;
    *exit_code = EXIT_CODE_USAGE;
    *verdict = CONFIG_RUN;
    TRY(find_words(&words, argc, argv, f));
    *exit_code = EXIT_CODE_CONFIG;
    for (int i = 0; i < t->n_rows; i++)
        TRY(set_value(&t->rows[i], out, str_of(t->rows[i].preset), "built-in default", f));
    if (words.is_help || words.is_sample) {
        if (words.is_help) print_help(t);
        if (words.is_sample) config_print(t, NULL);
        *verdict = CONFIG_DONE;
        return ERR_OK;
    }
    if (words.path) TRY(read_config_file(t, out, words.path, f));
    TRY(read_environment(t, out, f));
    TRY(read_flags(t, out, argc, argv, exit_code, f));
    if (words.is_check) {
        config_print(t, out);
        *verdict = CONFIG_DONE;
    }
out:
    return rc;
}

static void print_value(const struct config_row *row, const void *values) {
    const void *at = (const char *)values + row->offset;
    switch (row->type) {
    case CONFIG_INT: printf("%s = %" PRId64 "\n", row->name, *(const int64_t *)at); break;
    case CONFIG_REAL: printf("%s = %.15g\n", row->name, *(const double *)at); break;
    case CONFIG_BOOL: printf("%s = %s\n", row->name, *(const bool *)at ? "on" : "off"); break;
    case CONFIG_MS: printf("%s = %" PRId64 "ms\n", row->name, *(const int64_t *)at); break;
    case CONFIG_BYTES: printf("%s = %" PRId64 "\n", row->name, *(const int64_t *)at); break;
    case CONFIG_TEXT: printf("%s = %s\n", row->name, *(char *const *)at); break;
    case CONFIG_SECRET:
        printf("# %s is %s\n", row->name, **(char *const *)at ? "set (hidden)" : "not set");
        break;
    }
}

void config_print(const struct config_table *t, const void *values) {
    if (!values) printf("# %s: %s\n", t->program, t->about);
    for (int i = 0; i < t->n_rows; i++) {
        const struct config_row *row = &t->rows[i];
        if (values)
            print_value(row, values);
        else if (row->type != CONFIG_SECRET)
            printf("\n# %s\n# %s = %s\n", row->help, row->name, row->preset);
    }
}

void config_free(const struct config_table *t, void *out) {
    for (int i = 0; i < t->n_rows; i++) {
        if (!is_text(&t->rows[i])) continue;
        char **at = field(&t->rows[i], out);
        if (*at && t->rows[i].type == CONFIG_SECRET) explicit_bzero(*at, strlen(*at));
        mem_free(*at);
        *at = NULL;
    }
}
