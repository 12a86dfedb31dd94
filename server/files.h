/* files.h - /v1/files: pictures and clips that are sent once and named many times.
 *
 * The bytes lie in the store under their hash, once for all who send them; the record of the
 * tenant is a note in Redis. Any thread. */
#ifndef SERVER_FILES_H
#define SERVER_FILES_H

#include "common/job.h"
#include "server/server.h"

void files_create(struct server *s, struct request *req);
void files_list(struct server *s, struct request *req);
void files_get(struct server *s, struct request *req);
void files_content(struct server *s, struct request *req);
void files_delete(struct server *s, struct request *req);

/* A file of this tenant as the asset of a job. ERR_NOT_FOUND: there is none. */
MUST_CHECK enum err files_find(struct redis *r, struct job_asset *out, const char *id,
                               const char *tenant, struct fail *f);

#endif
