/* redis_server.h - a private redis-server for one test: own directory, own unix socket, gone
 * afterwards. */
#ifndef TESTS_REDIS_SERVER_H
#define TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

enum { REDIS_SERVER_PATH_MAX = 128 };

struct redis_server {
    pid_t pid; /* 0 = not running */
    char folder[REDIS_SERVER_PATH_MAX];
    char url[REDIS_SERVER_PATH_MAX]; /* unix:/.../s */
};

/* Starts it with an append-only file and waits until it answers. False when redis-server is not
 * installed or does not come up; the caller then skips its test. */
bool redis_server_open(struct redis_server *s);
/* Starts it again in the same directory after redis_server_kill. */
bool redis_server_reopen(struct redis_server *s);
/* kill -9, as a crash would. */
void redis_server_kill(struct redis_server *s);
/* Stops it and removes its directory. */
void redis_server_close(struct redis_server *s);

#endif
