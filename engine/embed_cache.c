#include "engine/embed_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/assert.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "engine/file.h"

enum { PATH_MAX_BYTES = EMBED_CACHE_PATH_MAX + 256, TEMP_SECONDS = 3600 };

static const char magic[8] = "MISOEMB1";
static const char suffix[] = ".emb", temp_suffix[] = ".tmp";

struct header {
    char magic[8];
    uint32_t rows, cols;
    unsigned char hash[SHA256_BYTES];
};

static enum err make_folders(const char *folder, struct fail *f) {
    char path[EMBED_CACHE_PATH_MAX];
    if (!str_copy(path, sizeof path, str_of(folder)))
        return FAIL(f, ERR_INPUT, "the path of the cache %.100s... is too long", folder);
    for (char *p = path + 1;; p++) {
        char c = *p;
        if (c != '/' && c != '\0') continue;
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return FAIL(f, ERR_IO, "the cache %.160s cannot be made: %s", path, strerror(errno));
        if (c == '\0') return ERR_OK;
        *p = c;
    }
}

enum err embed_cache_open(struct embed_cache *c, const char *folder, int64_t max_bytes,
                          struct fail *f) {
    enum err rc = ERR_OK;
    *c = (struct embed_cache){.max_bytes = max_bytes ? max_bytes : EMBED_CACHE_BYTES_MAX};
    if (!folder || !folder[0]) return ERR_OK;
    TRY(make_folders(folder, f));
    str_copy(c->folder, sizeof c->folder, str_of(folder));
out:
    return rc;
}

struct embed_cache_key embed_cache_key(const unsigned char encoder[SHA256_BYTES],
                                       const int32_t *ids, int n) {
    struct sha256 s;
    unsigned char digest[SHA256_BYTES];
    struct embed_cache_key key;
    sha256_start(&s);
    sha256_add(&s, encoder, SHA256_BYTES);
    sha256_add(&s, &n, sizeof n);
    sha256_add(&s, ids, (size_t)n * sizeof *ids);
    sha256_end(&s, digest);
    sha256_to_hex(digest, key.hex);
    return key;
}

static void path_of(const struct embed_cache *c, char out[PATH_MAX_BYTES], const char *name,
                    const char *end) {
    snprintf(out, PATH_MAX_BYTES, "%s/%s%s", c->folder, name, end);
}

static struct header make_header(int rows, int cols, const float *values) {
    struct header h = {.rows = (uint32_t)rows, .cols = (uint32_t)cols};
    struct sha256 s;
    memcpy(h.magic, magic, sizeof h.magic);
    sha256_start(&s);
    sha256_add(&s, values, (size_t)rows * (size_t)cols * sizeof *values);
    sha256_end(&s, h.hash);
    return h;
}

bool embed_cache_find(const struct embed_cache *c, const struct embed_cache_key *key, int rows,
                      int cols, float *out) {
    char path[PATH_MAX_BYTES];
    struct header have, want;
    struct file file;
    size_t n = (size_t)rows * (size_t)cols * sizeof *out;
    if (!c->folder[0]) return false;
    path_of(c, path, key->hex, suffix);
    if (file_open(&file, path, (int64_t)(sizeof have + n), NULL) != ERR_OK) return false;
    bool is_good = file.size_bytes == (int64_t)(sizeof have + n) &&
                   file_read(&file, 0, &have, sizeof have, path, NULL) == ERR_OK &&
                   file_read(&file, sizeof have, out, n, path, NULL) == ERR_OK;
    if (is_good) {
        want = make_header(rows, cols, out);
        is_good = memcmp(&have, &want, sizeof have) == 0;
    }
    if (is_good) (void)!futimens(file.fd, NULL); /* used just now */
    file_close(&file);
    return is_good;
}

static bool write_all(int fd, const void *data, size_t n) {
    for (const char *p = data; n > 0;) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

/* One file of the cache, or one that was left half written. */
struct found {
    char name[SHA256_HEX + 32];
    int64_t bytes;
    struct timespec used;
};

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static bool is_older(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Lists our files; what somebody else put there is left alone. Half-written files of processes
 * that are gone are removed. */
static int list(DIR *dir, struct found *all) {
    int n = 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (struct dirent *e = readdir(dir); e && n < EMBED_CACHE_FILES_MAX; e = readdir(dir)) {
        struct stat st;
        bool is_temp = ends_with(e->d_name, temp_suffix);
        if (!is_temp && !ends_with(e->d_name, suffix)) continue;
        if (strlen(e->d_name) >= sizeof all->name || strlen(e->d_name) < SHA256_HEX) continue;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        if (is_temp) {
            if (st.st_mtim.tv_sec + TEMP_SECONDS < now.tv_sec) unlinkat(dirfd(dir), e->d_name, 0);
            continue;
        }
        str_copy(all[n].name, sizeof all[n].name, str_of(e->d_name));
        all[n].bytes = st.st_size;
        all[n++].used = st.st_mtim;
    }
    return n;
}

/* Removes files, oldest first, until the rest fits. */
static void make_room(const struct embed_cache *c) {
    DIR *dir = opendir(c->folder);
    struct found *all = dir ? mem_take(EMBED_CACHE_FILES_MAX, sizeof *all) : NULL;
    int64_t sum = 0;
    int n = all ? list(dir, all) : 0;
    for (int i = 0; i < n; i++)
        sum += all[i].bytes;
    while (sum > c->max_bytes && n > 0) {
        int oldest = 0;
        for (int i = 1; i < n; i++)
            if (is_older(&all[i].used, &all[oldest].used)) oldest = i;
        (void)!unlinkat(dirfd(dir), all[oldest].name, 0);
        sum -= all[oldest].bytes;
        all[oldest] = all[--n];
    }
    mem_free(all);
    if (dir) closedir(dir);
}

static enum err write_file(const char *temp, const struct header *h, const float *values, size_t n,
                           struct fail *f) {
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return FAIL(f, ERR_IO, "%.180s: %s", temp, strerror(errno));
    bool is_good = write_all(fd, h, sizeof *h) && write_all(fd, values, n);
    int why = errno;
    close(fd);
    if (is_good) return ERR_OK;
    return FAIL(f, why == ENOSPC ? ERR_DISK : ERR_IO, "%.180s: %s", temp, strerror(why));
}

enum err embed_cache_add(const struct embed_cache *c, const struct embed_cache_key *key, int rows,
                         int cols, const float *values, struct fail *f) {
    enum err rc = ERR_OK;
    char path[PATH_MAX_BYTES], temp[PATH_MAX_BYTES], name[128];
    size_t n = (size_t)rows * (size_t)cols * sizeof *values;
    if (!c->folder[0] || (int64_t)(n + sizeof(struct header)) > c->max_bytes) return ERR_OK;
    struct header h = make_header(rows, cols, values);
    path_of(c, path, key->hex, suffix);
    /* One struct is used by one thread, so process and struct tell writers apart. */
    snprintf(name, sizeof name, "%s.%ld.%llx", key->hex, (long)getpid(),
             (unsigned long long)(uintptr_t)c & 0xffffffffull);
    path_of(c, temp, name, temp_suffix);
    (void)!unlink(temp);
    TRY(write_file(temp, &h, values, n, f));
    if (rename(temp, path) != 0) TRY(FAIL(f, ERR_IO, "%.180s: %s", path, strerror(errno)));
    make_room(c);
out:
    if (rc != ERR_OK) (void)!unlink(temp);
    return rc;
}
