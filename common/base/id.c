#include "common/base/id.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/assert.h"
#include "common/base/now.h"

void id_random(void *out, size_t n) {
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) continue; /* EINTR is the only error without flags */
        p += got;
        n -= (size_t)got;
    }
}

/* Two ids of one millisecond must still sort in the order they were made: the 12 bits after the
 * version count up and borrow from the next millisecond when they are used up. */
static uint64_t next_stamp(void) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint64_t last;
    pthread_mutex_lock(&lock);
    uint64_t stamp = (uint64_t)now_wall_ms() << 12;
    if (stamp <= last) stamp = last + 1;
    last = stamp;
    pthread_mutex_unlock(&lock);
    return stamp;
}

void id_uuid7_hex(char out[ID_HEX + 1]) {
    uint64_t stamp = next_stamp(), tail;
    id_random(&tail, sizeof(tail));
    uint64_t head = (stamp >> 12 << 16) | 0x7000 | (stamp & 0xfff);
    tail = (tail & 0x3fffffffffffffff) | 0x8000000000000000;
    snprintf(out, ID_HEX + 1, "%016llx%016llx", (unsigned long long)head,
             (unsigned long long)tail);
}

void id_make(char out[ID_BYTES_MAX], const char *prefix) {
    size_t n = strlen(prefix);
    ASSERT(n + ID_HEX + 1 <= ID_BYTES_MAX);
    memcpy(out, prefix, n);
    id_uuid7_hex(out + n);
}

bool id_is_valid(struct str s, const char *prefix) {
    size_t n = strlen(prefix);
    return str_starts(s, prefix) && str_is_hex((struct str){s.p + n, s.n - n}, ID_HEX);
}

int64_t id_time_ms(struct str s, const char *prefix) {
    if (!id_is_valid(s, prefix)) return -1;
    int64_t ms = 0;
    for (size_t i = strlen(prefix), end = i + 12; i < end; i++)
        ms = ms * 16 + (s.p[i] <= '9' ? s.p[i] - '0' : s.p[i] - 'a' + 10);
    return ms;
}
