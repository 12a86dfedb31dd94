/* now.h - the clocks of a process.
 *
 * Deadlines use the monotonic clock, which also counts while a machine is suspended; wall time is
 * for people and for signatures and is never compared across hosts. */
#ifndef BASE_NOW_H
#define BASE_NOW_H

#include <stdint.h>

/* Milliseconds since boot (CLOCK_BOOTTIME). */
int64_t now_mono_ms(void);
/* Microseconds since boot, for timings. */
int64_t now_mono_us(void);
/* Milliseconds since 1970-01-01 UTC. */
int64_t now_wall_ms(void);
void now_sleep_ms(int64_t ms);

#endif
