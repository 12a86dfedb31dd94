/* route.h - the table of routes: method, path, who may, how much body, which handler.
 *
 * Matching is on the raw path, byte for byte, without decoding: %2e, //, /./ and ;x never reach a
 * handler. Literal paths stand before those with {id}, so `edits` is never an id. Pure. */
#ifndef SERVER_ROUTE_H
#define SERVER_ROUTE_H

#include <stdint.h>

#include "server/request.h"

struct server;

enum route_auth {
    ROUTE_OPEN, /* health: no key */
    ROUTE_KEY   /* an API key, unless the server runs with --no-auth */
};

enum route_body {
    ROUTE_BODY_NONE, /* read and thrown away up to 64 KiB */
    ROUTE_BODY_JSON, /* application/json, up to LIMIT_JSON_BODY_BYTES */
    ROUTE_BODY_FORM, /* JSON or multipart/form-data, with pictures */
    ROUTE_BODY_CLIP, /* the same with clips, which are larger */
    ROUTE_BODY_DRAIN /* read and thrown away: the operation does not exist yet */
};

/* Sets a reply or parks the request. */
typedef void (*route_fn)(struct server *s, struct request *req);

struct route {
    const char *method;
    const char *path; /* {id} stands for one segment */
    enum route_auth auth;
    enum route_body body;
    route_fn handler;
    const char *name; /* label in metrics and logs */
};

struct route_table {
    const struct route *rows;
    int n_rows;
};

enum route_verdict {
    ROUTE_FOUND,     /* HEAD finds the row of GET */
    ROUTE_NO_METHOD, /* the path exists, this method does not: `allow` names the others */
    ROUTE_NO_PATH,
    ROUTE_OPTIONS /* OPTIONS on a path that exists: `allow` is filled */
};

enum { ROUTE_ALLOW_MAX = 64 };

/* Fills req->route and req->path_id when found. */
enum route_verdict route_find(const struct route_table *table, struct request *req,
                              char allow[ROUTE_ALLOW_MAX]);

#endif
