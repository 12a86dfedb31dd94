#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"

static int64_t changed_ns(const struct stat *st) {
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static enum err check_kind(struct file *file, const char *path, int64_t max_bytes, struct fail *f) {
    struct stat st;
    if (fstat(file->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return FAIL(f, ERR_CORRUPT, "%.200s is not a regular file", path);
    /* How many blocks are stored says nothing: a fresh file has none yet, a packed one has few. */
    if (st.st_size > max_bytes)
        return FAIL(f, ERR_CORRUPT, "%.180s has %lld bytes, %lld are allowed", path,
                    (long long)st.st_size, (long long)max_bytes);
    file->size_bytes = st.st_size;
    file->changed_ns = changed_ns(&st);
    return ERR_OK;
}

enum err file_open(struct file *out, const char *path, int64_t max_bytes, struct fail *f) {
    *out = (struct file){.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (out->fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return FAIL(f, ERR_NOT_FOUND, "%.200s: no such file", path);
    if (out->fd < 0) return FAIL(f, ERR_IO, "%.180s: %s", path, strerror(errno));
    enum err rc = check_kind(out, path, max_bytes, f);
    if (rc != ERR_OK) file_close(out);
    return rc;
}

void file_close(struct file *file) {
    close(file->fd);
}

enum err file_read(const struct file *file, int64_t at, void *out, size_t n, const char *path,
                   struct fail *f) {
    for (char *p = out; n > 0;) {
        ssize_t got = pread(file->fd, p, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return FAIL(f, ERR_IO, "%.180s: %s", path, strerror(errno));
        if (got == 0)
            return FAIL(f, ERR_CORRUPT, "%.160s ends at byte %lld: it was cut while it was in use",
                        path, (long long)at);
        p += got;
        n -= (size_t)got;
        at += got;
    }
    return ERR_OK;
}

enum err file_check_unchanged(const struct file *file, const char *path, struct fail *f) {
    struct stat st;
    if (fstat(file->fd, &st) != 0 || st.st_size != file->size_bytes ||
        changed_ns(&st) != file->changed_ns)
        return FAIL(f, ERR_CORRUPT, "%.200s was written to while it was in use", path);
    return ERR_OK;
}

enum err file_take(char **out, size_t *n, const char *path, int64_t max_bytes, struct fail *f) {
    struct file file = {0};
    char *text = NULL;
    enum err rc = file_open(&file, path, max_bytes, f);
    *out = NULL;
    if (rc != ERR_OK) return rc;
    *n = (size_t)file.size_bytes;
    text = mem_take(*n + 1, 1);
    if (!text) TRY(FAIL(f, ERR_NOMEM, "no memory for the %zu bytes of %.160s", *n, path));
    TRY(file_read(&file, 0, text, *n, path, f));
    *out = text;
    text = NULL;
out:
    mem_free(text);
    file_close(&file);
    return rc;
}
