/* breaker.h - keeps a stalled Redis from stalling every thread.
 *
 * A call to a Redis that hangs costs its whole deadline. Without this, requests would queue behind
 * each other for many deadlines, health checks too. After one such call the door is shut for
 * BREAKER_SHUT_MS: requests fail at once. Then one probe at a time may pass until one comes back
 * in good time. Any thread; time comes from the caller. */
#ifndef SERVER_BREAKER_H
#define SERVER_BREAKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    BREAKER_SLOW_MS = 1500, /* an exchange that took this long was a stall */
    BREAKER_SHUT_MS = 1000,
};

struct breaker {
    pthread_mutex_t lock;
    bool is_shut;
    bool is_probing; /* one request is finding out */
    int64_t until_ms;
};

void breaker_make(struct breaker *b);
void breaker_free(struct breaker *b);

/* True: go on, and tell breaker_note() how it went. */
bool breaker_may_pass(struct breaker *b, int64_t now_ms);
void breaker_note(struct breaker *b, int64_t began_ms, int64_t now_ms);

#endif
