/* store.c - see store.h. Every name is reached by openat from a held descriptor. */
#include "common/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/now.h"
#include "common/s3.h"

enum { COPY_CHUNK = 1 << 16, DIR_MODE = 0750, FILE_MODE = 0640, NAME_TRIES = 4 };
enum { EVICT_EVERY_S = 600, COPY_OLD_S = 86400, ONE_OBJECT_MAX_GB = 8 };

static const struct {
    const char *ext, *type;
} types[] = {
    {"mp4", "video/mp4"},        {"webm", "video/webm"},       {"mov", "video/quicktime"},
    {"mkv", "video/x-matroska"}, {"webp", "image/webp"},       {"jpg", "image/jpeg"},
    {"png", "image/png"},        {"json", "application/json"},
};

static const char *type_of(const char *name) {
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(dot + 1, types[i].ext) == 0) return types[i].type;
    return "application/octet-stream";
}

/* A full disk is worth another attempt elsewhere; all else here is an I/O failure. */
static enum err io_fail(struct fail *f, const char *what, const char *name) {
    int e = errno;
    bool is_full = e == ENOSPC || e == EDQUOT || e == EFBIG;
    return FAIL(f, is_full ? ERR_DISK : ERR_IO, "store: cannot %s %s: %s", what, name, strerror(e));
}

static enum err open_dir(int *out, int at, const char *name, struct fail *f) {
    if (mkdirat(at, name, DIR_MODE) < 0 && errno != EEXIST) return io_fail(f, "make", name);
    *out = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *out < 0 ? io_fail(f, "open", name) : ERR_OK;
}

/* A file with a random name in tmp/, on the same file system as the objects. */
static enum err temp_make(struct store *s, int *fd, char name[40], struct fail *f) {
    for (int i = 0; i < NAME_TRIES; i++) {
        id_uuid7_hex(name);
        *fd =
            openat(s->tmp_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (*fd >= 0) return ERR_OK;
        if (errno != EEXIST) break;
    }
    return io_fail(f, "make a file in", "tmp");
}

enum err store_open(struct store *s, const char *dir, struct fail *f) {
    enum err rc = ERR_OK;
    int fd = -1;
    char real[PATH_MAX], name[40];
    *s = (struct store){.root_fd = -1, .tmp_fd = -1, .obj_fd = -1};

    TRY(open_dir(&s->root_fd, AT_FDCWD, dir, f));
    if (!realpath(dir, real) || strlen(real) >= sizeof(s->dir)) {
        rc = io_fail(f, "resolve", dir);
        goto out;
    }
    memcpy(s->dir, real, strlen(real) + 1);
    TRY(open_dir(&s->tmp_fd, s->root_fd, "tmp", f));
    TRY(open_dir(&s->obj_fd, s->root_fd, "obj", f));
    TRY(temp_make(s, &fd, name, f)); /* a read-only or full disk shows now, not at the first job */
    close(fd);
    unlinkat(s->tmp_fd, name, 0);
out:
    if (rc != ERR_OK) store_close(s);
    return rc;
}

void store_close(struct store *s) {
    int fds[] = {s->root_fd, s->tmp_fd, s->obj_fd};
    for (size_t i = 0; i < 3; i++)
        if (fds[i] > 0) close(fds[i]);
    *s = (struct store){.root_fd = -1, .tmp_fd = -1, .obj_fd = -1};
}

enum err store_attach(struct store *s, const struct s3 *remote, struct fail *f) {
    struct s3_facts facts;
    struct fail why = {0};
    enum err rc = s3_head(remote, &facts, "misora-probe", &why);
    if (rc != ERR_OK && rc != ERR_NOT_FOUND)
        return FAIL(f, ERR_CONFIG, "the S3 store cannot be used: %.200s", why.text);
    s->remote = remote;
    return ERR_OK;
}

enum err store_open_backed(struct store *s, const char *dir, struct s3 *room,
                           const struct s3_conf *conf, struct fail *f) {
    enum err rc = store_open(s, dir, f);
    if (rc != ERR_OK || !conf->endpoint || !conf->endpoint[0]) return rc;
    rc = s3_make(room, conf, f);
    if (rc == ERR_OK) rc = store_attach(s, room, f);
    if (rc != ERR_OK) store_close(s);
    return rc;
}

enum err store_link(const struct store *s, struct buf *out, const char *key, int64_t seconds,
                    struct fail *f) {
    if (!s->remote)
        return FAIL(f, ERR_UNSUPPORTED, "files of this service have no links of their own");
    return s3_link(s->remote, out, "GET", key, seconds, f);
}

static bool is_key_byte(char c, bool is_first) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
    return c == '_' || c == '-' || (c == '.' && !is_first);
}

bool store_key_is_ok(const char *key) {
    int n_segments = 1;
    bool is_first = true;
    size_t i = 0;
    for (; key[i] != '\0' && i <= STORE_KEY_MAX; i++) {
        if (key[i] == '/') {
            if (is_first) return false;
            n_segments++;
            is_first = true;
        } else {
            if (!is_key_byte(key[i], is_first)) return false;
            is_first = false;
        }
    }
    return i <= STORE_KEY_MAX && !is_first && n_segments <= STORE_DEPTH_MAX;
}

/* Where a key lives: its directory, and its last segment (which points into `key`). */
struct place {
    int dir_fd; /* owned */
    const char *name;
};

enum walk { WALK_FIND, WALK_MAKE };

/* Opens the directory of a valid key, one segment after another. ERR_NOT_FOUND when WALK_FIND
 * misses one. A fresh directory is made durable by fsync of its parent. */
static enum err walk_to(struct store *s, struct place *out, const char *key, enum walk walk,
                        struct fail *f) {
    if (!store_key_is_ok(key)) return FAIL(f, ERR_INPUT, "store: not a key");
    int at = fcntl(s->obj_fd, F_DUPFD_CLOEXEC, 0);
    if (at < 0) return io_fail(f, "walk to", key);
    const char *p = key, *slash;
    while ((slash = strchr(p, '/')) != NULL) {
        char seg[STORE_KEY_MAX + 1];
        size_t n = (size_t)(slash - p);
        memcpy(seg, p, n);
        seg[n] = '\0';
        if (walk == WALK_MAKE && mkdirat(at, seg, DIR_MODE) == 0) fsync(at);
        int next = openat(at, seg, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int e = errno;
        close(at);
        if (next < 0 && e == ENOENT) return FAIL(f, ERR_NOT_FOUND, "store: no object %s", key);
        errno = e;
        if (next < 0) return io_fail(f, "walk to", key);
        at = next;
        p = slash + 1;
    }
    *out = (struct place){.dir_fd = at, .name = p};
    return ERR_OK;
}

static enum err write_all(int fd, const void *data, size_t n, struct fail *f) {
    const char *p = data;
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return io_fail(f, "write", "tmp");
        p += w;
        n -= (size_t)w;
    }
    return ERR_OK;
}

/* Hashes what is stored under a name; used only when a name is already taken. */
static enum err hash_at(const struct place *at, char out[65], uint64_t *size, struct fail *f) {
    char chunk[COPY_CHUNK];
    struct sha256 h;
    ssize_t n;
    int fd = openat(at->dir_fd, at->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return io_fail(f, "open", at->name);
    sha256_start(&h);
    *size = 0;
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        sha256_add(&h, chunk, (size_t)n);
        *size += (uint64_t)n;
    }
    close(fd);
    if (n < 0) return io_fail(f, "read", at->name);
    unsigned char digest[SHA256_BYTES];
    sha256_end(&h, digest);
    sha256_to_hex(digest, out);
    return ERR_OK;
}

static enum err publish_once(struct store *s, const char *temp, const struct store_object *o,
                             struct fail *f) {
    struct place at;
    enum err rc = walk_to(s, &at, o->key, WALK_MAKE, f);
    if (rc != ERR_OK) return rc;
    if (linkat(s->tmp_fd, temp, at.dir_fd, at.name, 0) == 0) {
        if (fsync(at.dir_fd) < 0) rc = io_fail(f, "fsync", o->key);
    } else if (errno == EEXIST) {
        char sha[65];
        uint64_t size = 0;
        rc = hash_at(&at, sha, &size, f);
        if (rc == ERR_OK && (size != o->size_bytes || strcmp(sha, o->sha256) != 0))
            rc = FAIL(f, ERR_CONFLICT, "store: %s already holds other bytes", o->key);
        if (rc == ERR_OK)
            utimensat(at.dir_fd, at.name, NULL, AT_SYMLINK_NOFOLLOW); /* young again */
    } else if (errno == ENOENT) {
        rc = FAIL(f, ERR_NOT_FOUND, "store: the directory of %s went away", o->key);
    } else {
        rc = io_fail(f, "link", o->key);
    }
    close(at.dir_fd);
    return rc;
}

/* Gives the finished temporary file its name; the name never changes what it means. The directory
 * may be swept by a concurrent store_remove between its making and the link: made again then. */
static enum err publish(struct store *s, const char *temp, const struct store_object *o,
                        struct fail *f) {
    enum err rc = ERR_NOT_FOUND;
    for (int i = 0; i < NAME_TRIES && rc == ERR_NOT_FOUND; i++)
        rc = publish_once(s, temp, o, f);
    return rc == ERR_NOT_FOUND ? FAIL(f, ERR_IO, "store: cannot publish %s", o->key) : rc;
}

/* Drops t/ID when the last object of ID went; rmdir refuses a directory that is not empty. */
static void remove_empty_dir(struct store *s, const char *key) {
    char dir[STORE_KEY_MAX + 1];
    snprintf(dir, sizeof(dir), "%s", key);
    char *slash = strrchr(dir, '/');
    if (!slash) return;
    *slash = '\0';
    struct place at;
    if (walk_to(s, &at, dir, WALK_FIND, NULL) != ERR_OK) return;
    if (strchr(dir, '/')) unlinkat(at.dir_fd, at.name, AT_REMOVEDIR); /* never t/ or u/ itself */
    close(at.dir_fd);
}

static enum err remove_here(struct store *s, const char *key, struct fail *f) {
    struct place at;
    enum err rc = walk_to(s, &at, key, WALK_FIND, f);
    if (rc == ERR_NOT_FOUND) return ERR_OK;
    if (rc != ERR_OK) return rc;
    if (unlinkat(at.dir_fd, at.name, 0) < 0 && errno != ENOENT) rc = io_fail(f, "remove", key);
    close(at.dir_fd);
    if (rc == ERR_OK) remove_empty_dir(s, key);
    return rc;
}

enum err store_upload_begin(struct store *s, struct store_upload *up, uint64_t max_bytes,
                            struct fail *f) {
    *up = (struct store_upload){.store = s, .fd = -1, .max_bytes = max_bytes};
    sha256_start(&up->hash);
    return temp_make(s, &up->fd, up->name, f);
}

enum err store_upload_add(struct store_upload *up, const void *data, size_t n, struct fail *f) {
    ASSERT(up->fd >= 0);
    if (n > up->max_bytes - up->size_bytes)
        return FAIL(f, ERR_LIMIT, "the file is larger than %llu bytes",
                    (unsigned long long)up->max_bytes);
    sha256_add(&up->hash, data, n);
    up->size_bytes += n;
    return write_all(up->fd, data, n, f);
}

void store_upload_drop(struct store_upload *up) {
    if (up->store && up->fd >= 0) {
        close(up->fd);
        unlinkat(up->store->tmp_fd, up->name, 0);
    }
    *up = (struct store_upload){.fd = -1};
}

/* The key of an upload says its content: putting it again makes it young there too. */
static enum err send_away(struct store *s, int fd, const struct store_object *o, struct fail *f) {
    struct s3_facts facts = {.size_bytes = o->size_bytes};
    enum s3_put how = strncmp(o->key, "u/", 2) == 0 ? S3_AGAIN : S3_ONCE;
    memcpy(facts.sha256, o->sha256, sizeof(facts.sha256));
    enum err rc = s3_put(s->remote, o->key, fd, type_of(o->key), &facts, how, f);
    if (rc != ERR_OK) remove_here(s, o->key, NULL);
    return rc;
}

/* fsync, publish under o->key, and drop the temporary name whatever happened. */
static enum err upload_finish(struct store_upload *up, const struct store_object *o,
                              struct fail *f) {
    enum err rc = fsync(up->fd) < 0 ? io_fail(f, "fsync", o->key) : ERR_OK;
    if (rc == ERR_OK) rc = publish(up->store, up->name, o, f);
    if (rc == ERR_OK && up->store->remote) rc = send_away(up->store, up->fd, o, f);
    store_upload_drop(up);
    return rc;
}

static void object_of(struct store_object *out, struct store_upload *up) {
    unsigned char digest[SHA256_BYTES];
    *out = (struct store_object){.size_bytes = up->size_bytes};
    sha256_end(&up->hash, digest);
    sha256_to_hex(digest, out->sha256);
}

enum err store_upload_end(struct store_upload *up, struct store_object *out, const char *ext,
                          struct fail *f) {
    ASSERT(up->fd >= 0);
    object_of(out, up);
    snprintf(out->key, sizeof(out->key), "u/%s.%s", out->sha256, ext);
    return upload_finish(up, out, f);
}

const char *store_ext_of(const char *type) {
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(type, types[i].type) == 0) return types[i].ext;
    return "bin";
}

void store_upload_key(char out[STORE_KEY_MAX + 1], const char *sha256, const char *type) {
    snprintf(out, STORE_KEY_MAX + 1, "u/%.64s.%s", sha256, store_ext_of(type));
}

static enum err upload_end_as(struct store_upload *up, struct store_object *out, const char *key,
                              struct fail *f) {
    object_of(out, up);
    if (!store_key_is_ok(key)) {
        store_upload_drop(up);
        return FAIL(f, ERR_INPUT, "store: not a key");
    }
    memcpy(out->key, key, strlen(key) + 1);
    return upload_finish(up, out, f);
}

enum err store_put_bytes(struct store *s, struct store_object *out, const char *key,
                         const void *data, size_t n, struct fail *f) {
    struct store_upload up;
    enum err rc = store_upload_begin(s, &up, UINT64_MAX, f);
    if (rc == ERR_OK) rc = store_upload_add(&up, data, n, f);
    if (rc == ERR_OK) return upload_end_as(&up, out, key, f);
    store_upload_drop(&up);
    return rc;
}

static enum err copy_in(struct store_upload *up, int fd, const char *path, struct fail *f) {
    char chunk[COPY_CHUNK];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return io_fail(f, "read", path);
        if (n == 0) return ERR_OK;
        enum err rc = store_upload_add(up, chunk, (size_t)n, f);
        if (rc != ERR_OK) return rc;
    }
}

enum err store_put_file(struct store *s, struct store_object *out, const char *key,
                        const char *path, struct fail *f) {
    struct store_upload up = {.fd = -1};
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return io_fail(f, "open", path);
    enum err rc = store_upload_begin(s, &up, UINT64_MAX, f);
    if (rc == ERR_OK) rc = copy_in(&up, fd, path, f);
    close(fd);
    if (rc == ERR_OK) return upload_end_as(&up, out, key, f);
    store_upload_drop(&up);
    return rc;
}

/* u/SHA256.ext carries its own hash; other keys have it in Redis. */
static void sha_of(char out[65], const char *key) {
    out[0] = '\0';
    if (strncmp(key, "u/", 2) != 0 || strspn(key + 2, "0123456789abcdef") != 64) return;
    memcpy(out, key + 2, 64);
    out[64] = '\0';
}

static enum err find_here(struct store *s, struct store_found *out, const char *key,
                          struct fail *f) {
    struct place at;
    struct stat st;
    *out = (struct store_found){.fd = -1};
    enum err rc = walk_to(s, &at, key, WALK_FIND, f);
    if (rc != ERR_OK) return rc;
    out->fd = openat(at.dir_fd, at.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int e = errno;
    close(at.dir_fd);
    errno = e;
    if (out->fd < 0)
        return e == ENOENT ? FAIL(f, ERR_NOT_FOUND, "store: no object %s", key)
                           : io_fail(f, "open", key);
    if (fstat(out->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        store_found_close(out);
        return FAIL(f, ERR_NOT_FOUND, "store: %s is not a file", key);
    }
    out->size_bytes = (uint64_t)st.st_size;
    out->modified_s = st.st_mtime;
    snprintf(out->path, sizeof(out->path), "%s/obj/%s", s->dir, key);
    snprintf(out->type, sizeof(out->type), "%s", type_of(key));
    sha_of(out->sha256, key);
    return ERR_OK;
}

/* Removes the plain files of one directory last changed before `limit_s`. */
static int remove_old(int dir_fd, const char *name, int64_t limit_s) {
    int n_removed = 0;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return 0;
    }
    const struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        struct stat st;
        if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) continue;
        if (!S_ISREG(st.st_mode) || st.st_mtime > limit_s) continue;
        if (unlinkat(fd, d->d_name, 0) == 0) n_removed++;
    }
    closedir(dir);
    return n_removed;
}

/* Copies of the last day stay; t/ has a directory for each job. */
static void evict_now(struct store *s, int64_t limit_s) {
    int n = remove_old(s->obj_fd, "u", limit_s);
    int fd = openat(s->obj_fd, "t", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *d;
    if (!dir && fd >= 0) close(fd);
    while (dir && (d = readdir(dir)) != NULL) {
        if (d->d_name[0] == '.') continue;
        n += remove_old(fd, d->d_name, limit_s);
        unlinkat(fd, d->d_name, AT_REMOVEDIR); /* refuses one that is not empty */
    }
    if (dir) closedir(dir);
    if (n > 0) log_line(LOG_INFO, "store.evicted", "copies=%d", n);
}

static void evict(struct store *s) {
    int64_t now_s = now_wall_ms() / 1000, last_s = s->evicted_s;
    if (now_s - last_s < EVICT_EVERY_S) return;
    if (!atomic_compare_exchange_strong(&s->evicted_s, &last_s, now_s)) return;
    evict_now(s, now_s - COPY_OLD_S);
}

/* What was brought must be what was put: an upload by its name, a result by what lies beside it. */
static enum err check_copy(const struct store_object *o, const struct s3_facts *facts,
                           struct fail *f) {
    char name[65];
    sha_of(name, o->key);
    const char *want = name[0] ? name : facts->sha256;
    if (!want[0] || strcmp(want, o->sha256) == 0) return ERR_OK;
    return FAIL(f, ERR_CORRUPT, "store: %s came from S3 with other bytes", o->key);
}

/* Brings the object here; two who do so at once link the same bytes to the same name. */
static enum err bring(struct store *s, const char *key, struct fail *f) {
    enum err rc = ERR_OK;
    struct store_upload up;
    struct s3_facts facts;
    struct store_object o = {0};
    uint64_t size = 0;
    TRY(store_upload_begin(s, &up, UINT64_MAX, f));
    snprintf(o.key, sizeof(o.key), "%s", key);
    TRY(s3_get(s->remote, &facts, key, up.fd, (uint64_t)ONE_OBJECT_MAX_GB << 30, f));
    TRY(hash_at(&(struct place){.dir_fd = s->tmp_fd, .name = up.name}, o.sha256, &size, f));
    o.size_bytes = size;
    TRY(check_copy(&o, &facts, f));
    TRY(publish(s, up.name, &o, f));
out:
    store_upload_drop(&up);
    return rc;
}

enum err store_find(struct store *s, struct store_found *out, const char *key, struct fail *f) {
    enum err rc = find_here(s, out, key, f);
    if (rc != ERR_NOT_FOUND || !s->remote) return rc;
    evict(s);
    rc = bring(s, key, f);
    return rc == ERR_OK ? find_here(s, out, key, f) : rc;
}

void store_found_close(struct store_found *found) {
    if (found->fd >= 0) close(found->fd);
    *found = (struct store_found){.fd = -1};
}

enum err store_remove(struct store *s, const char *key, struct fail *f) {
    enum err rc = s->remote && store_key_is_ok(key) ? s3_remove(s->remote, key, f) : ERR_OK;
    return rc == ERR_OK ? remove_here(s, key, f) : rc;
}

int store_sweep(struct store *s, int64_t older_s) {
    return remove_old(s->tmp_fd, ".", now_wall_ms() / 1000 - older_s);
}

int store_expire_uploads(struct store *s, int64_t older_s) {
    return remove_old(s->obj_fd, "u", now_wall_ms() / 1000 - older_s);
}

int64_t store_free_bytes(const struct store *s) {
    struct statvfs v;
    if (fstatvfs(s->root_fd, &v) < 0) return -1;
    return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}
