#include "common/base/now.h"

#include <errno.h>
#include <time.h>

static int64_t read_us(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t now_mono_ms(void) {
    return read_us(CLOCK_BOOTTIME) / 1000;
}

int64_t now_mono_us(void) {
    return read_us(CLOCK_BOOTTIME);
}

int64_t now_wall_ms(void) {
    return read_us(CLOCK_REALTIME) / 1000;
}

void now_sleep_ms(int64_t ms) {
    if (ms <= 0) return;
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}
