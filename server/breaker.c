#include "server/breaker.h"

#include "common/base/assert.h"

void breaker_make(struct breaker *b) {
    *b = (struct breaker){.is_shut = false};
    pthread_mutex_init(&b->lock, NULL);
}

void breaker_free(struct breaker *b) {
    pthread_mutex_destroy(&b->lock);
}

bool breaker_may_pass(struct breaker *b, int64_t now_ms) {
    pthread_mutex_lock(&b->lock);
    bool may = !b->is_shut || (now_ms >= b->until_ms && !b->is_probing);
    if (may && b->is_shut) b->is_probing = true;
    pthread_mutex_unlock(&b->lock);
    return may;
}

/* Those who passed before the door was shut come back late and slow: they keep it shut. */
void breaker_note(struct breaker *b, int64_t began_ms, int64_t now_ms) {
    ASSERT(now_ms >= began_ms);
    bool is_slow = now_ms - began_ms >= BREAKER_SLOW_MS;
    pthread_mutex_lock(&b->lock);
    if (is_slow) b->until_ms = now_ms + BREAKER_SHUT_MS;
    b->is_shut = is_slow;
    b->is_probing = false;
    pthread_mutex_unlock(&b->lock);
}
