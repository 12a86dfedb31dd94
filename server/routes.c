#include "server/routes.h"

#include "common/base/assert.h"
#include "server/characters.h"
#include "server/content.h"
#include "server/create.h"
#include "server/estimates.h"
#include "server/events.h"
#include "server/files.h"
#include "server/health.h"
#include "server/hooks.h"
#include "server/link.h"
#include "server/page.h"
#include "server/revise.h"
#include "server/videos.h"

/* Literal paths first: the first path that fits decides. */
static const struct route rows[] = {
    {"GET", "/", ROUTE_OPEN, ROUTE_BODY_NONE, page_root, "page"},
    {"GET", "/web/{id}", ROUTE_OPEN, ROUTE_BODY_NONE, page_get, "page.file"},
    {"GET", "/media/{id}", ROUTE_OPEN, ROUTE_BODY_NONE, link_follow, "media"},
    {"GET", "/healthz", ROUTE_OPEN, ROUTE_BODY_NONE, health_live, "healthz"},
    {"GET", "/health", ROUTE_OPEN, ROUTE_BODY_NONE, health_live, "health"},
    {"GET", "/readyz", ROUTE_OPEN, ROUTE_BODY_NONE, health_ready, "readyz"},
    {"GET", "/v1/models", ROUTE_KEY, ROUTE_BODY_NONE, health_models, "models.list"},
    {"GET", "/v1/models/{id}", ROUTE_KEY, ROUTE_BODY_NONE, health_model, "models.get"},
    {"GET", "/v1/queue", ROUTE_KEY, ROUTE_BODY_NONE, health_queue, "queue"},
    {"GET", "/v1/webhooks/default/secret", ROUTE_KEY, ROUTE_BODY_NONE, hooks_secret,
     "webhooks.secret"},
    {"POST", "/v1/videos", ROUTE_KEY, ROUTE_BODY_FORM, create_run, "videos.create"},
    {"GET", "/v1/videos", ROUTE_KEY, ROUTE_BODY_NONE, videos_list, "videos.list"},
    {"POST", "/v1/videos/edits", ROUTE_KEY, ROUTE_BODY_CLIP, create_run, "videos.edit"},
    {"POST", "/v1/videos/extensions", ROUTE_KEY, ROUTE_BODY_CLIP, create_run, "videos.extend"},
    {"POST", "/v1/videos/connections", ROUTE_KEY, ROUTE_BODY_CLIP, create_run, "videos.connect"},
    {"POST", "/v1/videos/loops", ROUTE_KEY, ROUTE_BODY_CLIP, create_run, "videos.loop"},
    {"POST", "/v1/videos/estimates", ROUTE_KEY, ROUTE_BODY_CLIP, estimates_create,
     "videos.estimate"},
    {"POST", "/v1/videos/characters", ROUTE_KEY, ROUTE_BODY_CLIP, characters_create,
     "characters.create"},
    {"GET", "/v1/videos/characters/{id}", ROUTE_KEY, ROUTE_BODY_NONE, characters_get,
     "characters.get"},
    {"POST", "/v1/images/generations", ROUTE_KEY, ROUTE_BODY_JSON, create_run, "images.generate"},
    {"POST", "/v1/files", ROUTE_KEY, ROUTE_BODY_CLIP, files_create, "files.create"},
    {"GET", "/v1/files", ROUTE_KEY, ROUTE_BODY_NONE, files_list, "files.list"},
    {"GET", "/v1/files/{id}", ROUTE_KEY, ROUTE_BODY_NONE, files_get, "files.get"},
    {"DELETE", "/v1/files/{id}", ROUTE_KEY, ROUTE_BODY_NONE, files_delete, "files.delete"},
    {"GET", "/v1/files/{id}/content", ROUTE_KEY, ROUTE_BODY_NONE, files_content, "files.content"},
    {"POST", "/v1/prompts/upsample", ROUTE_KEY, ROUTE_BODY_JSON, revise_preview,
     "prompts.upsample"},
    {"GET", "/v1/videos/{id}", ROUTE_KEY, ROUTE_BODY_NONE, videos_get, "videos.get"},
    {"DELETE", "/v1/videos/{id}", ROUTE_KEY, ROUTE_BODY_NONE, videos_delete, "videos.delete"},
    {"GET", "/v1/videos/{id}/content", ROUTE_KEY, ROUTE_BODY_NONE, content_get, "videos.content"},
    {"GET", "/v1/videos/{id}/url", ROUTE_KEY, ROUTE_BODY_NONE, link_make, "videos.url"},
    {"GET", "/v1/videos/{id}/events", ROUTE_KEY, ROUTE_BODY_NONE, events_get, "videos.events"},
    {"POST", "/v1/videos/{id}/cancel", ROUTE_KEY, ROUTE_BODY_NONE, videos_cancel, "videos.cancel"},
    {"POST", "/v1/videos/{id}/remix", ROUTE_KEY, ROUTE_BODY_FORM, create_run, "videos.remix"},
};

const struct route_table routes_api = {rows, COUNT_OF(rows)};

void routes_print(FILE *to) {
    for (int i = 0; i < COUNT_OF(rows); i++)
        fprintf(to, "%s %s\n", rows[i].method, rows[i].path);
}
