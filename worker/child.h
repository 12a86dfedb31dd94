/* child.h - the compute child: holds the model, runs one job after another, says so on its socket.
 *
 * It is the same binary as the supervisor, started as `misora-worker --child PARENT`, with the
 * socket as descriptor 3. It dies with its parent (SIGKILL from the kernel) and ignores SIGINT and
 * SIGTERM, which are the supervisor's to understand. One thread besides the engine's own. */
#ifndef WORKER_CHILD_H
#define WORKER_CHILD_H

enum { CHILD_FD = 3, CHILD_NICE = 10 };

/* Does not return before the supervisor hangs up; gives the exit code. `parent` is the pid that
 * must still be our parent. */
int child_main(int parent);

#endif
