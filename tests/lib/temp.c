#include "tests/lib/temp.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIRS_MAX = 64, OPEN_MAX_DIRS = 8 };

static char dirs[DIRS_MAX][256];
static int n_dirs;
static pid_t owner; /* forked children must not clean up */

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_all(void) {
    if (getpid() != owner) return;
    for (int i = 0; i < n_dirs; i++)
        nftw(dirs[i], remove_one, OPEN_MAX_DIRS, FTW_DEPTH | FTW_PHYS);
}

const char *temp_dir(void) {
    const char *root = getenv("TMPDIR");
    if (n_dirs == 0) {
        owner = getpid();
        atexit(remove_all);
    }
    if (n_dirs == DIRS_MAX) abort();
    char *dir = dirs[n_dirs++];
    snprintf(dir, sizeof(dirs[0]), "%s/misora-test.XXXXXX", root && root[0] ? root : "/tmp");
    if (!mkdtemp(dir)) {
        perror(dir);
        exit(1);
    }
    return dir;
}
