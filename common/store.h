/* store.h - objects on a local directory, and behind it in an S3 store: videos, thumbnails,
 * uploads.
 *
 * An object appears whole or not at all: bytes go to tmp/, are fsynced, and are then linked to
 * their name; a name is never overwritten. Keys are ours (built from ids and hex), but are checked
 * here all the same and walked with openat and O_NOFOLLOW, so a bad key cannot leave the directory.
 *
 *   DIR/obj/t/ID/EPOCH-NONCE8.mp4   results, the lease is part of the name: two attempts never meet
 *   DIR/obj/u/SHA256.ext            uploads, named by their content: the same file twice is one
 * object DIR/tmp/                        what is being written; swept when old
 *
 * With store_attach() an S3 store is where objects live, under the same keys: a put is done when it
 * is there, a find brings the object here first, a remove is for both. The directory is then only a
 * copy that may be lost, and is emptied of what is older than a day. A key never changes its
 * meaning, so a copy is never stale.
 *
 * Any thread may use one struct store at once; it holds only a descriptor. Knows nothing of jobs.
 */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/sha256.h"

struct s3;
struct s3_conf;

enum { STORE_KEY_MAX = 159, STORE_DEPTH_MAX = 4, STORE_PATH_MAX = 1024, STORE_TYPE_MAX = 32 };

struct store {
    int root_fd, tmp_fd, obj_fd;
    const struct s3 *remote;   /* borrowed; NULL: this directory is all there is */
    _Atomic int64_t evicted_s; /* when old copies were last removed */
    char dir[STORE_PATH_MAX];
};

/* What a put leaves behind; the caller writes it to Redis. */
struct store_object {
    char key[STORE_KEY_MAX + 1];
    uint64_t size_bytes;
    char sha256[65];
};

/* An object opened for reading. `path` is absolute, for nginx (X-Accel-Redirect) and libav;
 * `fd` belongs to the caller. `sha256` is filled only for uploads, whose name it is. */
struct store_found {
    int fd;
    uint64_t size_bytes;
    int64_t modified_s;
    char path[STORE_PATH_MAX + STORE_KEY_MAX + 8];
    char type[STORE_TYPE_MAX]; /* media type by extension, application/octet-stream if unknown */
    char sha256[65];
};

/* An upload that is still arriving. Owner: one thread. */
struct store_upload {
    struct store *store;
    int fd;
    char name[40];
    uint64_t size_bytes, max_bytes;
    struct sha256 hash;
};

/* Makes DIR, DIR/obj, DIR/tmp (0750) where missing and proves that a file can be written there. */
MUST_CHECK enum err store_open(struct store *s, const char *dir, struct fail *f);
void store_close(struct store *s);
/* Opens the directory and, when conf names an endpoint, attaches that store, for which `room` is
 * filled and lives as long as *s. fetch_start() came before. */
MUST_CHECK enum err store_open_backed(struct store *s, const char *dir, struct s3 *room,
                                      const struct s3_conf *conf, struct fail *f);
/* From now on objects live in `remote`, which outlives the store. ERR_CONFIG in words when it
 * cannot be asked. */
MUST_CHECK enum err store_attach(struct store *s, const struct s3 *remote, struct fail *f);
/* A link to GET the object from anywhere, for `seconds`. ERR_UNSUPPORTED without an S3 store. */
MUST_CHECK enum err store_link(const struct store *s, struct buf *out, const char *key,
                               int64_t seconds, struct fail *f);

/* True for 1..4 segments of [A-Za-z0-9_-][A-Za-z0-9._-]*, joined by single slashes, <= 159 bytes.
 */
bool store_key_is_ok(const char *key);

/* Copies the file or the bytes to `key`. Putting the same bytes again is OK; other bytes under an
 * existing key are ERR_CONFLICT. ERR_DISK when the device is full; then nothing is left behind. */
MUST_CHECK enum err store_put_file(struct store *s, struct store_object *out, const char *key,
                                   const char *path, struct fail *f);
MUST_CHECK enum err store_put_bytes(struct store *s, struct store_object *out, const char *key,
                                    const void *data, size_t n, struct fail *f);

/* ERR_NOT_FOUND or ERR_INPUT (bad key). On ERR_OK close out->fd with store_found_close. */
MUST_CHECK enum err store_find(struct store *s, struct store_found *out, const char *key,
                               struct fail *f);
void store_found_close(struct store_found *found);

/* Idempotent: a missing object is ERR_OK. Also drops the object's directory when it became empty.
 */
MUST_CHECK enum err store_remove(struct store *s, const char *key, struct fail *f);

/* A streamed upload: begin, add as bytes arrive, then end or drop. The key becomes u/SHA256.ext;
 * `ext` is ours (png, jpg, webp, mp4), never the client's. ERR_LIMIT past max_bytes. */
MUST_CHECK enum err store_upload_begin(struct store *s, struct store_upload *up, uint64_t max_bytes,
                                       struct fail *f);
MUST_CHECK enum err store_upload_add(struct store_upload *up, const void *data, size_t n,
                                     struct fail *f);
MUST_CHECK enum err store_upload_end(struct store_upload *up, struct store_object *out,
                                     const char *ext, struct fail *f);
void store_upload_drop(struct store_upload *up);
/* "png" for "image/png"; "bin" for what we do not know. Static storage. */
const char *store_ext_of(const char *type);
/* The key that store_upload_end gave to a file of this hash and media type. */
void store_upload_key(char out[STORE_KEY_MAX + 1], const char *sha256, const char *type);

/* Removes uploads whose file was last put more than `older_s` seconds ago; putting the same bytes
 * again makes them young. Returns how many. */
int store_expire_uploads(struct store *s, int64_t older_s);

/* Removes files of tmp/ last changed more than `older_s` seconds ago; returns how many. */
int store_sweep(struct store *s, int64_t older_s);

/* Bytes that may still be written; -1 when the file system does not say. */
int64_t store_free_bytes(const struct store *s);

#endif
