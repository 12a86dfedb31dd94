/* id.h - identifiers: time-sortable UUIDv7 (RFC 9562) and random bytes. Any thread. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

enum { ID_HEX = 32, ID_BYTES_MAX = 48 };

/* Fills n bytes from the kernel's generator; never fails after boot, else the process stops. */
void id_random(void *out, size_t n);
/* 32 lower-case hex digits of a UUIDv7 plus NUL; increases within a process even within one ms. */
void id_uuid7_hex(char out[ID_HEX + 1]);
/* `prefix` + 32 hex digits, as in "video_0197...". */
void id_make(char out[ID_BYTES_MAX], const char *prefix);
/* True when s is `prefix` and 32 lower-case hex digits: checked before any lookup. */
bool id_is_valid(struct str s, const char *prefix);
/* Milliseconds since 1970 that a UUIDv7 id with this prefix carries; -1 when it is not valid. */
int64_t id_time_ms(struct str s, const char *prefix);

#endif
