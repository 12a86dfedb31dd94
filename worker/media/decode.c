#include "worker/media/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/now.h"

void decode_find_program(char *out, int cap) {
    ssize_t n = readlink("/proc/self/exe", out, (size_t)cap - 1);
    out[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(out, '/');
    int at = slash ? (int)(slash + 1 - out) : 0;
    snprintf(out + at, (size_t)(cap - at), "misora-decode");
}

/* posix_spawn does not copy our memory, which holds a model. */
static enum err start(pid_t *pid, int *answer_fd, const struct decode_request *r, struct fail *f) {
    char size[32];
    int fds[2];
    posix_spawn_file_actions_t actions;
    snprintf(size, sizeof(size), "%dx%d", r->width, r->height);
    char name[] = "misora-decode";
    char *argv[] = {name, size, NULL}, *envp[] = {NULL};
    if (pipe2(fds, O_CLOEXEC) < 0) return FAIL(f, ERR_IO, "decode: no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, r->fd, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    int e = posix_spawn(pid, r->program, &actions, NULL, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    *answer_fd = fds[0];
    if (e == 0) return ERR_OK;
    close(fds[0]);
    return FAIL(f, ERR_BUG, "decode: cannot run %s: %s", r->program, strerror(e));
}

/* Reads up to n bytes until the other side closes or the time is over. */
static size_t read_until(int fd, uint8_t *out, size_t n, int64_t deadline_ms) {
    size_t got = 0;
    while (got < n) {
        int64_t left = deadline_ms - now_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (left <= 0) break;
        int e = poll(&p, 1, (int)left);
        if (e < 0 && errno == EINTR) continue;
        if (e <= 0) break;
        ssize_t k = read(fd, out + got, n - got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) break;
        got += (size_t)k;
    }
    return got;
}

/* The reason comes from a process that read hostile bytes: only plain characters are kept. */
static enum err give_reason(int fd, int64_t deadline_ms, struct fail *f) {
    uint8_t text[DECODE_REASON_MAX + 1];
    size_t n = read_until(fd, text, DECODE_REASON_MAX, deadline_ms);
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] >= 0x7f) text[i] = '.';
    text[n] = '\0';
    return FAIL(f, ERR_MEDIA, "%s", n > 0 ? (const char *)text : "the image cannot be read");
}

enum err decode_image(uint8_t *rgb, const struct decode_request *request, struct fail *f) {
    size_t n = (size_t)request->width * (size_t)request->height * 3;
    int64_t deadline_ms = now_mono_ms() + DECODE_WALL_MS;
    uint8_t verdict = 0;
    int fd = -1, status = 0;
    pid_t pid = 0;
    if (lseek(request->fd, 0, SEEK_SET) < 0) return FAIL(f, ERR_IO, "decode: cannot read the file");
    enum err rc = start(&pid, &fd, request, f);
    if (rc != ERR_OK) return rc;

    read_until(fd, &verdict, 1, deadline_ms);
    if (verdict == 'E')
        rc = give_reason(fd, deadline_ms, f);
    else if (verdict != 'K' || read_until(fd, rgb, n, deadline_ms) != n)
        rc = FAIL(f, ERR_MEDIA, "the image takes too much time or memory to decode");
    close(fd);
    kill(pid, SIGKILL); /* our own child, not yet reaped: the number cannot be anybody else's */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return rc;
}
