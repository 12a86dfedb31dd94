#include "worker/push.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/now.h"
#include "common/fetch.h"

enum { PAUSE_MS = 500, REPLY_MAX = 4096 };

/* One PUT; *is_final when another would be answered the same. */
static enum err put_once(const struct push_target *t, const struct fetch_file *file, bool *is_final,
                         struct fail *f) {
    struct fetch_reply reply;
    struct fetch_request r = {.url = t->url,
                              .method = "PUT",
                              .file = file,
                              .connect_ms = PUSH_CONNECT_MS,
                              .total_ms = PUSH_TOTAL_MS,
                              .reply_max = REPLY_MAX,
                              .rules = t->rules};
    enum err rc = fetch_call(&reply, &r, f);
    int status = reply.status;
    fetch_reply_free(&reply);
    *is_final = rc == ERR_FORBIDDEN || (rc == ERR_OK && status < 500 && status != 429);
    if (rc != ERR_OK || (status >= 200 && status < 300)) return rc;
    return FAIL(f, ERR_IO, "it was answered %d", status);
}

enum err push_file(const struct push_target *target, const char *path, struct fail *f) {
    struct stat st;
    bool is_final = false;
    enum err rc = ERR_IO;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (fd >= 0) close(fd);
        return FAIL(f, ERR_IO, "the file cannot be read: %s", strerror(errno));
    }
    struct fetch_file file = {fd, 0, st.st_size};
    for (int i = 0; i < PUSH_TRIES; i++) {
        rc = put_once(target, &file, &is_final, f);
        if (rc == ERR_OK || is_final) break;
        if (i + 1 < PUSH_TRIES) now_sleep_ms(PAUSE_MS << i);
    }
    close(fd);
    return rc;
}
