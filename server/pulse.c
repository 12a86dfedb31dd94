#include "server/pulse.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/now.h"
#include "common/base/str.h"
#include "common/queue_view.h"

void pulse_make(struct pulse *p) {
    *p = (struct pulse){.n_workers = PULSE_UNKNOWN, .n_of_lane = PULSE_UNKNOWN};
    pthread_mutex_init(&p->lock, NULL);
}

void pulse_free(struct pulse *p) {
    pthread_mutex_destroy(&p->lock);
}

/* True when the caller is the one who counts now; the others take the old figures meanwhile. */
static bool is_my_turn(struct pulse *p) {
    int64_t now = now_mono_ms();
    pthread_mutex_lock(&p->lock);
    bool is = !p->read_ms || now - p->read_ms >= PULSE_MS;
    if (is) p->read_ms = now;
    pthread_mutex_unlock(&p->lock);
    return is;
}

static int of_lane(const struct queue_stat *stat, const char *lane) {
    for (int i = 0; i < stat->n_lanes; i++)
        if (strcmp(stat->lane[i].name, lane) == 0) return stat->lane[i].n_workers;
    return 0;
}

static enum err count(struct pulse *p, struct redis *r, const char *lane, struct fail *f) {
    struct queue_stat *stat = mem_take(1, sizeof(*stat));
    enum err rc = stat ? queue_view_stat(r, stat, f)
                       : FAIL(f, ERR_NOMEM, "no memory for the figures of the queue");
    pthread_mutex_lock(&p->lock);
    if (rc == ERR_OK) {
        p->n_workers = stat->n_workers;
        p->n_of_lane = of_lane(stat, lane);
    } else {
        p->read_ms = 0; /* nobody knows: the next one asks again */
    }
    pthread_mutex_unlock(&p->lock);
    mem_free(stat);
    return rc;
}

enum err pulse_take(struct pulse *p, struct redis *r, const char *lane, int *n_workers,
                    int *n_of_lane, struct fail *f) {
    const struct str ping = str_of("PING");
    enum err rc = is_my_turn(p) ? count(p, r, lane, f) : redis_call(r, NULL, 1, &ping, f);
    pthread_mutex_lock(&p->lock);
    *n_workers = p->n_workers;
    *n_of_lane = p->n_of_lane;
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int pulse_lane_workers(struct pulse *p, struct redis *r, const char *lane) {
    if (is_my_turn(p) && count(p, r, lane, NULL) != ERR_OK) return PULSE_UNKNOWN;
    pthread_mutex_lock(&p->lock);
    int n = p->n_of_lane;
    pthread_mutex_unlock(&p->lock);
    return n;
}
