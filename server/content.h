/* content.h - GET and HEAD of /v1/videos/{id}/content: the bytes, whole or in part. Any thread. */
#ifndef SERVER_CONTENT_H
#define SERVER_CONTENT_H

#include "common/receipt.h"
#include "server/server.h"

/* ?variant=video (default), thumbnail or spritesheet. 404 video_not_ready before the end, 410
 * after the file's lifetime. The ETag is the SHA-256 of the bytes. */
void content_get(struct server *s, struct request *req);
/* The stored object that the request names by id and variant; false when the reply was set. */
bool content_find(struct server *s, struct request *req, struct receipt_object *out,
                  enum receipt_variant *variant);
/* A stored object with validators and ranges; `id` is what the file is called. */
void content_send(struct server *s, struct request *req, const struct receipt_object *object,
                  const char *id);

#endif
