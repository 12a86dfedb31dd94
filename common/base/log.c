#include "common/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/assert.h"

enum { LINE_BYTES = 2048 };

static const char *const level_names[LOG_LEVEL_COUNT] = {"debug", "info", "warn", "error"};
static _Atomic int min_level = LOG_INFO;

void log_set_level(enum log_level level) {
    atomic_store(&min_level, (int)level);
}

bool log_parse_level(const char *name, enum log_level *out) {
    for (int i = 0; i < LOG_LEVEL_COUNT; i++)
        if (strcmp(name, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

static int write_head(char *line, int cap, enum log_level level, const char *event) {
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    return snprintf(line, (size_t)cap, "%s.%03ldZ %s %s ", stamp, now.tv_nsec / 1000000,
                    level_names[level], event);
}

/* Control bytes would let a value start a new line or colour a terminal. */
static int escape_controls(char *out, int cap, const char *text) {
    int n = 0;
    for (const unsigned char *c = (const unsigned char *)text; *c && n < cap - 5; c++)
        n += *c < 0x20 || *c == 0x7f ? snprintf(out + n, 5, "\\x%02x", *c)
                                     : snprintf(out + n, 2, "%c", *c);
    return n;
}

void log_line(enum log_level level, const char *event, const char *fmt, ...) {
    if ((int)level < atomic_load_explicit(&min_level, memory_order_relaxed)) return;
    char body[LINE_BYTES / 2], line[LINE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(body, sizeof(body), fmt, ap);
    va_end(ap);
    int n = write_head(line, LINE_BYTES / 2, level, event);
    n += escape_controls(line + n, LINE_BYTES - n - 1, body);
    while (n > 0 && line[n - 1] == ' ')
        n--;
    line[n++] = '\n';
    /* One write per line keeps lines of several threads whole. A full disk drops the line. */
    ssize_t ignored = write(STDERR_FILENO, line, (size_t)n);
    (void)ignored;
}

static bool is_plain(const char *text) {
    if (!*text) return false;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c <= 0x20 || *c == '"' || *c == '\\' || *c == '=' || *c == 0x7f) return false;
    return true;
}

const char *log_value(char *out, int cap, const char *text) {
    ASSERT(cap >= 8);
    if (is_plain(text)) {
        snprintf(out, (size_t)cap, "%s", text);
        return out;
    }
    int n = 0;
    out[n++] = '"';
    for (const unsigned char *c = (const unsigned char *)text; *c && n < cap - 7; c++) {
        if (*c == '"' || *c == '\\') out[n++] = '\\';
        if (*c < 0x20 || *c == 0x7f)
            n += snprintf(out + n, 5, "\\x%02x", *c);
        else
            out[n++] = (char)*c;
    }
    out[n++] = '"';
    out[n] = 0;
    return out;
}

void log_fail(enum log_level level, const char *event, const struct fail *f) {
    char text[sizeof(f->text) + 64];
    log_line(level, event, "code=%s where=%s text=%s", err_name(f->code), f->where ? f->where : "-",
             log_value(text, sizeof(text), f->text));
}
