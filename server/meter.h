/* meter.h - the counters of the HTTP side: requests by route and class of status, time, jobs made,
 * requests that wait. Any thread. */
#ifndef SERVER_METER_H
#define SERVER_METER_H

#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "server/route.h"

struct meter;

enum meter_gauge {
    METER_PARKED,
    METER_ACTIVE,
    METER_QUEUED_LOW,
    METER_QUEUED_NORMAL,
    METER_QUEUED_HIGH,
    METER_OLDEST_S,
    METER_RUNNING,
    METER_WORKERS_BUSY,
    METER_WORKERS_IDLE,
    METER_REDIS_UP,
    METER_GAUGE_COUNT
};

MUST_CHECK enum err meter_make(struct meter **out, const struct route_table *routes,
                               struct fail *f);
void meter_free(struct meter *m);

/* `route` NULL: no route was found. */
void meter_request(struct meter *m, const struct route *route, int status, int64_t took_us);
void meter_job(struct meter *m);
void meter_set(struct meter *m, enum meter_gauge gauge, double v);

MUST_CHECK enum err meter_write(struct meter *m, struct buf *out, struct fail *f);

#endif
