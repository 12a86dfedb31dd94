/* events.h - GET /v1/videos/{id}/events: the life of one job as server-sent events.
 *
 * The first event is a snapshot of the job, unless Last-Event-ID names one that is still kept; then
 * the stream goes on behind it without gap or repeat. It ends after the event of the job's end. A
 * comment every 15 s finds clients that are gone. */
#ifndef SERVER_EVENTS_H
#define SERVER_EVENTS_H

#include "server/server.h"

enum { EVENTS_COMMENT_MS = 15000 };

void events_get(struct server *s, struct request *req);

#endif
