/* validate.h - the fields of a request body become a valid job, or a problem that says what to
 * change. Each field is a row of one table; aliases of other services' names are rows too. Does no
 * I/O: files that the job needs are only named, and stored later by the caller. */
#ifndef SERVER_VALIDATE_H
#define SERVER_VALIDATE_H

#include <stdbool.h>

#include "common/guard.h"
#include "common/job.h"
#include "server/body.h"
#include "server/models.h"
#include "server/request.h"

enum { VALIDATE_IMAGES_MAX = 10, VALIDATE_WARNINGS_MAX = 8, VALIDATE_WARNING_SIZE = 160 };

/* Pictures and clips that a job may need, each an asset of the job. */
enum validate_slot {
    VALIDATE_FIRST_FRAME,
    VALIDATE_LAST_FRAME,
    VALIDATE_VIDEO,
    VALIDATE_SECOND_VIDEO,
    VALIDATE_MASK,
    VALIDATE_SLOT_COUNT
};

/* Where one comes from: a file of the body, a data: URL in a field, or what an id stands for. */
struct validate_source {
    bool is_given;
    int file; /* index into body.files, -1: decode `url` first, or look `id` up */
    struct str url;
    const char *id;    /* video_.. or file-..; NULL: none */
    const char *param; /* its name for error texts */
};

struct validate_result {
    struct job job; /* job_free() is the caller's in every case; its assets are still empty */
    struct validate_source source[VALIDATE_SLOT_COUNT];
    bool has_size;
    int n_characters;
    const char *character; /* id of the first one */
    int n_images;          /* of an image request, 1 to VALIDATE_IMAGES_MAX */
    bool wants_url;        /* of them: links, not bytes */
    bool wants_stream;
    int n_warnings;
    char warnings[VALIDATE_WARNINGS_MAX][VALIDATE_WARNING_SIZE];
};

struct operation;

struct validate_rules {
    const struct operation *op;
    struct str path_id; /* of a route that names the source; else empty */
    const struct models *models;
    const struct guard_rules *hooks; /* which webhook URLs are allowed */
    bool is_estimate;                /* nothing is made: sizes may stand for files */
    bool is_lenient;                 /* unknown fields become warnings */
};

/* What body_open() needs to know about names. */
extern const struct body_schema validate_schema;

MUST_CHECK enum err validate_create(struct validate_result *out, const struct body *body,
                                    const struct validate_rules *rules, struct problem *p);

/* The field that fills a slot, and the asset of the job that it becomes. */
const char *validate_slot_name(enum validate_slot slot);
bool validate_slot_is_video(enum validate_slot slot);
struct job_asset *validate_slot_asset(struct job *job, enum validate_slot slot);

/* Checks one clip by its first bytes, as validate_image() does a picture. */
MUST_CHECK enum err validate_video(struct job_asset *asset, const struct body_file *file,
                                   const char *param, const char **extension, struct problem *p);
/* Checks one picture by its first bytes; fills type and size of `asset`, not its hash. */
MUST_CHECK enum err validate_image(struct job_asset *asset, const struct body_file *file,
                                   const char *param, const char **extension, struct problem *p);

/* Headers that stand for fields: X-Fal-Queue-Priority, Cancel-After. */
MUST_CHECK enum err validate_headers(struct job *job, const struct request *req, struct problem *p);

#endif
