#include "tests/lib/redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/now.h"

enum { START_MS = 10000, POLL_MS = 20 };

static void socket_path(const struct redis_server *s, char out[REDIS_SERVER_PATH_MAX]) {
    snprintf(out, REDIS_SERVER_PATH_MAX, "%.100s/s", s->folder);
}

/* True when the server answers PING with PONG: it has loaded its data. */
static bool is_answering(const struct redis_server *s) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char path[REDIS_SERVER_PATH_MAX], reply[16] = "";
    socket_path(s, path);
    memcpy(at.sun_path, path, strnlen(path, sizeof(at.sun_path) - 1));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_up = fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
                 send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
                 read(fd, reply, sizeof(reply) - 1) > 0 && strncmp(reply, "+PONG", 5) == 0;
    if (fd >= 0) close(fd);
    return is_up;
}

/* In the child: becomes redis-server, and dies with the test. */
static void become_server(const struct redis_server *s) {
    char path[REDIS_SERVER_PATH_MAX];
    socket_path(s, path);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path, "--dir", s->folder,
           "--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy",
           "noeviction", (char *)NULL);
    _exit(127);
}

bool redis_server_reopen(struct redis_server *s) {
    char path[REDIS_SERVER_PATH_MAX];
    socket_path(s, path);
    unlink(path); /* left by a killed one */
    s->pid = fork();
    if (s->pid == 0) become_server(s);
    if (s->pid < 0) return false;
    for (int64_t end_ms = now_mono_ms() + START_MS; now_mono_ms() < end_ms; now_sleep_ms(POLL_MS)) {
        if (waitpid(s->pid, NULL, WNOHANG) != 0) {
            s->pid = 0; /* not installed, or it refused to start */
            return false;
        }
        if (is_answering(s)) return true;
    }
    redis_server_kill(s);
    return false;
}

bool redis_server_open(struct redis_server *s) {
    *s = (struct redis_server){0};
    snprintf(s->folder, sizeof(s->folder), "/tmp/misora-redis.XXXXXX");
    if (mkdtemp(s->folder) == NULL) return false;
    snprintf(s->url, sizeof(s->url), "unix:%.100s/s", s->folder);
    bool is_up = redis_server_reopen(s);
    if (!is_up) redis_server_close(s);
    return is_up;
}

void redis_server_kill(struct redis_server *s) {
    if (s->pid <= 0) return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

/* Removes the folder with the files that this redis-server leaves: the socket and the AOF. */
static void remove_folder(const struct redis_server *s) {
    pid_t pid = fork();
    if (pid == 0) {
        execlp("rm", "rm", "-rf", "--", s->folder, (char *)NULL);
        _exit(127);
    }
    if (pid > 0) waitpid(pid, NULL, 0);
}

void redis_server_close(struct redis_server *s) {
    redis_server_kill(s);
    if (s->folder[0] != 0) remove_folder(s);
    *s = (struct redis_server){0};
}
