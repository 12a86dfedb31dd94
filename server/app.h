/* app.h - what happens to every request, whatever its route: CORS, drain, route, key, rate, body,
 * log line. The callbacks of server/http.h. Any thread. */
#ifndef SERVER_APP_H
#define SERVER_APP_H

#include "server/body.h"
#include "server/server.h"

/* The API. */
struct http_app app_api(struct server *s);
/* /metrics alone, on its own socket. */
struct http_app app_metrics(struct server *s);

/* The body of this request after all of it came; NULL on routes that take none. */
struct body *app_body(struct request *req);

#endif
