/* mapped.h - a file as memory, for weights that are read once and need not stay.
 *
 * A page that is gone when it is read (the file was cut, the disk failed) raises SIGBUS. A handler,
 * installed for the whole process with the first mapping, then lays zeros from there to the end of
 * the mapping and marks it: the reader goes on with zeros, and asks mapped_check() before it
 * believes what it has computed. Faults elsewhere go to the handler that was there before.
 *
 * A file that is replaced by another of its name stays what it was, being open; one that is written
 * to is for file_check_unchanged(). Any thread may read a mapping; open and close are for one. */
#ifndef ENGINE_MAPPED_H
#define ENGINE_MAPPED_H

#include "engine/file.h"

enum { MAPPED_MAX = 1024 }; /* mappings of a process at a time */

struct mapped {
    const char *data; /* NULL: nothing is mapped */
    size_t bytes;
    int slot;
};

/* The whole of an open file, which may be closed afterwards. ERR_NOMEM when the system has no
 * address space left, ERR_LIMIT when there are MAPPED_MAX already. */
MUST_CHECK enum err mapped_open(struct mapped *out, const struct file *file, const char *path,
                                struct fail *f);
void mapped_close(struct mapped *m); /* safe on a zeroed struct */
/* ERR_CORRUPT when a page was gone since the mapping was opened. */
MUST_CHECK enum err mapped_check(const struct mapped *m, const char *path, struct fail *f);

/* n bytes from p on, inside a mapping, are wanted soon: reading them from the disk begins. */
void mapped_expect(const void *p, size_t n);
/* They are not wanted any more: their pages leave this process, but not the cache of the system. */
void mapped_forget(const void *p, size_t n);

#endif
