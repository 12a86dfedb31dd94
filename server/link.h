/* link.h - links to a finished video that anybody may follow for a while.
 *
 *   GET /v1/videos/{id}/url   {"object":"video.url","url","expires_at",...}
 *   GET /media/{id}?variant=&tenant=&exp=&sig=   the bytes, without a key
 *
 * With an S3 store the link is a presigned GET of that store. Without one it leads back to us (or
 * to the proxy in front): sig is HMAC-SHA256 over version, id, variant, tenant and time of expiry
 * by link_secret, compared in constant time. URLs are built from public_url, never from a request.
 */
#ifndef SERVER_LINK_H
#define SERVER_LINK_H

#include "server/server.h"

enum { LINK_SECONDS_MAX = 604800, LINK_SECONDS_USUAL = 3600, LINK_SECRET_MIN = 24 };

void link_make(struct server *s, struct request *req);
void link_follow(struct server *s, struct request *req);

#endif
