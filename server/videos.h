/* videos.h - the handlers of /v1/videos: list, get, cancel, delete. Any thread. */
#ifndef SERVER_VIDEOS_H
#define SERVER_VIDEOS_H

#include "common/queue_view.h"
#include "server/server.h"
#include "server/video.h"

void videos_list(struct server *s, struct request *req);
void videos_get(struct server *s, struct request *req);
void videos_cancel(struct server *s, struct request *req);
void videos_delete(struct server *s, struct request *req);

/* The id of the path, checked by its form; NULL when the reply was set (404 without a look-up). */
const char *videos_id(struct request *req);
/* Reads the job of the path; on failure the reply was set. Free with queue_view_free(). */
MUST_CHECK enum err videos_find(struct request *req, struct redis *r, struct queue_view *out);
/* The reply is the Video, with the header that tells pollers when to come back. */
void videos_reply(struct server *s, struct request *req, const struct queue_job *job,
                  const struct video_extra *extra);

#endif
