#include "worker/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/id.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/doc.h"

enum { NOTE_MAX = RECEIPT_JSON_MAX + 1024, NONCE_SHOWN = 8 };

static const struct {
    const char *file, *suffix;
} variants[RECEIPT_VARIANT_COUNT] = {
    [RECEIPT_VIDEO] = {"video.mp4", "."},
    [RECEIPT_THUMBNAIL] = {"thumbnail.webp", "-thumbnail.webp"},
    [RECEIPT_SPRITESHEET] = {"spritesheet.webp", "-spritesheet.webp"},
};

const char *spool_file_name(enum receipt_variant v) {
    return variants[v].file;
}

/* "17-0a1b2c3d": epoch and the first digits of the nonce. */
static int short_lease(const char *lease) {
    const char *dash = strchr(lease, '-');
    int n = dash ? (int)(dash - lease) + 1 + NONCE_SHOWN : 0;
    return n > 0 && strlen(lease) >= (size_t)n ? n : (int)strlen(lease);
}

void spool_object_key(char out[STORE_KEY_MAX + 1], const struct spool_entry *e,
                      enum receipt_variant v, const char *type) {
    const char *ext = v == RECEIPT_VIDEO ? store_ext_of(type) : "";
    snprintf(out, STORE_KEY_MAX + 1, "t/%s/%.*s%s%s", e->id, short_lease(e->lease), e->lease,
             variants[v].suffix, ext);
}

/* A worker that comes back is the same worker: the queue must not wait for its ghost. */
static bool read_name(struct spool *s) {
    unsigned char r[SPOOL_ID_HEX / 2];
    if (pread(s->lock_fd, s->name, SPOOL_ID_HEX, 0) == SPOOL_ID_HEX &&
        str_is_hex(str_of(s->name), SPOOL_ID_HEX))
        return true;
    id_random(r, sizeof(r));
    snprintf(s->name, sizeof(s->name), "%02x%02x%02x%02x", r[0], r[1], r[2], r[3]);
    return pwrite(s->lock_fd, s->name, SPOOL_ID_HEX, 0) == SPOOL_ID_HEX && fsync(s->lock_fd) == 0;
}

enum err spool_open(struct spool *s, const char *dir, struct fail *f) {
    *s = (struct spool){.dir_fd = -1, .lock_fd = -1};
    if (strlen(dir) >= sizeof(s->dir)) return FAIL(f, ERR_CONFIG, "spool: the path is too long");
    memcpy(s->dir, dir, strlen(dir) + 1);
    if (mkdir(dir, 0750) < 0 && errno != EEXIST)
        return FAIL(f, ERR_CONFIG, "spool: cannot make %s: %s", dir, strerror(errno));
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd >= 0)
        s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
    int e = errno;
    bool is_ours = s->lock_fd >= 0 && flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0;
    if (is_ours && read_name(s)) return ERR_OK;
    bool is_taken = s->lock_fd >= 0 && !is_ours;
    spool_close(s);
    if (is_taken) return FAIL(f, ERR_CONFIG, "spool: another worker uses %s", dir);
    return FAIL(f, ERR_CONFIG, "spool: cannot use %s: %s", dir, strerror(e));
}

void spool_close(struct spool *s) {
    if (s->lock_fd >= 0) close(s->lock_fd);
    if (s->dir_fd >= 0) close(s->dir_fd);
    s->lock_fd = s->dir_fd = -1;
}

int64_t spool_free_bytes(const struct spool *s) {
    struct statvfs v;
    if (fstatvfs(s->dir_fd, &v) < 0) return -1;
    return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

static void name_entry(struct spool *s, struct spool_entry *e) {
    snprintf(e->name, sizeof(e->name), "%.64s.%.*s", e->id,
             short_lease(e->lease) < 40 ? short_lease(e->lease) : 40, e->lease);
    snprintf(e->path, sizeof(e->path), "%s/%s", s->dir, e->name);
}

static enum err note_fail(struct fail *f, const char *what, const char *name) {
    int e = errno;
    return FAIL(f, e == ENOSPC ? ERR_DISK : ERR_IO, "spool: cannot %s %s: %s", what, name,
                strerror(e));
}

static bool write_whole(int fd, const char *p, size_t n) {
    while (n > 0) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return false;
        p += w;
        n -= (size_t)w;
    }
    return fsync(fd) == 0;
}

/* Writes NAME whole: temporary file, fsync, rename, fsync of the directory. */
static enum err write_note(const struct spool_entry *e, const char *name, const struct buf *text,
                           struct fail *f) {
    int dir = open(e->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return note_fail(f, "open", e->path);
    int fd = openat(dir, "note.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
    bool is_ok = fd >= 0 && write_whole(fd, text->data, text->len) &&
                 renameat(dir, "note.tmp", dir, name) == 0 && fsync(dir) == 0;
    enum err rc = is_ok ? ERR_OK : note_fail(f, "write", name);
    if (fd >= 0) close(fd);
    close(dir);
    return rc;
}

static enum err write_entry(const struct spool_entry *e, const char *name,
                            const struct buf *receipt, struct fail *f) {
    struct buf b;
    struct doc_out o;
    buf_make(&b, NOTE_MAX);
    doc_out_make(&o, &b);
    doc_open_object(&o, NULL);
    doc_put_text(&o, "id", e->id);
    doc_put_text(&o, "lease", e->lease);
    if (receipt) doc_put_text(&o, "receipt", buf_str(receipt));
    doc_close_object(&o);
    enum err rc = doc_done(&o, f);
    if (rc == ERR_OK) rc = write_note(e, name, &b, f);
    buf_free(&b);
    return rc;
}

enum err spool_begin(struct spool *s, struct spool_entry *e, const char *id, const char *lease,
                     struct fail *f) {
    *e = (struct spool_entry){0};
    snprintf(e->id, sizeof(e->id), "%s", id);
    snprintf(e->lease, sizeof(e->lease), "%s", lease);
    name_entry(s, e);
    if (mkdirat(s->dir_fd, e->name, 0750) < 0 && errno != EEXIST)
        return note_fail(f, "make", e->name);
    fsync(s->dir_fd);
    return write_entry(e, "attempt.json", NULL, f);
}

enum err spool_seal(struct spool *s, struct spool_entry *e, const struct receipt *receipt,
                    struct fail *f) {
    struct buf b;
    (void)s;
    buf_make(&b, RECEIPT_JSON_MAX);
    e->receipt = *receipt;
    for (int v = 0; v < RECEIPT_VARIANT_COUNT; v++)
        if (receipt->objects[v].key[0])
            spool_object_key(e->receipt.objects[v].key, e, (enum receipt_variant)v,
                             receipt->objects[v].type);
    enum err rc = receipt_write(&e->receipt, &b, f);
    if (rc == ERR_OK) rc = write_entry(e, "deliver.json", &b, f);
    buf_free(&b);
    e->is_sealed = rc == ERR_OK;
    return rc;
}

static enum err parse_entry(struct spool_entry *e, struct str text) {
    struct doc *d = NULL;
    struct str id, lease, receipt = {NULL, 0};
    enum err rc = ERR_OK;
    TRY(doc_parse(&d, text, NOTE_MAX, NULL));
    if (doc_type(doc_root(d)) != DOC_OBJECT) rc = ERR_CORRUPT;
    if (rc != ERR_OK) goto out;
    TRY(doc_get_text(doc_root(d), "id", &id, NULL));
    TRY(doc_get_text(doc_root(d), "lease", &lease, NULL));
    TRY(doc_may_text(doc_root(d), "receipt", &receipt, NULL));
    if (!str_copy(e->id, sizeof(e->id), id) || !str_copy(e->lease, sizeof(e->lease), lease)) {
        rc = ERR_CORRUPT;
        goto out;
    }
    if (receipt.p) TRY(receipt_parse(&e->receipt, receipt.p, receipt.n, NULL));
    e->is_sealed = receipt.p != NULL;
out:
    doc_free(d);
    return rc;
}

/* ERR_NOT_FOUND and ERR_CORRUPT are answers about the note; all else is about this moment. */
static enum err read_note(struct spool *s, struct spool_entry *e, const char *dir,
                          const char *name) {
    char path[SPOOL_NAME_MAX + 32], *text = mem_take(1, NOTE_MAX);
    enum err rc = ERR_OK;
    if (!text) return ERR_NOMEM;
    snprintf(path, sizeof(path), "%.127s/%s", dir, name);
    int fd = openat(s->dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, text, NOTE_MAX);
        rc = n < 0 ? ERR_IO : parse_entry(e, (struct str){text, (size_t)n});
        close(fd);
    } else {
        rc = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
    }
    mem_free(text);
    return rc == ERR_OK || rc == ERR_NOMEM || rc == ERR_IO || rc == ERR_NOT_FOUND ? rc
                                                                                  : ERR_CORRUPT;
}

/* The names must say the same as the note inside: a directory moved by hand is not trusted. */
static enum err read_entry(struct spool *s, struct spool_entry *e, const char *name) {
    *e = (struct spool_entry){0};
    enum err rc = read_note(s, e, name, "deliver.json");
    if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT) {
        *e = (struct spool_entry){0};
        rc = read_note(s, e, name, "attempt.json");
    }
    if (rc != ERR_OK) return rc;
    name_entry(s, e);
    return strcmp(e->name, name) == 0 ? ERR_OK : ERR_CORRUPT;
}

static void drop_dir(struct spool *s, const char *name) {
    int fd = openat(s->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) return;
    const struct dirent *d;
    while ((d = readdir(dir)) != NULL)
        if (d->d_name[0] != '.') unlinkat(fd, d->d_name, 0);
    closedir(dir);
    unlinkat(s->dir_fd, name, AT_REMOVEDIR);
}

int spool_list(struct spool *s, struct spool_entry *out, int max) {
    int n = 0, fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) return 0;
    const struct dirent *d;
    while (n < max && (d = readdir(dir)) != NULL) {
        if (d->d_name[0] == '.' || strcmp(d->d_name, "lock") == 0) continue;
        enum err rc = read_entry(s, &out[n], d->d_name);
        n += rc == ERR_OK;
        if (rc == ERR_OK) continue;
        log_line(LOG_WARN, "spool.unreadable", "name=%.64s code=%s", d->d_name, err_name(rc));
        if (rc == ERR_CORRUPT || rc == ERR_NOT_FOUND) drop_dir(s, d->d_name);
    }
    closedir(dir);
    return n;
}

void spool_drop(struct spool *s, const struct spool_entry *e) {
    if (e->name[0]) drop_dir(s, e->name);
}
