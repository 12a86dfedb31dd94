/* file.h - the one way in which the engine opens and reads the files of a model folder.
 *
 * Regular files only, of a size that was asked for; no waiting on a FIFO, no mapping. Failures name
 * the file. Any thread. */
#ifndef ENGINE_FILE_H
#define ENGINE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct file {
    int fd;
    int64_t size_bytes, changed_ns; /* at the time of file_open */
};

/* The caller owns the descriptor: file_close(). ERR_NOT_FOUND when there is none of that name,
 * ERR_CORRUPT when it is no regular file or larger than max_bytes, ERR_IO for all else; nothing is
 * open then. */
MUST_CHECK enum err file_open(struct file *out, const char *path, int64_t max_bytes,
                              struct fail *f);
void file_close(struct file *file);
/* n bytes from `at` on. ERR_CORRUPT when the file ends before that. `path` is for the words. */
MUST_CHECK enum err file_read(const struct file *file, int64_t at, void *out, size_t n,
                              const char *path, struct fail *f);
/* ERR_CORRUPT when size or time are not what they were. */
MUST_CHECK enum err file_check_unchanged(const struct file *file, const char *path, struct fail *f);
/* The whole file and a NUL behind it, in memory of the caller: mem_free(). */
MUST_CHECK enum err file_take(char **out, size_t *n, const char *path, int64_t max_bytes,
                              struct fail *f);

#endif
