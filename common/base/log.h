/* log.h - one line per event: `ts level event key=value ...`.
 *
 * 2026-01-02T03:04:05.678Z info step.done job=video_01.. step=7/20 ms=412
 * Values with blanks, quotes or control bytes are quoted and escaped, so that nothing a stranger
 * sends can forge a line. Event names are `noun.verb`. No prompt text above debug. Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "common/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_LEVEL_COUNT };

/* Called once at start, before threads. The default is LOG_INFO on stderr. */
void log_set_level(enum log_level level);
bool log_parse_level(const char *name, enum log_level *out);
/* fmt gives the "key=value" part; it is escaped as a whole: control bytes become \xNN. */
void log_line(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Writes `text` as a value: as it is, or in quotes with escapes. Returns `out`. */
const char *log_value(char *out, int cap, const char *text);
/* A failure as an event: code, place and text. */
void log_fail(enum log_level level, const char *event, const struct fail *f);

#ifdef __cplusplus
}
#endif
#endif
