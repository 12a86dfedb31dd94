/* images.h - POST /v1/images/generations: the connection waits for its jobs and gets the pictures.
 *
 * Each picture is a job like any other, so a lost worker costs nothing but time. */
#ifndef SERVER_IMAGES_H
#define SERVER_IMAGES_H

#include "server/server.h"
#include "server/validate.h"

struct images_ask {
    int n;
    char id[VALIDATE_IMAGES_MAX][QUEUE_ID_MAX];
    bool wants_url, wants_stream;
};

/* Replies when all jobs have ended, or after IMAGES_WAIT_MS. */
void images_wait(struct server *s, struct request *req, const struct images_ask *ask);

/* What this request is already waiting for, or NULL; the next look at it. */
struct images *images_find(struct request *req);
void images_continue(struct server *s, struct request *req);

#endif
