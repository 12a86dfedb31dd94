/* health.h - is it alive, is it ready, how long is the queue, what models are there. Any thread. */
#ifndef SERVER_HEALTH_H
#define SERVER_HEALTH_H

#include "server/server.h"

void health_live(struct server *s, struct request *req);  /* touches nothing */
void health_ready(struct server *s, struct request *req); /* 503 without Redis or when leaving */
void health_queue(struct server *s, struct request *req);
void health_models(struct server *s, struct request *req);
/* Brings the gauges of the meter up to date. */
void health_measure(struct server *s, struct request *req);
void health_model(struct server *s, struct request *req);

#endif
